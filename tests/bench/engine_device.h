/* What only a backend for a device of its own can say or do. */
#ifndef TESTS_BENCH_ENGINE_DEVICE_H
#define TESTS_BENCH_ENGINE_DEVICE_H

#include "worker/engine/engine.h"

/* Bytes of the tensors that the launches of a step read and write, each once a launch; 0 where the backend does not say. */
size_t device_step_bytes(struct plan *plan, const struct backend *backend);

/* Times what the device's library offers for each convolution of the plan, for plans that are made from now on; the plan's own
 * values are lost. -EOPNOTSUPP where the backend has no choice, and the errors of cuda_tune. */
int device_tune(struct plan *plan, const struct backend *backend, struct error *error) MUST_USE;

#endif
