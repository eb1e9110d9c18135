#include "worker/engine/cuda/convolver.h"

#include "kernels/device.h"
#include "kernels/widen.h"
#include "worker/engine/cuda/convolver_internal.h"
#include "worker/engine/cuda/convolver_layout.h"
#include "worker/engine/cuda/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int convolver_new(const struct convolver_options *options, struct convolver **ret_convolver,
                  struct error *error)
{
    int r = device_check(error);
    if (r < 0)
        return r;
    struct convolver *convolver = calloc(1, sizeof *convolver);
    if (!convolver)
        return error_set(error, -ENOMEM, "", "out of memory");
    convolver->stream = options->stream;
    convolver->workspace_bytes_max = options->workspace_bytes_max;
    cudnnStatus_t status = cudnnCreate(&convolver->handle);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnSetStream(convolver->handle, options->stream);
    if (status != CUDNN_STATUS_SUCCESS)
        r = descriptor_error(status, "cuDNN's handle", "", error);
    if (r == 0)
        r = planner_new_on(convolver->handle, &convolver->planner, error);
    if (r == 0)
        r = plan_cache_new(convolver->planner, options->cache_directory, &convolver->cache, error);
    if (r < 0) {
        convolver_free(convolver);
        return r;
    }
    *ret_convolver = convolver;
    return 0;
}

void pack_release(struct pack *pack)
{
    if (pack->descriptor)
        cudnnBackendDestroyDescriptor(pack->descriptor);
    *pack = (struct pack){0};
}

void convolver_free(struct convolver *convolver)
{
    if (!convolver)
        return;
    for (size_t i = 0; i < CONVOLVER_PACKS; i++)
        pack_release(&convolver->packs[i]);
    for (size_t i = 0; i < CONVOLVER_PLAN_BUCKETS; i++)
        while (convolver->plans[i]) {
            struct convolver_plan *plan = convolver->plans[i];
            convolver->plans[i] = plan->next;
            free(plan);
        }
    plan_cache_free(convolver->cache);
    planner_free(convolver->planner);
    if (convolver->handle)
        cudnnDestroy(convolver->handle);
    free(convolver);
}

static size_t hash_pointers(const void *const *pointers, size_t count)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uintptr_t)pointers[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32);
}

struct convolver_plan convolver_plan_of(const struct plan_request *request,
                                        const struct plan_binary *binary)
{
    const size_t plan_bytes = (size_t)plan_binary_workspace(binary);
    return (struct convolver_plan){.binary = binary,
                                   .pass = request->pass,
                                   .weights = convolution_weight_count(&request->convolution),
                                   .gradient_offset = convolver_gradient_offset(plan_bytes),
                                   .workspace_bytes = convolver_workspace_bytes(
                                       &request->convolution, request->pass, plan_bytes)};
}

/* The convolver's plan around a binary of the cache. */
static int find_plan(struct convolver *convolver, const struct plan_request *request,
                     const struct plan_binary *binary, const struct convolver_plan **ret_plan,
                     struct error *error)
{
    const void *const pointers[] = {binary};
    struct convolver_plan **at =
        &convolver->plans[hash_pointers(pointers, 1) % CONVOLVER_PLAN_BUCKETS];
    while (*at && (*at)->binary != binary)
        at = &(*at)->next;
    if (!*at) {
        struct convolver_plan *plan = malloc(sizeof *plan);
        if (!plan)
            return error_set(error, -ENOMEM, "", "out of memory");
        *plan = convolver_plan_of(request, binary);
        *at = plan;
    }
    *ret_plan = *at;
    return 0;
}

int convolver_prepare(struct convolver *convolver, const struct convolution *convolution,
                      enum convolution_pass pass, const struct convolver_plan **ret_plan,
                      struct error *error)
{
    struct plan_request request;
    const struct plan_binary *binary;
    int r = convolver_request(convolution, pass, convolver->workspace_bytes_max, &request, error);
    if (r < 0)
        return r;
    r = plan_cache_timed(convolver->cache, &request, &binary);
    if (r == -ENOENT)
        r = plan_cache_get(convolver->cache, &request, &binary, error);
    else if (r < 0)
        return error_set(error, r, "", "a plan cannot be kept");
    return r < 0 ? r : find_plan(convolver, &request, binary, ret_plan, error);
}

size_t convolver_workspace(const struct convolver_plan *plan)
{
    return plan->workspace_bytes;
}

