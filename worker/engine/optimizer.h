/* Optimizers over flat slabs, on the CPU. A slab holds `decayed` floats with weight decay first, then the others. */
#ifndef WORKER_ENGINE_OPTIMIZER_H
#define WORKER_ENGINE_OPTIMIZER_H

#include "search/recipe.h"

#include <stddef.h>

enum { OPTIMIZER_STATES_MAX = 2 };

struct optimizer_slabs {
    float *values;
    const float *gradients;
    float *states[OPTIMIZER_STATES_MAX]; /* SGD: velocity; RMSProp: mean square, momentum */
    size_t count, decayed;
};

/* State slabs that the kind needs: 1 or 2. */
size_t optimizer_state_count(enum optimizer_kind kind);

/* Before the first step: everything 0, RMSProp's mean square 1 (TensorFlow's). */
void optimizer_init(enum optimizer_kind kind, const struct optimizer_slabs *slabs);

/* One step; w values, g gradients + weight_decay * w on the decayed part, lr the learning rate:
 *   SGD      v = momentum v + g;  w -= lr (g + momentum v)                      (Nesterov, as in PyTorch)
 *   RMSProp  s = decay s + (1 - decay) g g;  m = momentum m + lr g / sqrt(s + epsilon);  w -= m    (TensorFlow's) */
void optimizer_step(const struct recipe *recipe, double learning_rate,
                    const struct optimizer_slabs *slabs);

#endif
