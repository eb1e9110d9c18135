/* What changes from step to step, in one struct in device memory: the host writes it before a step's kernels, on the same
 * stream, and the kernels, recorded in a CUDA graph or not, are the same ones every time. */
#ifndef KERNELS_STEP_H
#define KERNELS_STEP_H

#include "kernels/portable.h"

/* cudaStream_t, for callers that do not see CUDA's headers; NULL is the default stream. */
struct CUstream_st;

/* Why a step changes nothing; STEP_REHEARSED: it is run for what its first launches set up. */
enum { STEP_LOSS_NOT_FINITE = 1, STEP_NORM_NOT_FINITE = 2, STEP_REHEARSED = 4 };

struct step_control {
    float rate;                       /* learning rate */
    float first_bias, inverse_second; /* AdamW: rate / (1 - momentum^t), 1 / sqrt(1 - decay^t) */
    float average_share;              /* averages += share (values - averages) */
    float clip;                       /* factor of the gradients; gradient_norm_launch writes it */
    float norm;                       /* of the gradients; gradient_norm_launch writes it */
    uint32_t refused; /* STEP_ bits, set by kernels; not 0: the optimizer does nothing */
    uint64_t step;    /* number of this one, from 0 */
};

struct step_rates {
    double learning_rate, momentum, decay, ema_decay;
    uint64_t step; /* number of this one, from 0 */
};

/* For the beginning of a step: nothing refused, clip 1. Rounded to float once, as worker/engine's optimizer does. */
static inline struct step_control step_control_of(const struct step_rates *rates)
{
    const double t = (double)rates->step, rate = rates->learning_rate;
    struct step_control control;
    memset(&control, 0, sizeof control);
    control.rate = (float)rate;
    control.first_bias = (float)(rate / (1.0 - pow(rates->momentum, t + 1)));
    control.inverse_second = (float)(1.0 / sqrt(1.0 - pow(rates->decay, t + 1)));
    control.average_share = (float)(1.0 - fmin(rates->ema_decay, (1.0 + t) / (10.0 + t)));
    control.clip = 1.0f;
    control.step = rates->step;
    return control;
}

#endif