/* cuDNN's weights: backward-filter writes its gradient into the workspace. */
static void *weights_of(const struct convolver_plan *plan, const struct convolver_tensors *tensors)
{
    if (plan->pass != CONVOLUTION_BACKWARD_FILTER)
        return tensors->weights;
    return (unsigned char *)tensors->workspace + plan->gradient_offset;
}

struct pack pack_of(const struct convolver_plan *plan, const struct convolver_tensors *tensors)
{
    return (struct pack){.plan = plan,
                         .x = tensors->x,
                         .y = tensors->y,
                         .weights = weights_of(plan, tensors),
                         .workspace = tensors->workspace};
}

cudnnStatus_t pack_make(struct pack *pack)
{
    const int64_t names[] = {DESCRIPTOR_X, DESCRIPTOR_W, DESCRIPTOR_Y};
    void *const pointers[] = {pack->x, pack->weights, pack->y};
    struct descriptors descriptors = {0};
    cudnnBackendDescriptor_t descriptor =
        descriptors_new(&descriptors, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    descriptors_set(&descriptors, descriptor, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                    ARRAY_LENGTH(names), names);
    descriptors_set(&descriptors, descriptor, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                    CUDNN_TYPE_VOID_PTR, ARRAY_LENGTH(pointers), pointers);
    descriptors_set(&descriptors, descriptor, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                    CUDNN_TYPE_VOID_PTR, 1, &pack->workspace);
    descriptors_finalize(&descriptors, descriptor);
    if (descriptors.status == CUDNN_STATUS_SUCCESS)
        pack->descriptor = descriptor;
    else
        descriptors_release(&descriptors);
    return descriptors.status;
}

/* The pack of a plan and its tensors; the convolver's, until another one needs the place. */
static cudnnStatus_t find_pack(struct convolver *convolver, const struct convolver_plan *plan,
                               const struct convolver_tensors *tensors,
                               cudnnBackendDescriptor_t *ret_descriptor)
{
    struct pack wanted = pack_of(plan, tensors);
    const void *const pointers[] = {plan, wanted.x, wanted.y, wanted.weights, wanted.workspace};
    const size_t place = hash_pointers(pointers, ARRAY_LENGTH(pointers)) % CONVOLVER_PACKS;
    struct pack *pack = &convolver->packs[place];
    if (pack->plan != plan || pack->x != wanted.x || pack->y != wanted.y ||
        pack->weights != wanted.weights || pack->workspace != wanted.workspace) {
        cudnnStatus_t status = pack_make(&wanted);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
        pack_release(pack);
        *pack = wanted;
    }
    *ret_descriptor = pack->descriptor;
    return CUDNN_STATUS_SUCCESS;
}

static bool aligned(const void *pointer, size_t bytes)
{
    return (uintptr_t)pointer % bytes == 0;
}

static void check_tensors(const struct convolver_plan *plan,
                          const struct convolver_tensors *tensors)
{
    const bool filter = plan->pass == CONVOLUTION_BACKWARD_FILTER;
    assert(tensors->x && aligned(tensors->x, 16) && tensors->y && aligned(tensors->y, 16));
    assert(filter || (tensors->weights && aligned(tensors->weights, 16)));
    assert(!filter || (tensors->dweights && aligned(tensors->dweights, 16)));
    assert(plan->workspace_bytes == 0 || tensors->workspace);
    assert(aligned(tensors->workspace, CONVOLVER_ALIGNMENT));
}

int convolver_execute(struct convolver *convolver, const struct convolver_plan *plan,
                      const struct convolver_tensors *tensors, cudnnBackendDescriptor_t pack)
{
    cudnnStatus_t status =
        cudnnBackendExecute(convolver->handle, plan_binary_descriptor(plan->binary), pack);
    if (status != CUDNN_STATUS_SUCCESS)
        return descriptor_code(status);
    if (plan->pass != CONVOLUTION_BACKWARD_FILTER)
        return 0;
    return widen_launch(weights_of(plan, tensors), tensors->dweights, plan->weights, tensors->add,
                        convolver->stream);
}

int convolver_run(struct convolver *convolver, const struct convolver_plan *plan,
                  const struct convolver_tensors *tensors)
{
    check_tensors(plan, tensors);
    cudnnBackendDescriptor_t pack;
    cudnnStatus_t status = find_pack(convolver, plan, tensors, &pack);
    if (status != CUDNN_STATUS_SUCCESS)
        return descriptor_code(status) == -ENOMEM ? -ENOMEM : -EIO;
    int r = convolver_execute(convolver, plan, tensors, pack);
    return r == 0 || r == -ENOMEM ? r : -EIO;
}
