#include "worker/engine/cuda/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void descriptors_release(struct descriptors *descriptors)
{
    while (descriptors->count > 0)
        cudnnBackendDestroyDescriptor(descriptors->items[--descriptors->count]);
}

cudnnBackendDescriptor_t descriptors_new(struct descriptors *descriptors,
                                         cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t descriptor = NULL;
    assert(descriptors->count < DESCRIPTORS_MAX);
    if (descriptors->status != CUDNN_STATUS_SUCCESS)
        return NULL;
    descriptors->status = cudnnBackendCreateDescriptor(type, &descriptor);
    if (descriptors->status != CUDNN_STATUS_SUCCESS)
        return NULL;
    descriptors->items[descriptors->count++] = descriptor;
    return descriptor;
}

void descriptors_set(struct descriptors *descriptors, cudnnBackendDescriptor_t descriptor,
                     cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                     int64_t count, const void *value)
{
    if (descriptors->status == CUDNN_STATUS_SUCCESS)
        descriptors->status = cudnnBackendSetAttribute(descriptor, name, type, count, value);
}

void descriptors_finalize(struct descriptors *descriptors, cudnnBackendDescriptor_t descriptor)
{
    if (descriptors->status == CUDNN_STATUS_SUCCESS)
        descriptors->status = cudnnBackendFinalize(descriptor);
}

/* (n, c, h, w) in this order, laid out (n, h, w, c). */
static cudnnBackendDescriptor_t make_tensor(struct descriptors *descriptors, int64_t uid,
                                            const int64_t dimensions[4])
{
    const int64_t c = dimensions[1], h = dimensions[2], w = dimensions[3];
    const int64_t strides[4] = {h * w * c, 1, w * c, c}, alignment = 16;
    const cudnnDataType_t type = CUDNN_DATA_BFLOAT16;
    cudnnBackendDescriptor_t tensor = descriptors_new(descriptors, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    descriptors_set(descriptors, tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1,
                    &type);
    descriptors_set(descriptors, tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4,
                    dimensions);
    descriptors_set(descriptors, tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    descriptors_set(descriptors, tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    descriptors_set(descriptors, tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1,
                    &alignment);
    descriptors_finalize(descriptors, tensor);
    return tensor;
}

static cudnnBackendDescriptor_t make_window(struct descriptors *descriptors,
                                            const struct convolution *convolution)
{
    const int64_t spatial = 2, stride = convolution->stride, pad = convolution->kernel / 2;
    const int64_t strides[2] = {stride, stride}, pads[2] = {pad, pad}, dilations[2] = {1, 1};
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t window =
        descriptors_new(descriptors, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1,
                    &spatial);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1,
                    &compute);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_CONV_MODE,
                    CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2,
                    pads);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2,
                    pads);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2,
                    dilations);
    descriptors_set(descriptors, window, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2,
                    strides);
    descriptors_finalize(descriptors, window);
    return window;
}

/* How the three passes name the same things; x, w and y stand for their gradients where those are written. */
struct pass_names {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t window, x, w, y, alpha, beta;
};

static const struct pass_names pass_names[CONVOLUTION_PASSES] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};

cudnnBackendDescriptor_t descriptors_convolution(struct descriptors *descriptors,
                                                 const struct convolution *convolution,
                                                 enum convolution_pass pass)
{
    assert(pass < CONVOLUTION_PASSES && !convolution->depthwise);
    const struct pass_names *names = &pass_names[pass];
    const int64_t n = convolution->batch, in = convolution->in_size, out = convolution->out_size;
    const int64_t c = convolution->in_channels, k = convolution->kernel;
    const int64_t x_dimensions[4] = {n, c, in, in};
    const int64_t w_dimensions[4] = {convolution->out_channels, c, k, k};
    const int64_t y_dimensions[4] = {n, convolution->out_channels, out, out};
    const float one = 1, zero = 0;
    cudnnBackendDescriptor_t window = make_window(descriptors, convolution);
    cudnnBackendDescriptor_t x = make_tensor(descriptors, DESCRIPTOR_X, x_dimensions);
    cudnnBackendDescriptor_t w = make_tensor(descriptors, DESCRIPTOR_W, w_dimensions);
    cudnnBackendDescriptor_t y = make_tensor(descriptors, DESCRIPTOR_Y, y_dimensions);
    cudnnBackendDescriptor_t operation = descriptors_new(descriptors, names->operation);
    const cudnnBackendAttributeType_t type = CUDNN_TYPE_BACKEND_DESCRIPTOR;
    descriptors_set(descriptors, operation, names->window, type, 1, &window);
    descriptors_set(descriptors, operation, names->x, type, 1, &x);
    descriptors_set(descriptors, operation, names->w, type, 1, &w);
    descriptors_set(descriptors, operation, names->y, type, 1, &y);
    descriptors_set(descriptors, operation, names->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    descriptors_set(descriptors, operation, names->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    descriptors_finalize(descriptors, operation);
    cudnnBackendDescriptor_t graph =
        descriptors_new(descriptors, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    descriptors_set(descriptors, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, type, 1, &operation);
    descriptors_finalize(descriptors, graph);
    return graph;
}

int descriptor_code(cudnnStatus_t status)
{
    const int category = (int)status / 1000; /* cuDNN numbers its codes by categories of 1000 */
    if (status == CUDNN_STATUS_ALLOC_FAILED)
        return -ENOMEM;
    return category == (int)CUDNN_STATUS_BAD_PARAM / 1000       ? -EINVAL
           : category == (int)CUDNN_STATUS_NOT_SUPPORTED / 1000 ? -ENOTSUP
                                                                : -EIO;
}

int descriptor_error(cudnnStatus_t status, const char *operation, const char *shape,
                     struct error *error)
{
    char words[256] = "";
    cudnnGetLastErrorString(words, sizeof words);
    return error_set(error, descriptor_code(status), "", "%s%s%s: %s%s%.200s", operation,
                     shape[0] ? " of " : "", shape, cudnnGetErrorString(status),
                     words[0] ? ": " : "", words);
}
