/* Every convolution that some architecture of a space needs.
 *
 * Architectures are too many to be looked at. What a stage's option convolves depends on nothing but the channels and size
 * of the map that it is given, so the list follows the distinct (channels, size) from stage to stage. */
#ifndef WORKER_ENGINE_CONVOLUTION_LIST_H
#define WORKER_ENGINE_CONVOLUTION_LIST_H

#include "search/space.h"
#include "worker/engine/convolution.h"

enum { CONVOLUTION_LIST_MAX = 8192, CONVOLUTION_LIST_MAPS_MAX = 1024 };

struct convolution_list {
    struct convolution *items; /* distinct, in the order in which a network meets them */
    size_t count;
};

/* The problem has been validated. Channels are padded. The last layer and those of
 * squeeze-and-excitation are not listed, kernels of our own do them. -E2BIG beyond the bounds above, -ENOMEM. */
int convolution_list_new(const struct space *space, const struct problem *problem, uint32_t batch,
                         struct convolution_list *ret_list, struct error *error) MUST_USE;
void convolution_list_release(struct convolution_list *list);

#endif
