/* Softmax cross-entropy with label smoothing (Szegedy et al. 2016, section 7) and two labels an image (Zhang et al. 2018), on
 * the CPU. */
#ifndef WORKER_ENGINE_LOSS_H
#define WORKER_ENGINE_LOSS_H

#include "worker/engine/engine.h"

struct loss_options {
    uint32_t count, classes;
    double smoothing;      /* target = (1 - smoothing) * mixture + smoothing / classes */
    double gradient_scale; /* usually 1 / images of the whole batch */
};

/* mixture = share * onehot(label) + (1 - share) * onehot(partner). */
struct loss_targets {
    const uint32_t *labels;   /* (count), below classes, as are the partners */
    const uint32_t *partners; /* (count); NULL: labels count whole */
    const float *shares;      /* (count), 0 .. 1; not read where partners is NULL */
};

/* Sum over `count` images of the cross-entropy, and how many had their largest logit at the first label. logits (count,
 * classes). Where ret_gradient is not NULL it gets gradient_scale * d loss / d logits (count, classes). Logits that are not
 * finite give a loss that is not. */
struct batch_result loss_softmax(const struct loss_options *options,
                                 const struct loss_targets *targets, const float *logits,
                                 float *ret_gradient);

#endif
