/* What the oneDNN backend offers beside the seam: for tests and measurements. */
#ifndef WORKER_ENGINE_ONEDNN_ONEDNN_H
#define WORKER_ENGINE_ONEDNN_ONEDNN_H

#include "worker/engine/backend.h"
#include "worker/engine/onednn/kernels.h"

/* Where the time of a program went, by kind of work. */
enum profile_kind {
    PROFILE_DENSE_FORWARD,
    PROFILE_DENSE_BACKWARD_DATA,
    PROFILE_DENSE_BACKWARD_WEIGHTS,
    PROFILE_STEM_BACKWARD_WEIGHTS,
    PROFILE_DEPTHWISE_FORWARD,
    PROFILE_DEPTHWISE_BACKWARD_DATA,
    PROFILE_DEPTHWISE_BACKWARD_WEIGHTS,
    PROFILE_NORM_SUMS,
    PROFILE_NORM_APPLY,
    PROFILE_NORM_REDUCE,
    PROFILE_NORM_DZ,
    PROFILE_GATE,
    PROFILE_TAIL,
    PROFILE_WEIGHTS, /* into the library's own order, and accumulation of their gradients */
    PROFILE_UPDATE,
    PROFILE_COUNT
};

struct profile {
    double seconds[PROFILE_COUNT], started;
};

const char *profile_kind_name(enum profile_kind kind);
/* From now on the program's time is booked in *profile; NULL stops that. */
void onednn_profile(struct program *program, struct profile *profile);

/* A device that uses the given kernels and no bfloat16; backend_onednn() takes the best that the processor has. */
int onednn_open_with(const struct kernels *kernels, struct device **ret_device,
                     struct error *error) MUST_USE;

#endif
