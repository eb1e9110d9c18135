#include "worker/engine/optimizer.h"

#include <math.h>

size_t optimizer_state_count(enum optimizer_kind kind)
{
    return kind == OPTIMIZER_RMSPROP ? 2 : 1;
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

static void sgd_range(const struct recipe *recipe, float rate, const struct optimizer_slabs *slabs,
                      struct range range)
{
    const float momentum = (float)recipe->momentum;
    float *restrict w = slabs->values;
    float *restrict v = slabs->states[0];
    const float *restrict gradients = slabs->gradients;
    for (size_t i = range.first; i < range.end; i++) {
        const float g = gradients[i] + range.weight_decay * w[i];
        v[i] = momentum * v[i] + g;
        w[i] -= rate * (g + momentum * v[i]);
    }
}

static void rmsprop_range(const struct recipe *recipe, float rate,
                          const struct optimizer_slabs *slabs, struct range range)
{
    const float momentum = (float)recipe->momentum, decay = (float)recipe->decay;
    const float epsilon = (float)recipe->epsilon;
    float *restrict w = slabs->values;
    float *restrict s = slabs->states[0];
    float *restrict m = slabs->states[1];
    const float *restrict gradients = slabs->gradients;
    for (size_t i = range.first; i < range.end; i++) {
        const float g = gradients[i] + range.weight_decay * w[i];
        s[i] = decay * s[i] + (1.0f - decay) * g * g;
        m[i] = momentum * m[i] + rate * g / sqrtf(s[i] + epsilon);
        w[i] -= m[i];
    }
}

void optimizer_step(const struct recipe *recipe, double learning_rate,
                    const struct optimizer_slabs *slabs)
{
    const struct range ranges[2] = {{0, slabs->decayed, (float)recipe->weight_decay},
                                    {slabs->decayed, slabs->count, 0.0f}};
    for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++) {
        if (recipe->optimizer == OPTIMIZER_RMSPROP)
            rmsprop_range(recipe, (float)learning_rate, slabs, ranges[i]);
        else
            sgd_range(recipe, (float)learning_rate, slabs, ranges[i]);
    }
}
