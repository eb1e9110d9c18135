/* Where each parameter of the graph lies in the device's slabs, and in which order: channels padded to multiples of 8, the
 * padding zero, every parameter aligned to 8 floats. A slab is [weights | biases, scales, shifts | statistics], as the graph's,
 * so that the optimizer runs over it without knowing the orders.
 *
 * Dense convolutions (out, k, k, in), depthwise (k, k, channels), matrices (out, in) as in the graph. Of the layers of
 * squeeze-and-excitation and the last one the side that is no channel of a map, squeezed or classes, is not padded. */
#ifndef WORKER_ENGINE_CUDA_SLAB_H
#define WORKER_ENGINE_CUDA_SLAB_H

#include "worker/engine/graph.h"

enum { SLAB_ALIGNMENT = 8 }; /* floats */

struct slab_place {
    size_t offset;                      /* in the slab, in floats */
    size_t floats;                      /* with its padding, without what aligns the next one */
    size_t out_step, in_step, tap_step; /* from one to the next */
};

struct slab_layout {
    struct slab_place *places; /* of the graph's parameters */
    const struct graph *graph;
    size_t decayed, trained, total; /* floats of the slab, as in struct graph */
};

/* `graph` must outlive the places. -ENOMEM. */
int slab_layout_init(struct slab_layout *layout, const struct graph *graph) MUST_USE;
void slab_layout_release(struct slab_layout *layout);

/* Floats from a parameter to the next one. */
size_t slab_span(const struct slab_place *place);

/* Between the graph's order and that of the slab; `stored` are the parameter's floats of the slab. Packing writes the padding
 * too. */
void slab_pack(const struct slab_layout *layout, size_t index, const float *values,
               float *ret_stored);
void slab_unpack(const struct slab_layout *layout, size_t index, const float *stored,
                 float *ret_values);

#endif
