#include "search/surrogate.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIT_STEPS = 20,
    STRIDE = SURROGATE_POINTS_MAX, /* of rows of square arrays and of columns of features */
    FIT_PAIRS = SURROGATE_FIT_POINTS_MAX * (SURROGATE_FIT_POINTS_MAX + 1) / 2,
    LANES = 8
};

/* Priors of the logarithms of weights and noise variance, relative to the process's variance. */
static const double weight_middle = -2, weight_width = 1.5;
static const double noise_middle = -4, noise_width = 1.5;
/* Prior variances of the constant and of each trend. */
static const double constant_variance = 25, trend_variance = 1;
static const double jitter = 1e-6;

struct surrogate {
    const struct features *features;
    uint32_t count;
    uint32_t rows;                             /* of `inverse` that are up to date */
    double log_weights[SURROGATE_WEIGHTS_MAX]; /* of slots, then the noise's */
    double trend_middle[TRENDS], trend_width[TRENDS];
    double scale;                 /* variance of the process */
    double weights[FEATURES_MAX]; /* of features, for covariances */
    double trends[TRENDS][STRIDE];
    double values[STRIDE], white[STRIDE],
        alpha[STRIDE];          /* as measured; inverse values; inverse' inverse values */
    double *columns;            /* (features, STRIDE) */
    double *inverse;            /* (STRIDE, STRIDE) of the Cholesky factor, lower */
    double *precision, *slopes; /* (STRIDE, STRIDE) scratch of a fit, lower */
    double *apart;              /* (slots, FIT_PAIRS) squares of distances of a fit */
};

int surrogate_new(const struct features *features, struct surrogate **ret_surrogate)
{
    const size_t square = (size_t)STRIDE * STRIDE;
    struct surrogate *surrogate = calloc(1, sizeof *surrogate);
    if (!surrogate)
        return -ENOMEM;
    surrogate->features = features;
    surrogate->columns = calloc((size_t)features->count * STRIDE + 3 * square +
                                    (size_t)features->slot_count * FIT_PAIRS,
                                sizeof(double));
    if (!surrogate->columns) {
        free(surrogate);
        return -ENOMEM;
    }
    surrogate->inverse = surrogate->columns + (size_t)features->count * STRIDE;
    surrogate->precision = surrogate->inverse + square;
    surrogate->slopes = surrogate->precision + square;
    surrogate->apart = surrogate->slopes + square;
    for (uint32_t i = 0; i <= features->slot_count; i++)
        surrogate->log_weights[i] = i < features->slot_count ? weight_middle : noise_middle;
    for (uint32_t t = 0; t < TRENDS; t++)
        surrogate->trend_width[t] = 1;
    *ret_surrogate = surrogate;
    return 0;
}

void surrogate_free(struct surrogate *surrogate)
{
    if (!surrogate)
        return;
    free(surrogate->columns);
    free(surrogate);
}

void surrogate_truncate(struct surrogate *surrogate, uint32_t count)
{
    if (count < surrogate->count)
        surrogate->count = count;
    if (count < surrogate->rows)
        surrogate->rows = count;
}

void surrogate_add(struct surrogate *surrogate, const struct feature_vector *x)
{
    assert(surrogate->count < SURROGATE_POINTS_MAX);
    const uint32_t at = surrogate->count++;
    for (uint32_t f = 0; f < surrogate->features->count; f++)
        surrogate->columns[(size_t)f * STRIDE + at] = x->values[f];
    for (uint32_t t = 0; t < TRENDS; t++)
        surrogate->trends[t][at] = x->trends[t];
}

uint32_t surrogate_count(const struct surrogate *surrogate)
{
    return surrogate->count;
}

/* ---- sums, in an order that does not depend on the machine's vectors ---- */

