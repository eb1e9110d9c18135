#include "worker/engine/cuda/convolver_internal.h"
#include "worker/engine/cuda/convolver_layout.h"
#include "worker/engine/cuda/descriptors.h"
#include "worker/engine/cuda/tuning_device.h"

#include <errno.h>

enum { PLANS_MAX = 16 };

/* The plans that are timed. */
struct trial {
    struct convolver *convolver;
    const struct plan_request *request;
    const struct convolver_tensors *tensors;
    struct plan_binary *binaries[PLANS_MAX];
    size_t count;
};

static void trial_release(struct trial *trial)
{
    for (size_t i = 0; i < trial->count; i++)
        plan_binary_free(trial->binaries[i]);
}

static int use_stream(struct convolver *convolver, struct CUstream_st *stream)
{
    const cudnnStatus_t status = cudnnSetStream(convolver->handle, stream);
    if (status == CUDNN_STATUS_SUCCESS)
        convolver->stream = stream;
    return status == CUDNN_STATUS_SUCCESS ? 0 : descriptor_code(status);
}

/* The packs of these plans are not the convolver's to keep: they go when the plans do. */
static int enqueue(void *context, size_t candidate, struct CUstream_st *stream)
{
    struct trial *trial = context;
    const struct convolver_plan plan =
        convolver_plan_of(trial->request, trial->binaries[candidate]);
    struct pack pack = pack_of(&plan, trial->tensors);
    int r = use_stream(trial->convolver, stream);
    if (r < 0)
        return r;
    const cudnnStatus_t status = pack_make(&pack);
    if (status != CUDNN_STATUS_SUCCESS)
        return descriptor_code(status);
    r = convolver_execute(trial->convolver, &plan, trial->tensors, pack.descriptor);
    pack_release(&pack);
    return r;
}

static int find_fastest(struct trial *trial, size_t *ret_winner, struct error *error)
{
    struct CUstream_st *const stream = trial->convolver->stream;
    const struct tuning_device tuning = {
        .count = trial->count, .after = stream, .context = trial, .enqueue = enqueue};
    int r = tuning_device_run(&tuning, ret_winner, error);
    const int back = use_stream(trial->convolver, stream);
    return r == 0 && back < 0 ? error_set(error, back, "", "cuDNN has lost its stream") : r;
}

/* The request that convolver_prepare will make, and the same within the bytes at hand. */
static int make_requests(const struct convolver *convolver, const struct plan_request *wanted,
                         size_t workspace_bytes, struct plan_request ret_requests[2],
                         struct error *error)
{
    const size_t ours = convolver_workspace_bytes(&wanted->convolution, wanted->pass, 0);
    int r = convolver_request(&wanted->convolution, wanted->pass, convolver->workspace_bytes_max,
                              &ret_requests[0], error);
    if (r < 0)
        return r;
    if (workspace_bytes < ours)
        return error_set(error, -ENOTSUP, "", "%zu bytes of workspace are too few to time a plan",
                         workspace_bytes);
    ret_requests[1] = ret_requests[0];
    const size_t theirs = (workspace_bytes - ours) / CONVOLVER_ALIGNMENT * CONVOLVER_ALIGNMENT;
    if (ret_requests[1].workspace_bytes_max > theirs)
        ret_requests[1].workspace_bytes_max = theirs;
    return 0;
}

int convolver_tune(struct convolver *convolver, const struct convolution *convolution,
                   enum convolution_pass pass, const struct convolver_tensors *tensors,
                   size_t workspace_bytes, struct error *error)
{
    const struct plan_request wanted = {.convolution = *convolution, .pass = pass};
    struct plan_request requests[2];
    const struct plan_binary *known;
    int r = make_requests(convolver, &wanted, workspace_bytes, requests, error);
    if (r < 0)
        return r;
    r = plan_cache_timed(convolver->cache, &requests[0], &known);
    if (r >= 0)
        return 0;
    if (r != -ENOENT)
        return error_set(error, r, "", "a plan cannot be kept");
    CLEANUP(trial_release)
    struct trial trial = {.convolver = convolver, .request = &requests[1], .tensors = tensors};
    r = planner_build_several(convolver->planner, &requests[1], trial.binaries, PLANS_MAX,
                              &trial.count, error);
    if (r < 0)
        return r;
    size_t winner;
    r = find_fastest(&trial, &winner, error);
    if (r == -ENOTSUP) {
        char text[CONVOLUTION_TEXT_SIZE];
        convolution_text(convolution, text);
        return error_set(error, r, "", "%s of %s: none of %zu plans can be recorded",
                         convolution_pass_name(pass), text, trial.count);
    }
    if (r == 0)
        r = plan_cache_keep_timed(convolver->cache, &requests[0], trial.binaries[winner], error);
    if (r == 0)
        trial.binaries[winner] = NULL; /* the cache's now */
    return r;
}
