/* Batches of images, made on the device out of a data set's bytes and transforms (search/transform.h).
 *
 * Two launches: a mixed image needs its partner's finished bytes, and blocks cannot wait for each other.
 *
 * augment_bytes_launch makes the bytes: resizing, flip, shift, RandAugment; a block an image. They are worker/data's byte for
 * byte: the same sums and products in the same precision and order. The file is therefore compiled with --fmad=false (in the
 * emulator with -ffp-contract=off), for a fused multiply-add rounds once where the processor rounds twice, and never with
 * --use_fast_math. The images of a block lie in its shared memory where two fit into AUGMENT_SHARED_BYTES beside the tables,
 * and otherwise where the result goes and in a scratch of the same size.
 *
 * augment_images_launch normalises, mixes in f32, and rounds once, to bfloat16; a thread a pixel. */
#ifndef KERNELS_AUGMENT_H
#define KERNELS_AUGMENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "search/error.h"
#include "search/transform.h"

struct CUstream_st;

/* What a block may use: less than any device from sm_80 on has, and little enough that two blocks run beside each other. */
enum { AUGMENT_SHARED_BYTES = 96 << 10, AUGMENT_CHANNELS = 8 /* of what comes out */ };

/* Device memory throughout. */
struct augment {
    struct image_set set;               /* its bytes in device memory; count is not looked at */
    const struct transform *transforms; /* (count), of images that the set has */
    uint32_t count;                     /* of the batch */
    uint32_t size;                      /* of its images, pixels; at most 1024, as the set's */
    uint8_t *bytes;   /* (count, size, size, channels), written by the first launch */
    uint8_t *scratch; /* augment_scratch_bytes(), contents of no meaning; NULL where those are 0 */
};

/* Of a batch; 0 where its images fit into shared memory. */
size_t augment_scratch_bytes(const struct augment *augment);

/* Asynchronous on the stream, as the next. -EIO where the launch failed. */
int augment_bytes_launch(const struct augment *augment, struct CUstream_st *stream) MUST_USE;

/* Images first .. first + count - 1 of the batch, whose partners may be any of it: ret_images (count, size, size,
 * AUGMENT_CHANNELS) in bfloat16, channels beyond the set's 0, aligned to 16 bytes. */
int augment_images_launch(const struct augment *augment, uint32_t first, uint32_t count,
                          uint16_t *ret_images, struct CUstream_st *stream) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
