/* What convolver.c and convolver_tune.c share. */
#ifndef WORKER_ENGINE_CUDA_CONVOLVER_INTERNAL_H
#define WORKER_ENGINE_CUDA_CONVOLVER_INTERNAL_H

#include "worker/engine/cuda/convolver.h"
#include "worker/engine/cuda/plan_cache.h"
#include "worker/engine/cuda/planner_device.h"

struct convolver_plan {
    struct convolver_plan *next;
    const struct plan_binary *binary; /* the cache's */
    enum convolution_pass pass;
    size_t weights; /* K R S C */
    size_t gradient_offset, workspace_bytes;
};

/* A plan's operands in cuDNN's form. They cannot be changed once made, and making them allocates, so
 * they are kept for the next time that the plan meets the same tensors. */
struct pack {
    const struct convolver_plan *plan;
    void *x, *y, *weights, *workspace;
    cudnnBackendDescriptor_t descriptor;
};

enum { CONVOLVER_PLAN_BUCKETS = 1024, CONVOLVER_PACKS = 4096 };

struct convolver {
    cudnnHandle_t handle;
    struct CUstream_st *stream;
    size_t workspace_bytes_max;
    struct planner *planner;
    struct plan_cache *cache;
    struct convolver_plan *plans[CONVOLVER_PLAN_BUCKETS];
    struct pack packs[CONVOLVER_PACKS];
};

/* A plan around a binary; `next` is NULL. */
struct convolver_plan convolver_plan_of(const struct plan_request *request,
                                        const struct plan_binary *binary);

/* What is put onto the stream. The codes of descriptor_code, and -EIO. */
int convolver_execute(struct convolver *convolver, const struct convolver_plan *plan,
                      const struct convolver_tensors *tensors, cudnnBackendDescriptor_t pack);

/* A pack without `descriptor`, and its descriptor. */
struct pack pack_of(const struct convolver_plan *plan, const struct convolver_tensors *tensors);
cudnnStatus_t pack_make(struct pack *pack);
void pack_release(struct pack *pack);

#endif
