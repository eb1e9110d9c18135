/* The network graph: what the backends compile.
 *
 * It is built from the layers of an architecture (search/layer.h): six kinds of operation on tensors (N, size, size,
 * channels), in execution order, and the parameters with their initial values. Operations are coarse, so that a backend can
 * fuse inside them: OP_NORM is batch normalisation, SiLU and the residual addition in one, OP_SQUEEZE the whole
 * squeeze-and-excitation.
 *
 * A graph is immutable once made. Tensor 0 is the image; every other tensor is the output of exactly one operation; the
 * last operation's output are the logits. */
#ifndef WORKER_ENGINE_GRAPH_H
#define WORKER_ENGINE_GRAPH_H

#include "search/architecture.h"

enum { GRAPH_NONE = UINT32_MAX, GRAPH_NAME_SIZE = 48 };

/* Added to the variance (EfficientNet's 1e-3). */
#define GRAPH_NORM_EPSILON 1e-3

enum op_kind {
    OP_CONV,      /* dense k x k, padding k/2, no bias; parameters: weight (out, in, k, k) */
    OP_DEPTHWISE, /* k x k, padding k/2, no bias; weight (channels, 1, k, k) */
    OP_NORM,      /* act(BN(input)) + residual; scale, shift, mean, variance (channels) */
    OP_SQUEEZE, /* input * sigmoid(E silu(R mean(input) + r) + e); R (squeezed, channels, 1, 1), r, E, e */
    OP_MEAN,  /* global mean: (N, size, size, c) -> (N, 1, 1, c) */
    OP_LINEAR /* weight (out, in), bias (out) */
};

struct graph_op {
    enum op_kind kind;
    uint32_t input, output; /* tensors */
    uint32_t residual;      /* OP_NORM: tensor added last, else GRAPH_NONE */
    uint32_t block;         /* where there is a residual: of which block, from 0; else GRAPH_NONE */
    bool silu;              /* OP_NORM */
    uint32_t kernel, stride;
    uint32_t squeezed;  /* OP_SQUEEZE: channels between its two layers */
    uint32_t parameter; /* index of the first; the others follow in the order given above */
};

struct graph_tensor {
    uint32_t size, channels; /* (N, size, size, channels) */
};

enum parameter_kind {
    PARAMETER_WEIGHT, /* trained, with weight decay */
    PARAMETER_BIAS,   /* trained, as are scale and shift */
    PARAMETER_SCALE,
    PARAMETER_SHIFT,
    PARAMETER_MEAN, /* running statistics, not trained */
    PARAMETER_VARIANCE
};

struct graph_parameter {
    char name[GRAPH_NAME_SIZE]; /* "blocks_0.exp.weight", "stem.bn.scale", "fc.bias" */
    enum parameter_kind kind;
    uint32_t dimension_count, dimensions[4];
    size_t elements;
    size_t
        fan; /* of the initial values: k * k * out for convolutions, classes for the last layer */
    size_t
        offset; /* in floats, in a slab laid out [weights | biases, scales, shifts | statistics] */
};

struct graph {
    struct problem problem;
    struct graph_op *ops;
    struct graph_tensor *tensors;
    struct graph_parameter *parameters;
    size_t op_count, tensor_count, parameter_count;
    uint32_t block_count;           /* blocks with and without a residual */
    uint32_t features;              /* channels that the last layer reads */
    size_t decayed, trained, total; /* floats of the slab: weights, + biases and BN, + statistics */
};

/* Architecture and problem have been validated. -ENOMEM. */
int graph_new(const struct architecture *architecture, const struct problem *problem,
              struct graph **ret_graph) MUST_USE;
void graph_free(struct graph *graph);

/* Index of a parameter by name, or parameter_count. */
size_t graph_parameter_find(const struct graph *graph, const char *name);

static inline bool parameter_trained(enum parameter_kind kind)
{
    return kind != PARAMETER_MEAN && kind != PARAMETER_VARIANCE;
}

/* Initial values of one parameter from the plan's seed, `elements` floats: convolutions N(0, sqrt(2 / (k k out))), depthwise
 * with out = 1, the last layer U(+-1 / sqrt(classes)), scale and variance 1, the rest 0 (EfficientNet's). */
void graph_initial_values(const struct graph *graph, size_t parameter, uint64_t seed,
                          float *ret_values);

#endif
