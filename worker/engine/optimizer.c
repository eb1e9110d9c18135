#include "worker/engine/optimizer.h"

#include <errno.h>
#include <math.h>

size_t optimizer_state_count(enum optimizer_kind kind)
{
    return kind == OPTIMIZER_SGD ? 1 : 2;
}

void optimizer_init(enum optimizer_kind kind, const struct optimizer_slabs *slabs)
{
    for (size_t s = 0; s < optimizer_state_count(kind); s++) {
        const float initial = kind == OPTIMIZER_RMSPROP && s == 0 ? 1.0f : 0.0f;
        for (size_t i = 0; i < slabs->count; i++)
            slabs->states[s][i] = initial;
    }
}

/* A range of the slabs with one weight decay. */
struct range {
    size_t first, end;
    float weight_decay;
};

/* What a step needs, rounded to float once. */
struct constants {
    float rate, momentum, decay, epsilon;
    float clip; /* factor of the gradients */
    float first_bias,
        inverse_second; /* AdamW: rate / (1 - momentum^steps), 1 / sqrt(1 - decay^steps) */
};

static void sgd_range(const struct constants *constants, const struct optimizer_slabs *slabs,
                      struct range range)
{
    const float momentum = constants->momentum, rate = constants->rate, clip = constants->clip;
    float *restrict w = slabs->values;
    float *restrict v = slabs->states[0];
    const float *restrict gradients = slabs->gradients;
    for (size_t i = range.first; i < range.end; i++) {
        const float g = clip * gradients[i] + range.weight_decay * w[i];
        v[i] = momentum * v[i] + g;
        w[i] -= rate * (g + momentum * v[i]);
    }
}

static void rmsprop_range(const struct constants *constants, const struct optimizer_slabs *slabs,
                          struct range range)
{
    const float momentum = constants->momentum, decay = constants->decay;
    const float epsilon = constants->epsilon, rate = constants->rate, clip = constants->clip;
    float *restrict w = slabs->values;
    float *restrict s = slabs->states[0];
    float *restrict m = slabs->states[1];
    const float *restrict gradients = slabs->gradients;
    for (size_t i = range.first; i < range.end; i++) {
        const float g = clip * gradients[i] + range.weight_decay * w[i];
        s[i] = decay * s[i] + (1.0f - decay) * g * g;
        m[i] = momentum * m[i] + rate * g / sqrtf(s[i] + epsilon);
        w[i] -= m[i];
    }
}

static void adamw_range(const struct constants *constants, const struct optimizer_slabs *slabs,
                        struct range range)
{
    const float first = constants->momentum, second = constants->decay;
    const float epsilon = constants->epsilon, clip = constants->clip;
    const float kept = 1.0f - constants->rate * range.weight_decay;
    const float rate = constants->first_bias, inverse = constants->inverse_second;
    float *restrict w = slabs->values;
    float *restrict m = slabs->states[0];
    float *restrict s = slabs->states[1];
    const float *restrict gradients = slabs->gradients;
    for (size_t i = range.first; i < range.end; i++) {
        const float g = clip * gradients[i];
        m[i] = first * m[i] + (1.0f - first) * g;
        s[i] = second * s[i] + (1.0f - second) * g * g;
        w[i] = kept * w[i] - rate * m[i] / (inverse * sqrtf(s[i]) + epsilon);
    }
}

double slab_norm(const float *values, size_t count)
{
    enum { SUMS = 8 };
    double sums[SUMS] = {0}, total = 0;
    size_t i = 0;
    for (; i + SUMS <= count; i += SUMS)
        for (size_t s = 0; s < SUMS; s++)
            sums[s] += (double)values[i + s] * (double)values[i + s];
    for (; i < count; i++)
        total += (double)values[i] * (double)values[i];
    for (size_t s = 0; s < SUMS; s++)
        total += sums[s];
    return sqrt(total);
}

double average_decay(double ema_decay, uint64_t step)
{
    const double t = (double)step;
    return fmin(ema_decay, (1.0 + t) / (10.0 + t));
}

static void average_step(const struct optimizer_slabs *slabs, double decay)
{
    const float share = (float)(1.0 - decay);
    const float *restrict values = slabs->values;
    float *restrict averages = slabs->averages;
    for (size_t i = 0; i < slabs->total; i++)
        averages[i] += share * (values[i] - averages[i]);
}

/* The factor that brings the gradients within the recipe's norm. */
static int clip_of(const struct recipe *recipe, const struct optimizer_slabs *slabs,
                   double *ret_clip)
{
    if (recipe->clip_norm <= 0) {
        *ret_clip = 1.0;
        return 0;
    }
    const double norm = slab_norm(slabs->gradients, slabs->count);
    if (!isfinite(norm))
        return -EDOM;
    *ret_clip = norm > recipe->clip_norm ? recipe->clip_norm / norm : 1.0;
    return 0;
}

static void range_step(const struct recipe *recipe, const struct constants *constants,
                       const struct optimizer_slabs *slabs, struct range range)
{
    switch (recipe->optimizer) {
    case OPTIMIZER_SGD:
        sgd_range(constants, slabs, range);
        return;
    case OPTIMIZER_RMSPROP:
        rmsprop_range(constants, slabs, range);
        return;
    case OPTIMIZER_ADAMW:
        adamw_range(constants, slabs, range);
        return;
    }
}

int optimizer_step(const struct recipe *recipe, const struct optimizer_update *update,
                   const struct optimizer_slabs *slabs)
{
    double clip;
    int r = clip_of(recipe, slabs, &clip);
    if (r < 0)
        return r;
    const double rate = update->learning_rate, t = (double)update->step + 1;
    const struct constants constants = {
        .rate = (float)rate,
        .momentum = (float)recipe->momentum,
        .decay = (float)recipe->decay,
        .epsilon = (float)recipe->epsilon,
        .clip = (float)clip,
        .first_bias = (float)(rate / (1.0 - pow(recipe->momentum, t))),
        .inverse_second = (float)(1.0 / sqrt(1.0 - pow(recipe->decay, t)))};
    const struct range ranges[2] = {{0, slabs->decayed, (float)recipe->weight_decay},
                                    {slabs->decayed, slabs->count, 0.0f}};
    for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++)
        range_step(recipe, &constants, slabs, ranges[i]);
    if (slabs->averages)
        average_step(slabs, average_decay(recipe->ema_decay, update->step));
    return 0;
}
