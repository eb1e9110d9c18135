/* A build without oneDNN keeps no books. */
#include "tests/bench/engine_profile.h"

#include <errno.h>

const char *profile_kernels(void)
{
    return "-";
}

int profile_print(struct plan *plan, const struct backend *backend, uint32_t steps)
{
    (void)plan;
    (void)backend;
    (void)steps;
    return -EOPNOTSUPP;
}
