/* A build without the CUDA backend has none that counts. */
#include "tests/bench/engine_traffic.h"

size_t traffic_bytes(struct plan *plan, const struct backend *backend)
{
    (void)plan;
    (void)backend;
    return 0;
}
