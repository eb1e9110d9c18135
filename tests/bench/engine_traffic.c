#include "tests/bench/engine_traffic.h"

#include "worker/engine/cuda/cuda.h"

size_t traffic_bytes(struct plan *plan, const struct backend *backend)
{
    const struct program *program = plan_program(plan);
    size_t bytes = 0;
    if (backend != backend_cuda())
        return 0;
    for (size_t i = 0; i < cuda_launch_count(program); i++)
        bytes += cuda_launch_bytes(program, i);
    return bytes;
}
