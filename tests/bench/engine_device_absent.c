/* A build without the CUDA backend. */
#include "tests/bench/engine_device.h"

#include <errno.h>

size_t device_step_bytes(struct plan *plan, const struct backend *backend)
{
    (void)plan;
    (void)backend;
    return 0;
}

int device_tune(struct plan *plan, const struct backend *backend, struct error *error)
{
    (void)plan;
    (void)backend;
    return error_set(error, -EOPNOTSUPP, "", "only the CUDA backend's plans are tuned");
}
