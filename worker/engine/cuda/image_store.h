/* A data set's images on a device, and the batches that transforms make of them: what a backend's engine_hold_images and
 * part.transforms come to.
 *
 * Legal order: image_store_new; image_store_hold; for each plan image_store_hold again (memory may have become more or less)
 * and image_store_reserve; for each batch image_store_upload, then what image_store_launch does, any number of times, possibly
 * recorded in a graph; image_store_free. What was recorded before image_store_hold or image_store_reserve must not be replayed
 * after it. One thread; everything is on one stream.
 *
 * Where the set is resident, a batch costs the copy of its transforms. Otherwise its images are first gathered into pinned
 * memory and copied, which takes as long as it takes: the step does not overlap with it. */
#ifndef WORKER_ENGINE_CUDA_IMAGE_STORE_H
#define WORKER_ENGINE_CUDA_IMAGE_STORE_H

#include "search/error.h"
#include "search/transform.h"

#include <stddef.h>

struct CUstream_st;
struct image_store;

/* -ENOMEM, -EIO. The stream must outlive it. */
int image_store_new(struct CUstream_st *stream, struct image_store **ret_store,
                    struct error *error) MUST_USE;
/* Waits for the stream. */
void image_store_free(struct image_store *store);

/* Holds this set from now on; NULL: none. It becomes resident where its bytes are at most resident_bytes_max and the device has
 * room, and is streamed otherwise. The set's bytes stay as they are meanwhile; the same set (address, count, sizes) is not copied
 * again. What was reserved is given back where something changes. -EIO, -ENOMEM: nothing is held. */
int image_store_hold(struct image_store *store, const struct image_set *set,
                     size_t resident_bytes_max, struct error *error) MUST_USE;
/* Of device memory that the set takes now: 0 where it is streamed. */
size_t image_store_resident_bytes(const struct image_store *store);

/* Batches of `batch` images of `size` pixels from now on. -ENOMEM, -EIO: nothing is reserved. A set is held. */
int image_store_reserve(struct image_store *store, uint32_t batch, uint32_t size,
                        struct error *error) MUST_USE;
/* Of device memory that image_store_reserve takes: where the set is resident, and where it is streamed. */
size_t image_store_bytes_needed(const struct image_set *set, uint32_t batch, uint32_t size,
                                bool resident);

/* Brings a batch's transforms, 1 .. `batch` of them, to the device; those that are missing become the first one, unmixed. Not
 * recorded: outside the graph, before it. The transforms may be changed afterwards. 0 or -EIO. */
int image_store_upload(struct image_store *store, const struct transform *transforms,
                       uint32_t count) MUST_USE;

/* The bytes of the whole batch: before the first images of it. 0 or -EIO. */
int image_store_launch_bytes(struct image_store *store) MUST_USE;
/* Images first .. first + count - 1 of the batch, a micro-batch, into ret_images (count, size, size, AUGMENT_CHANNELS), bfloat16,
 * device memory. 0 or -EIO. */
int image_store_launch_images(struct image_store *store, uint32_t first, uint32_t count,
                              uint16_t *ret_images) MUST_USE;
/* The two for the whole batch: ret_images (batch, size, size, AUGMENT_CHANNELS). */
int image_store_launch(struct image_store *store, uint16_t *ret_images) MUST_USE;

#endif
