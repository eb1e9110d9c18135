#include "tests/bench/engine_device.h"

#include "worker/engine/cuda/cuda.h"

#include <errno.h>

size_t device_step_bytes(struct plan *plan, const struct backend *backend)
{
    const struct program *program = plan_program(plan);
    size_t bytes = 0;
    if (backend != backend_cuda())
        return 0;
    for (size_t i = 0; i < cuda_launch_count(program); i++)
        bytes += cuda_launch_bytes(program, i);
    return bytes;
}

int device_tune(struct plan *plan, const struct backend *backend, struct error *error)
{
    if (backend != backend_cuda())
        return error_set(error, -EOPNOTSUPP, "", "only the CUDA backend's plans are tuned");
    return cuda_tune(plan_program(plan), error);
}
