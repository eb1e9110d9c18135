/* Images as the loader has them, made into maps. */
#ifndef KERNELS_IMAGE_H
#define KERNELS_IMAGE_H

#include "kernels/step.h"
#include "search/attributes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* images * size * size fits 32 bits. */
struct images_shape {
    uint32_t images, size, channels;
};

/* Device memory. images (images, size, size, channels) -> ret_map (images, size, size, channels padded to a multiple of 8) in
 * bfloat16, 0 in the channels that were added; aligned to 16 bytes. Asynchronous; -EIO where the launch failed. */
int images_pack_launch(const float *images, const struct images_shape *shape, uint16_t *ret_map,
                       struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
