/* The CUDA backend, for measurements and tests: what a step of a program launches, and how long that takes.
 * Programs are those of backend_cuda(). */
#ifndef WORKER_ENGINE_CUDA_CUDA_H
#define WORKER_ENGINE_CUDA_CUDA_H

#include "worker/engine/backend.h"

enum { CUDA_LAUNCH_TEXT_SIZE = 1024 };

/* Launches of a training step, in their order: forward, loss, backward, update. */
size_t cuda_launch_count(const struct program *program);
/* Bytes of the tensors that a launch reads and writes, each once. */
size_t cuda_launch_bytes(const struct program *program, size_t index);
/* "depthwise_forward_launch  reads blocks_0.exp.y 50176, ...  writes blocks_0.dw.y 50176, ..." */
void cuda_launch_text(const struct program *program, size_t index,
                      char ret_text[CUDA_LAUNCH_TEXT_SIZE]);

/* Times the plans of all dense convolutions on the program's own buffers and keeps the fastest, on disk too, for programs that are
 * made from now on; see convolver_tune. Takes seconds a convolution that is new. Activations and gradients are lost. Errors of
 * convolver_tune. */
int cuda_tune(struct program *program, struct error *error) MUST_USE;
/* Does the last step's launches again, one by one, and says how long each took by the device's clock: ret_seconds
 * (cuda_launch_count). Events stand between them, so a short launch counts for more than it costs inside a recorded step. The
 * program's values mean nothing afterwards. -EINVAL before the first step, -ENOMEM, -EIO. */
int cuda_profile(struct program *program, double *ret_seconds, struct error *error) MUST_USE;

#endif
