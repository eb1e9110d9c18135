/* Workspaces of the convolver: cuDNN's part, then, for backward-filter, the gradient of the weights
 * as cuDNN writes it, in bfloat16. Private to worker/engine/cuda and --plan-check. */
#ifndef WORKER_ENGINE_CUDA_CONVOLVER_LAYOUT_H
#define WORKER_ENGINE_CUDA_CONVOLVER_LAYOUT_H

#include "search/error.h"
#include "worker/engine/cuda/planner.h"

size_t convolution_weight_count(const struct convolution *convolution); /* K R S C */

/* What is asked of the planner, so that the whole workspace is at most bytes_max; 0: no limit.
 * -ENOTSUP, pass and shape being named, where the gradient alone does not fit. */
int convolver_request(const struct convolution *convolution, enum convolution_pass pass,
                      size_t bytes_max, struct plan_request *ret_request,
                      struct error *error) MUST_USE;

/* Where the gradient begins, behind a plan's own workspace, and where the whole ends. */
size_t convolver_gradient_offset(size_t plan_bytes);
size_t convolver_workspace_bytes(const struct convolution *convolution, enum convolution_pass pass,
                                 size_t plan_bytes);

#endif
