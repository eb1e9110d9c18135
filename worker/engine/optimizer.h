/* Optimizers, clipping and moving averages over flat slabs, on the CPU. A slab holds `decayed` floats with weight decay first,
 * then the others that are trained, then the statistics. */
#ifndef WORKER_ENGINE_OPTIMIZER_H
#define WORKER_ENGINE_OPTIMIZER_H

#include "search/recipe.h"

#include <stddef.h>

enum { OPTIMIZER_STATES_MAX = 2 };

struct optimizer_slabs {
    float *values;
    const float *gradients;
    float *states
        [OPTIMIZER_STATES_MAX]; /* SGD: velocity; RMSProp: mean square, momentum; AdamW: first, second moment */
    float *averages;              /* (total); NULL where the recipe keeps none */
    size_t total, count, decayed; /* of all values, of what is trained, of that with weight decay */
};

/* State slabs that the kind needs: 1 or 2. */
size_t optimizer_state_count(enum optimizer_kind kind);

/* Before the first step: everything 0, RMSProp's mean square 1 (TensorFlow's). */
void optimizer_init(enum optimizer_kind kind, const struct optimizer_slabs *slabs);

struct optimizer_update {
    double learning_rate;
    uint64_t step; /* number of this one, from 0 */
};

/* One step. The gradients are those of the mean loss; with clip_norm they are first scaled by min(1, clip_norm / norm), norm
 * being the L2 norm of all of them together (Pascanu et al. 2013); a norm that is not finite is -EDOM, and nothing changes.
 * Then, w values, wd weight decay, which is 0 but on the decayed part, g gradients (+ wd w, but for AdamW), lr the rate:
 *   SGD      v = momentum v + g;  w -= lr (g + momentum v)                      (Nesterov, as in PyTorch)
 *   RMSProp  s = decay s + (1 - decay) g g;  m = momentum m + lr g / sqrt(s + epsilon);  w -= m    (TensorFlow's)
 *   AdamW    m = momentum m + (1 - momentum) g;  s = decay s + (1 - decay) g g;  w -= lr wd w;
 *            w -= lr m / (1 - momentum^t) / (sqrt(s / (1 - decay^t)) + epsilon)  (Loshchilov and Hutter 2019), t = step + 1
 * At last averages = d averages + (1 - d) values, d being average_decay. */
int optimizer_step(const struct recipe *recipe, const struct optimizer_update *update,
                   const struct optimizer_slabs *slabs) MUST_USE;

/* min(ema_decay, (1 + step) / (10 + step)): TensorFlow's, short at first. */
double average_decay(double ema_decay, uint64_t step);

/* Square root of the sum of squares, which are added in one fixed order. */
double slab_norm(const float *values, size_t count);

#endif
