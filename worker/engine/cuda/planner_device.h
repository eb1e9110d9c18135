/* What the convolver needs of the planner, in cuDNN's terms. Private to worker/engine/cuda. */
#ifndef WORKER_ENGINE_CUDA_PLANNER_DEVICE_H
#define WORKER_ENGINE_CUDA_PLANNER_DEVICE_H

#include "worker/engine/cuda/planner.h"

#include <cudnn_graph.h>

/* For the device of a handle instead of a described one. -ENOMEM, -EIO. */
int planner_new_on(cudnnHandle_t handle, struct planner **ret_planner,
                   struct error *error) MUST_USE;

/* Belongs to the plan. */
cudnnBackendDescriptor_t plan_binary_descriptor(const struct plan_binary *plan);

#endif
