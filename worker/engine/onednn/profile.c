#include "worker/engine/onednn/program.h"

#include <time.h>

const char *profile_kind_name(enum profile_kind kind)
{
    static const char *const names[PROFILE_COUNT] = {
        [PROFILE_DENSE_FORWARD] = "dense forward",
        [PROFILE_DENSE_BACKWARD_DATA] = "dense backward data",
        [PROFILE_DENSE_BACKWARD_WEIGHTS] = "dense backward weights",
        [PROFILE_STEM_BACKWARD_WEIGHTS] = "stem backward weights",
        [PROFILE_DEPTHWISE_FORWARD] = "depthwise forward",
        [PROFILE_DEPTHWISE_BACKWARD_DATA] = "depthwise backward data",
        [PROFILE_DEPTHWISE_BACKWARD_WEIGHTS] = "depthwise backward weights",
        [PROFILE_NORM_SUMS] = "norm sums",
        [PROFILE_NORM_APPLY] = "norm apply",
        [PROFILE_NORM_REDUCE] = "norm reduce",
        [PROFILE_NORM_DZ] = "norm dz",
        [PROFILE_GATE] = "squeeze-and-excitation",
        [PROFILE_TAIL] = "mean, linear, loss",
        [PROFILE_WEIGHTS] = "weight orders and sums",
        [PROFILE_UPDATE] = "optimizer",
    };
    return names[kind];
}

/* Time that this thread had a processor: other work on the machine does not count. */
static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void profile_start(struct onednn_program *program)
{
    if (program->profile)
        program->profile->started = now_s();
}

void profile_stop(struct onednn_program *program, enum profile_kind kind)
{
    struct profile *profile = program->profile;
    if (!profile)
        return;
    const double now = now_s();
    profile->seconds[kind] += now - profile->started;
    profile->started = now;
}
