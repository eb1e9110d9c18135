/* What a training step has to move over the memory bus, where a backend counts it. */
#ifndef TESTS_BENCH_ENGINE_TRAFFIC_H
#define TESTS_BENCH_ENGINE_TRAFFIC_H

#include "worker/engine/engine.h"

/* Bytes of the tensors that the launches of a step read and write, each once a launch; 0 where the backend does not say. */
size_t traffic_bytes(struct plan *plan, const struct backend *backend);

#endif
