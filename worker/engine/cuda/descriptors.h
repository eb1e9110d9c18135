/* cuDNN's backend descriptors: made, set and finalised with the first failure kept, and freed together. Private to
 * worker/engine/cuda. */
#ifndef WORKER_ENGINE_CUDA_DESCRIPTORS_H
#define WORKER_ENGINE_CUDA_DESCRIPTORS_H

#include "search/error.h"
#include "worker/engine/convolution.h"

#include <cudnn_graph.h>

enum { DESCRIPTORS_MAX = 80 };

/* Zeros are an empty set. After a failure all calls do nothing. */
struct descriptors {
    cudnnBackendDescriptor_t items[DESCRIPTORS_MAX];
    int count;
    cudnnStatus_t status;
};

void descriptors_release(struct descriptors *descriptors);
cudnnBackendDescriptor_t descriptors_new(struct descriptors *descriptors,
                                         cudnnBackendDescriptorType_t type);
void descriptors_set(struct descriptors *descriptors, cudnnBackendDescriptor_t descriptor,
                     cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                     int64_t count, const void *value);
void descriptors_finalize(struct descriptors *descriptors, cudnnBackendDescriptor_t descriptor);

/* What the operands of a convolution are called in variant packs; x, w and y stand for their
 * gradients where those are written. */
enum { DESCRIPTOR_X = 1, DESCRIPTOR_W = 2, DESCRIPTOR_Y = 3 };

/* The operation graph of one pass of one dense convolution. */
cudnnBackendDescriptor_t descriptors_convolution(struct descriptors *descriptors,
                                                 const struct convolution *convolution,
                                                 enum convolution_pass pass);

int descriptor_code(cudnnStatus_t status); /* as a negative errno */
/* Fills the error with what was being done, to which shape, and cuDNN's words; returns the code. */
int descriptor_error(cudnnStatus_t status, const char *operation, const char *shape,
                     struct error *error);

#endif
