/* The arithmetic of kernels/optimizer.cu: four floats of the arena a call. */
#ifndef KERNELS_OPTIMIZER_BODY_H
#define KERNELS_OPTIMIZER_BODY_H

#include "kernels/optimizer.h"

/* One value and what belongs to it. */
struct optimizer_lane {
    float value, gradient, first, second;
};

/* gradient: after clipping and weight decay */
KERNEL_BODY void sgd_lane(const struct optimizer_constants *constants,
                          const struct step_control *control, struct optimizer_lane *lane)
{
    const float momentum = constants->momentum, g = lane->gradient;
    lane->first = momentum * lane->first + g;
    lane->value -= control->rate * (g + momentum * lane->first);
}

KERNEL_BODY void rmsprop_lane(const struct optimizer_constants *constants,
                              const struct step_control *control, struct optimizer_lane *lane)
{
    const float decay = constants->decay, g = lane->gradient;
    lane->first = decay * lane->first + (1.0f - decay) * g * g;
    lane->second = constants->momentum * lane->second +
                   control->rate * g / sqrtf(lane->first + constants->epsilon);
    lane->value -= lane->second;
}

/* gradient: after clipping */
KERNEL_BODY void adamw_lane(const struct optimizer_constants *constants,
                            const struct step_control *control, float weight_decay,
                            struct optimizer_lane *lane)
{
    const float momentum = constants->momentum, decay = constants->decay, g = lane->gradient;
    lane->first = momentum * lane->first + (1.0f - momentum) * g;
    lane->second = decay * lane->second + (1.0f - decay) * g * g;
    lane->value = (1.0f - control->rate * weight_decay) * lane->value -
                  control->first_bias * lane->first /
                      (control->inverse_second * sqrtf(lane->second) + constants->epsilon);
}

KERNEL_BODY void optimizer_lane_step(enum optimizer_kind kind,
                                     const struct optimizer_constants *constants,
                                     const struct step_control *control, float weight_decay,
                                     struct optimizer_lane *lane)
{
    lane->gradient *= control->clip;
    if (kind == OPTIMIZER_ADAMW) {
        adamw_lane(constants, control, weight_decay, lane);
        return;
    }
    lane->gradient += weight_decay * lane->value;
    if (kind == OPTIMIZER_SGD)
        sgd_lane(constants, control, lane);
    else
        rmsprop_lane(constants, control, lane);
}

/* The trained ones of the floats first .. first + 3; w stays as it is where they are statistics. */
KERNEL_BODY void trained_step(enum optimizer_kind kind, const struct optimizer_arena *arena,
                              const struct optimizer_constants *constants,
                              const struct step_control *control, size_t first, struct quad *w)
{
    const bool two = kind != OPTIMIZER_SGD;
    const size_t count = arena->count;
    const struct quad g = quad_load(arena->gradients, first, count);
    struct quad s0 = quad_load(arena->states[0], first, count);
    struct quad s1 = quad_load(two ? arena->states[1] : arena->states[0], first, two ? count : 0);
    for (size_t i = 0; i < QUAD_FLOATS; i++) {
        const float decay = first + i < arena->decayed ? constants->weight_decay : 0.0f;
        struct optimizer_lane lane = {w->v[i], g.v[i], s0.v[i], s1.v[i]};
        optimizer_lane_step(kind, constants, control, decay, &lane);
        w->v[i] = first + i < count ? lane.value : w->v[i];
        s0.v[i] = lane.first;
        s1.v[i] = lane.second;
    }
    quad_store(arena->values, first, count, *w);
    quad_store(arena->states[0], first, count, s0);
    if (two)
        quad_store(arena->states[1], first, count, s1);
}

/* halves[first .. first + 3], as far as there are so many */
KERNEL_BODY void halves_store(uint16_t *halves, size_t first, size_t count, struct quad w)
{
    struct half_quad narrow;
    for (size_t i = 0; i < QUAD_FLOATS; i++)
        narrow.v[i] = bfloat_of(w.v[i]);
    if (first + QUAD_FLOATS <= count) {
        *(struct half_quad *)(void *)(halves + first) = narrow;
        return;
    }
    for (size_t i = 0; i < QUAD_FLOATS; i++)
        if (first + i < count)
            halves[first + i] = narrow.v[i];
}

/* Floats that a step touches. */
KERNEL_BODY size_t optimizer_extent(const struct optimizer_arena *arena)
{
    return arena->averages ? arena->total : arena->count;
}

/* The floats first .. first + 3 of the arena; first is a multiple of 4 below optimizer_extent. */
KERNEL_BODY void optimizer_quad(enum optimizer_kind kind, const struct optimizer_arena *arena,
                                const struct optimizer_constants *constants,
                                const struct step_control *control, size_t first)
{
    struct quad w = quad_load(arena->values, first, arena->total);
    if (first < arena->count)
        trained_step(kind, arena, constants, control, first, &w);
    if (arena->halves && first < arena->decayed)
        halves_store(arena->halves, first, arena->decayed, w);
    if (!arena->averages)
        return;
    struct quad a = quad_load(arena->averages, first, arena->total);
    for (size_t i = 0; i < QUAD_FLOATS; i++)
        a.v[i] += control->average_share * (w.v[i] - a.v[i]);
    quad_store(arena->averages, first, arena->total, a);
}

#endif