static double dot(const double *a, const double *b, uint32_t count)
{
    double lanes[LANES] = {0};
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (uint32_t lane = 0; lane < LANES; lane++)
            lanes[lane] += a[i + lane] * b[i + lane];
    double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                 ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    for (; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *sums, const double *a, double factor, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sums[i] += factor * a[i];
}

/* ---- covariance ---- */

/* e^x for x <= 0 to 14 digits, in a form that compilers turn into vector instructions: 2^n times a polynomial. */
static double exp_negative(double x)
{
    static const double magic = 6755399441055744.0; /* 1.5 * 2^52: its last bits count units */
    const double clamped = x < -700 ? -700 : x;
    const double shifted = clamped * 1.4426950408889634 + magic;
    const double n = shifted - magic;
    const double r = (clamped - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double sum = 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 0.5;
    sum = sum * r + 1;
    sum = sum * r + 1;
    uint64_t bits, exponent;
    memcpy(&exponent, &shifted, sizeof exponent);
    memcpy(&bits, &sum, sizeof bits);
    bits += exponent << 52;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

/* Matern 5/2 of squares of distances, in place. */
static void matern(double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const double root = sqrt(5 * values[i]);
        values[i] = (1 + root + root * root / 3) * exp_negative(-root);
    }
}

/* Also its derivatives with respect to the squares. */
static void matern_and_slopes(double *values, double *ret_slopes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const double root = sqrt(5 * values[i]), decay = exp_negative(-root);
        values[i] = (1 + root + root * root / 3) * decay;
        ret_slopes[i] = -5.0 / 6.0 * (1 + root) * decay;
    }
}

/* Adds the linear part between x, whose trends are given, and the first `count` points. */
static void add_trends(const struct surrogate *surrogate, const double *trends, uint32_t count,
                       double *values)
{
    for (uint32_t i = 0; i < count; i++)
        values[i] += constant_variance;
    for (uint32_t t = 0; t < TRENDS; t++) {
        const double middle = surrogate->trend_middle[t], width = surrogate->trend_width[t];
        const double factor = trend_variance * (trends[t] - middle) / (width * width);
        for (uint32_t i = 0; i < count; i++)
            values[i] += factor * (surrogate->trends[t][i] - middle);
    }
}

static double variance_of(const struct surrogate *surrogate, const double *trends)
{
    double sum = 1 + constant_variance;
    for (uint32_t t = 0; t < TRENDS; t++) {
        const double off = (trends[t] - surrogate->trend_middle[t]) / surrogate->trend_width[t];
        sum += trend_variance * off * off;
    }
    return sum;
}

/* Covariances of x with the first `count` points. */
static void covariances(const struct surrogate *surrogate, const struct feature_vector *x,
                        uint32_t count, double *ret_values)
{
    memset(ret_values, 0, count * sizeof *ret_values);
    for (uint32_t f = 0; f < surrogate->features->count; f++) {
        const double *column = surrogate->columns + (size_t)f * STRIDE, at = x->values[f];
        const double weight = surrogate->weights[f];
        for (uint32_t i = 0; i < count; i++)
            ret_values[i] += weight * (column[i] - at) * (column[i] - at);
    }
    matern(ret_values, count);
    add_trends(surrogate, x->trends, count, ret_values);
}

static void point_of(const struct surrogate *surrogate, uint32_t index,
                     struct feature_vector *ret_vector)
{
    for (uint32_t f = 0; f < surrogate->features->count; f++)
        ret_vector->values[f] = surrogate->columns[(size_t)f * STRIDE + index];
    for (uint32_t t = 0; t < TRENDS; t++)
        ret_vector->trends[t] = surrogate->trends[t][index];
}

static double noise_of(const struct surrogate *surrogate)
{
    return exp(surrogate->log_weights[surrogate->features->slot_count]) + jitter;
}

/* ---- the inverse of the factor, row by row ---- */

/* Row `at` from those before it, the point's covariances with the points before it, and its variance. */
static void inverse_extend(struct surrogate *surrogate, uint32_t at, const double *along,
                           double variance)
{
    double factor[STRIDE], left = variance;
    double *row = surrogate->inverse + (size_t)at * STRIDE;
    memset(row, 0, (at + 1) * sizeof *row);
    for (uint32_t i = 0; i < at; i++) {
        factor[i] = dot(surrogate->inverse + (size_t)i * STRIDE, along, i + 1);
        left -= factor[i] * factor[i];
    }
    const double pivot = 1 / sqrt(left > jitter / 2 ? left : jitter / 2);
    for (uint32_t i = 0; i < at; i++)
        add_scaled(row, surrogate->inverse + (size_t)i * STRIDE, -pivot * factor[i], i + 1);
    row[at] = pivot;
}

/* white, alpha and scale of the first `known` points. */
static void solve(struct surrogate *surrogate, const double *values, uint32_t known)
{
    memcpy(surrogate->values, values, known * sizeof *values);
    memset(surrogate->alpha, 0, sizeof surrogate->alpha);
    for (uint32_t i = 0; i < known; i++) {
        const double *row = surrogate->inverse + (size_t)i * STRIDE;
        surrogate->white[i] = dot(row, values, i + 1);
        add_scaled(surrogate->alpha, row, surrogate->white[i], i + 1);
    }
    surrogate->scale = (dot(surrogate->white, surrogate->white, known) + 0.1) / (known + 0.1);
}

void surrogate_condition(struct surrogate *surrogate, const double *values, uint32_t known)
{
    double along[STRIDE];
    assert(known <= surrogate->count);
    for (uint32_t f = 0; f < surrogate->features->count; f++)
        surrogate->weights[f] = exp(surrogate->log_weights[surrogate->features->slot[f]]);
    for (uint32_t i = surrogate->rows; i < surrogate->count; i++) {
        struct feature_vector x;
        point_of(surrogate, i, &x);
        covariances(surrogate, &x, i, along);
        inverse_extend(surrogate, i, along,
                       variance_of(surrogate, x.trends) +
                           (i < known ? noise_of(surrogate) : jitter));
    }
    surrogate->rows = surrogate->count;
    solve(surrogate, values, known);
}

/* ---- fitting ---- */

static uint32_t pair_of(uint32_t i, uint32_t j)
{
    return i * (i + 1) / 2 + j;
}

/* What does not change while weights do: middle and width of the trends, squares of distances by slot. */
static void measure_points(struct surrogate *surrogate)
{
    const struct features *features = surrogate->features;
    const uint32_t n = surrogate->count;
    for (uint32_t t = 0; t < TRENDS; t++) {
        double sum = 0, squares = 0;
        for (uint32_t i = 0; i < n; i++)
            sum += surrogate->trends[t][i];
        const double middle = sum / n;
        for (uint32_t i = 0; i < n; i++)
            squares += (surrogate->trends[t][i] - middle) * (surrogate->trends[t][i] - middle);
        surrogate->trend_middle[t] = middle;
        surrogate->trend_width[t] = squares > 1e-12 * n ? sqrt(squares / n) : 1;
    }
    memset(surrogate->apart, 0, (size_t)features->slot_count * FIT_PAIRS * sizeof(double));
    for (uint32_t f = 0; f < features->count; f++) {
        const double *column = surrogate->columns + (size_t)f * STRIDE;
        double *apart = surrogate->apart + (size_t)features->slot[f] * FIT_PAIRS;
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j <= i; j++)
                apart[pair_of(i, j)] += (column[i] - column[j]) * (column[i] - column[j]);
    }
}

