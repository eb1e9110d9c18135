#include "tests/bench/engine_profile.h"

#include "tests/bench/engine_measure.h"
#include "worker/engine/onednn/onednn.h"

#include <errno.h>
#include <stdio.h>

const char *profile_kernels(void)
{
    return kernels_at(0)->name;
}

int profile_print(struct plan *plan, const struct backend *backend, uint32_t steps)
{
    struct profile profile = {{0}, 0};
    struct duration duration = {0, 0, 0};
    double booked = 0;
    if (backend != backend_onednn())
        return -EOPNOTSUPP;
    onednn_profile(plan_program(plan), &profile);
    int r = steps_time(plan, steps, &duration);
    onednn_profile(plan_program(plan), NULL);
    if (r < 0)
        return r;
    const double seconds = duration.processor;
    printf("\n| kind | ms a step | share |\n|---|---|---|\n");
    for (int kind = 0; kind < PROFILE_COUNT; kind++) {
        booked += profile.seconds[kind];
        printf("| %s | %.2f | %.1f %% |\n", profile_kind_name((enum profile_kind)kind),
               1e3 * profile.seconds[kind] / steps, 100 * profile.seconds[kind] / seconds);
    }
    printf("| not booked | %.2f | %.1f %% |\n", 1e3 * (seconds - booked) / steps,
           100 * (seconds - booked) / seconds);
    return 0;
}
