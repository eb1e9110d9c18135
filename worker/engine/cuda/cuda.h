/* The CUDA backend, for measurements and tests: what a step of a program launches. Programs are those of backend_cuda(). */
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

#endif
