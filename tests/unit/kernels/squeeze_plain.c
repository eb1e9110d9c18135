#include "tests/unit/kernels/squeeze_plain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

size_t plain_count(const struct plain_shape *shape, enum plain_input input)
{
    const size_t channels = shape->channels, squeezed = shape->squeezed;
    const size_t map = (size_t)shape->images * shape->pixels * channels;
    const size_t counts[PLAIN_INPUTS] = {
        map, map, channels, channels, squeezed * channels, squeezed, squeezed * channels, channels};
    return counts[input];
}

static double *zeros(size_t count)
{
    double *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double mean_of(const struct plain_shape *shape, const double *values, size_t channel)
{
    const size_t rows = (size_t)shape->images * shape->pixels;
    double sum = 0;
    for (size_t row = 0; row < rows; row++)
        sum += values[row * shape->channels + channel];
    return sum / (double)rows;
}

static void channel_forward(const struct plain_shape *shape, double *const inputs[PLAIN_INPUTS],
                            const struct plain_forward *forward, size_t c)
{
    const size_t rows = (size_t)shape->images * shape->pixels;
    const double mean = mean_of(shape, inputs[PLAIN_X], c);
    double variance = 0;
    for (size_t row = 0; row < rows; row++)
        variance += pow(inputs[PLAIN_X][row * shape->channels + c] - mean, 2) / (double)rows;
    forward->mean[c] = mean;
    forward->inverse[c] = 1 / sqrt(variance + shape->epsilon);
    for (size_t row = 0; row < rows; row++) {
        const size_t at = row * shape->channels + c;
        const double normal = (inputs[PLAIN_X][at] - mean) * forward->inverse[c];
        const double affine = normal * inputs[PLAIN_SCALE][c] + inputs[PLAIN_SHIFT][c];
        const double s = shape->silu ? sigmoid(affine) : 1;
        forward->normal[at] = normal;
        forward->value[at] = affine * s;
        forward->slope[at] = s + affine * s * (1 - s);
        forward->pooled[row / shape->pixels * shape->channels + c] +=
            forward->value[at] / shape->pixels;
    }
}

static void image_forward(const struct plain_shape *shape, double *const inputs[PLAIN_INPUTS],
                          const struct plain_forward *forward, size_t n)
{
    const size_t channels = shape->channels, squeezed = shape->squeezed;
    for (size_t s = 0; s < squeezed; s++) {
        double sum = inputs[PLAIN_REDUCE_BIAS][s];
        for (size_t c = 0; c < channels; c++)
            sum += inputs[PLAIN_REDUCE][s * channels + c] * forward->pooled[n * channels + c];
        forward->reduced[n * squeezed + s] = sum;
        forward->active[n * squeezed + s] = sum * sigmoid(sum);
    }
    for (size_t c = 0; c < channels; c++) {
        double sum = inputs[PLAIN_EXPAND_BIAS][c];
        for (size_t s = 0; s < squeezed; s++)
            sum += inputs[PLAIN_EXPAND][c * squeezed + s] * forward->active[n * squeezed + s];
        forward->gate[n * channels + c] = sigmoid(sum);
    }
}

/* Where a value of a map lies in (images, channels). */
static size_t image_place(const struct plain_shape *shape, size_t i)
{
    return i / shape->channels / shape->pixels * shape->channels + i % shape->channels;
}

struct plain_forward plain_forward_new(const struct plain_shape *shape,
                                       double *const inputs[PLAIN_INPUTS])
{
    const size_t map = plain_count(shape, PLAIN_X);
    const size_t gates = (size_t)shape->images * shape->channels;
    const size_t reduced = (size_t)shape->images * shape->squeezed;
    struct plain_forward forward = {
        zeros(shape->channels), zeros(shape->channels), zeros(map),     zeros(map),     zeros(map),
        zeros(gates),           zeros(gates),           zeros(reduced), zeros(reduced), 0};
    for (size_t c = 0; c < shape->channels; c++)
        channel_forward(shape, inputs, &forward, c);
    for (size_t n = 0; n < shape->images; n++)
        image_forward(shape, inputs, &forward, n);
    for (size_t i = 0; i < map; i++)
        forward.loss += inputs[PLAIN_G][i] * forward.value[i] * forward.gate[image_place(shape, i)];
    return forward;
}

void plain_forward_free(const struct plain_forward *forward)
{
    double *all[] = {forward->mean,  forward->inverse, forward->normal,
                     forward->value, forward->slope,   forward->pooled,
                     forward->gate,  forward->reduced, forward->active};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void sums_make(const struct plain_shape *shape, const double *g,
                      const struct plain_forward *forward, double *ret_sums)
{
    const size_t kind = (size_t)shape->images * shape->channels;
    for (size_t i = 0; i < plain_count(shape, PLAIN_X); i++) {
        double *sums = ret_sums + image_place(shape, i);
        const double slope = forward->slope[i], normal = forward->normal[i];
        const double terms[] = {g[i] * forward->value[i], g[i] * slope, g[i] * slope * normal,
                                slope, slope * normal};
        for (size_t k = 0; k < sizeof terms / sizeof *terms; k++)
            sums[k * kind] += terms[k];
    }
}

/* Of the two layers of an image, the last first. */
static void image_backward(const struct plain_shape *shape, double *const inputs[PLAIN_INPUTS],
                           const struct plain_forward *forward,
                           const struct plain_backward *backward, size_t n)
{
    const size_t channels = shape->channels, squeezed = shape->squeezed;
    double *dactive = zeros(squeezed);
    for (size_t c = 0; c < channels; c++) {
        const double gate = forward->gate[n * channels + c];
        const double d = backward->sums[n * channels + c] * gate * (1 - gate);
        backward->of[PLAIN_EXPAND_BIAS][c] += d;
        for (size_t s = 0; s < squeezed; s++) {
            backward->of[PLAIN_EXPAND][c * squeezed + s] += d * forward->active[n * squeezed + s];
            dactive[s] += d * inputs[PLAIN_EXPAND][c * squeezed + s];
        }
    }
    for (size_t s = 0; s < squeezed; s++) {
        const double x = forward->reduced[n * squeezed + s], y = sigmoid(x);
        const double d = dactive[s] * (y + x * y * (1 - y));
        backward->of[PLAIN_REDUCE_BIAS][s] += d;
        for (size_t c = 0; c < channels; c++) {
            backward->of[PLAIN_REDUCE][s * channels + c] += d * forward->pooled[n * channels + c];
            backward->added[n * channels + c] += d * inputs[PLAIN_REDUCE][s * channels + c];
        }
    }
    free(dactive);
}

/* Through the statistics, dz being written out. */
static void norm_backward_plain(const struct plain_shape *shape, double *const inputs[PLAIN_INPUTS],
                                const struct plain_forward *forward,
                                const struct plain_backward *backward)
{
    const size_t map = plain_count(shape, PLAIN_X), channels = shape->channels;
    const double rows = (double)shape->images * shape->pixels;
    double *d = zeros(map);
    for (size_t i = 0; i < map; i++) {
        const size_t at = image_place(shape, i), c = i % channels;
        const double dz =
            forward->gate[at] * inputs[PLAIN_G][i] + backward->added[at] / shape->pixels;
        d[i] = dz * forward->slope[i];
        backward->of[PLAIN_SHIFT][c] += d[i];
        backward->of[PLAIN_SCALE][c] += d[i] * forward->normal[i];
    }
    for (size_t c = 0; c < channels; c++) {
        backward->means[c] = backward->of[PLAIN_SHIFT][c] / rows;
        backward->means[channels + c] = backward->of[PLAIN_SCALE][c] / rows;
    }
    for (size_t i = 0; i < map; i++) {
        const size_t c = i % channels;
        backward->of[PLAIN_X][i] =
            inputs[PLAIN_SCALE][c] * forward->inverse[c] *
            (d[i] - backward->means[c] - forward->normal[i] * backward->means[channels + c]);
    }
    free(d);
}

struct plain_backward plain_backward_new(const struct plain_shape *shape,
                                         double *const inputs[PLAIN_INPUTS],
                                         const struct plain_forward *forward)
{
    const size_t gates = (size_t)shape->images * shape->channels;
    struct plain_backward backward = {
        zeros(5 * gates), zeros(gates), zeros((size_t)2 * shape->channels), {NULL}};
    for (int i = 0; i < PLAIN_INPUTS; i++)
        if (i != PLAIN_G)
            backward.of[i] = zeros(plain_count(shape, (enum plain_input)i));
    sums_make(shape, inputs[PLAIN_G], forward, backward.sums);
    for (size_t n = 0; n < shape->images; n++)
        image_backward(shape, inputs, forward, &backward, n);
    norm_backward_plain(shape, inputs, forward, &backward);
    return backward;
}

void plain_backward_free(const struct plain_backward *backward)
{
    free(backward->sums);
    free(backward->added);
    free(backward->means);
    for (int i = 0; i < PLAIN_INPUTS; i++)
        free(backward->of[i]);
}
