/* Softmax cross-entropy with label smoothing (Szegedy et al. 2016, section 7), on the CPU. */
#ifndef WORKER_ENGINE_LOSS_H
#define WORKER_ENGINE_LOSS_H

#include "worker/engine/engine.h"

struct loss_options {
    uint32_t count, classes;
    double smoothing;      /* target = (1 - smoothing) * onehot + smoothing / classes */
    double gradient_scale; /* usually 1 / images of the whole batch */
};

/* Sum over `count` images of the cross-entropy, and how many were right. logits (count, classes), labels (count) below
 * `classes`. Where ret_gradient is not NULL it gets gradient_scale * d loss / d logits (count, classes). Logits that are not
 * finite give a loss that is not. */
struct batch_result loss_softmax(const struct loss_options *options, const float *logits,
                                 const uint32_t *labels, float *ret_gradient);

#endif