/* The inverse's rows by the present weights, and the slopes of the covariances. */
static void fit_factor(struct surrogate *surrogate)
{
    const uint32_t n = surrogate->count, slots = surrogate->features->slot_count;
    double weights[SURROGATE_WEIGHTS_MAX], along[STRIDE];
    for (uint32_t s = 0; s < slots; s++)
        weights[s] = exp(surrogate->log_weights[s]);
    for (uint32_t i = 0; i < n; i++) {
        memset(along, 0, sizeof along);
        for (uint32_t s = 0; s < slots; s++)
            add_scaled(along, surrogate->apart + (size_t)s * FIT_PAIRS + pair_of(i, 0), weights[s],
                       i + 1);
        matern_and_slopes(along, surrogate->slopes + (size_t)i * STRIDE, i + 1);
        double trends[TRENDS];
        for (uint32_t t = 0; t < TRENDS; t++)
            trends[t] = surrogate->trends[t][i];
        add_trends(surrogate, trends, i + 1, along);
        inverse_extend(surrogate, i, along, along[i] + noise_of(surrogate));
    }
}

/* The lower half of inverse' inverse. */
static void fit_precision(struct surrogate *surrogate)
{
    const uint32_t n = surrogate->count;
    for (uint32_t i = 0; i < n; i++)
        memset(surrogate->precision + (size_t)i * STRIDE, 0, (i + 1) * sizeof(double));
    for (uint32_t k = 0; k < n; k++) {
        const double *row = surrogate->inverse + (size_t)k * STRIDE;
        for (uint32_t i = 0; i <= k; i++)
            add_scaled(surrogate->precision + (size_t)i * STRIDE, row, row[i], i + 1);
    }
}

static double prior(const struct surrogate *surrogate, double *gradient)
{
    const uint32_t slots = surrogate->features->slot_count;
    double sum = 0;
    for (uint32_t i = 0; i <= slots; i++) {
        const double middle = i < slots ? weight_middle : noise_middle;
        const double width = i < slots ? weight_width : noise_width;
        const double off = (surrogate->log_weights[i] - middle) / width;
        sum += 0.5 * off * off;
        gradient[i] += off / width;
    }
    return sum;
}

/* d likelihood / d covariance of the pair (i, j): half of precision - alpha alpha / scale, twice for i > j. */
static void likelihood_gradient(struct surrogate *surrogate, double *gradient)
{
    const uint32_t n = surrogate->count, slots = surrogate->features->slot_count;
    double by_slot[SURROGATE_WEIGHTS_MAX] = {0}, diagonal = 0;
    for (uint32_t i = 0; i < n; i++) {
        double *row = surrogate->precision + (size_t)i * STRIDE;
        add_scaled(row, surrogate->alpha, -surrogate->alpha[i] / surrogate->scale, i + 1);
        diagonal += row[i];
        const double *slopes = surrogate->slopes + (size_t)i * STRIDE;
        for (uint32_t j = 0; j < i; j++)
            row[j] *= slopes[j];
        for (uint32_t s = 0; s < slots; s++)
            by_slot[s] += dot(row, surrogate->apart + (size_t)s * FIT_PAIRS + pair_of(i, 0), i);
    }
    for (uint32_t s = 0; s < slots; s++)
        gradient[s] += by_slot[s] * exp(surrogate->log_weights[s]);
    gradient[slots] += 0.5 * diagonal * exp(surrogate->log_weights[slots]);
}

