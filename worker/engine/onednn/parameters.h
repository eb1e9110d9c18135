/* Where each parameter of the graph lies in the backend's slab, and in which order: padded to whole blocks of channels, the
 * padding zero. The slab is [weights | biases, scales, shifts | statistics], as the graph's, so that the optimizer runs over
 * it without knowing the orders. */
#ifndef WORKER_ENGINE_ONEDNN_PARAMETERS_H
#define WORKER_ENGINE_ONEDNN_PARAMETERS_H

#include "worker/engine/graph.h"

enum parameter_order {
    ORDER_CHANNELS,  /* (channels) */
    ORDER_DENSE,     /* (out / lanes, in / lanes, k, k, lanes in, lanes out) */
    ORDER_STEM,      /* (out / lanes, k, k, in, lanes) */
    ORDER_DEPTHWISE, /* (channels / lanes, k, k, lanes) */
    ORDER_MATRIX,    /* (out, in), both padded */
    ORDER_TRANSPOSED /* (in, out), both padded: the second matrix of squeeze-and-excitation, whose long side is out */
};

struct parameter_place {
    enum parameter_order order;
    size_t offset, floats; /* in the slab, padding included */
    size_t in, out;        /* channels, padded unless it is ORDER_STEM's in */
    uint32_t kernel;
};

struct parameter_places {
    struct parameter_place *places; /* of the graph's parameters */
    const struct graph *graph;
    uint32_t lanes;
    size_t decayed, trained, total; /* floats of the slab, as in struct graph */
};

/* `graph` must outlive the places. -ENOMEM. */
int parameter_places_init(struct parameter_places *places, const struct graph *graph,
                          uint32_t lanes) MUST_USE;
void parameter_places_release(struct parameter_places *places);

/* Between the graph's order and the slab's. */
void parameter_pack(const struct parameter_places *places, size_t index, const float *values,
                    float *slab);
void parameter_unpack(const struct parameter_places *places, size_t index, const float *slab,
                      float *ret_values);

/* `channels` rounded up to whole blocks. */
uint32_t channels_padded(uint32_t channels, uint32_t lanes);

#endif