/* The loss at the present weights; needs measure_points. */
static double loss_and_gradient(struct surrogate *surrogate, const double *values,
                                double *ret_gradient)
{
    const uint32_t n = surrogate->count;
    double sum = 0;
    memset(ret_gradient, 0, (surrogate->features->slot_count + 1) * sizeof *ret_gradient);
    fit_factor(surrogate);
    solve(surrogate, values, n);
    fit_precision(surrogate);
    for (uint32_t i = 0; i < n; i++)
        sum -= log(surrogate->inverse[(size_t)i * STRIDE + i]);
    sum += prior(surrogate, ret_gradient);
    likelihood_gradient(surrogate, ret_gradient);
    /* scale = (squares + 0.1) / (n + 0.1): the likelihood under an inverse-gamma prior of the scale, at its maximum */
    return sum + 0.5 * (n + 0.1) * log(surrogate->scale);
}

double surrogate_loss(struct surrogate *surrogate, const double *values, const double *log_weights,
                      double *ret_gradient)
{
    assert(surrogate->count > 0 && surrogate->count <= SURROGATE_FIT_POINTS_MAX);
    measure_points(surrogate);
    memcpy(surrogate->log_weights, log_weights,
           (surrogate->features->slot_count + 1) * sizeof *log_weights);
    surrogate->rows = 0;
    return loss_and_gradient(surrogate, values, ret_gradient);
}

/* Rprop (Riedmiller and Braun 1993): a step of its own for each parameter, by the gradient's sign. */
struct rprop {
    double steps[SURROGATE_WEIGHTS_MAX], before[SURROGATE_WEIGHTS_MAX];
};

static void rprop_move(struct rprop *rprop, double *values, const double *gradient, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const double agreement = gradient[i] * rprop->before[i];
        if (agreement > 0)
            rprop->steps[i] = fmin(rprop->steps[i] * 1.3, 1.0);
        if (agreement < 0)
            rprop->steps[i] *= 0.5;
        if (gradient[i] != 0)
            values[i] -= copysign(rprop->steps[i], gradient[i]);
        rprop->before[i] = gradient[i];
    }
}

void surrogate_fit(struct surrogate *surrogate, const double *values)
{
    const uint32_t slots = surrogate->features->slot_count;
    struct rprop rprop = {.before = {0}};
    double best = INFINITY, best_weights[SURROGATE_WEIGHTS_MAX];
    assert(surrogate->count > 0 && surrogate->count <= SURROGATE_FIT_POINTS_MAX);
    measure_points(surrogate);
    for (uint32_t i = 0; i <= slots; i++) {
        surrogate->log_weights[i] = i < slots ? weight_middle : noise_middle;
        rprop.steps[i] = 0.3;
    }
    memcpy(best_weights, surrogate->log_weights, sizeof best_weights);
    for (int step = 0; step < FIT_STEPS; step++) {
        double gradient[SURROGATE_WEIGHTS_MAX];
        const double loss = loss_and_gradient(surrogate, values, gradient);
        if (loss < best) {
            best = loss;
            memcpy(best_weights, surrogate->log_weights, sizeof best_weights);
        }
        rprop_move(&rprop, surrogate->log_weights, gradient, slots + 1);
    }
    memcpy(surrogate->log_weights, best_weights, sizeof best_weights);
    surrogate->rows = 0;
}

/* ---- predicting ---- */

double surrogate_smoothed(const struct surrogate *surrogate, uint32_t i)
{
    return surrogate->values[i] - noise_of(surrogate) * surrogate->alpha[i];
}

void surrogate_predict(const struct surrogate *surrogate, const struct feature_vector *x,
                       double *ret_mean, double *ret_deviation)
{
    const uint32_t n = surrogate->count;
    double along[STRIDE], variance = variance_of(surrogate, x->trends);
    covariances(surrogate, x, n, along);
    for (uint32_t i = 0; i < n; i++) {
        const double share = dot(surrogate->inverse + (size_t)i * STRIDE, along, i + 1);
        variance -= share * share;
    }
    *ret_mean = dot(along, surrogate->alpha, n);
    *ret_deviation = sqrt(fmax(variance, 1e-12) * surrogate->scale);
}
