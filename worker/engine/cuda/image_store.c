#include "worker/engine/cuda/image_store.h"

#include "kernels/augment.h"
#include "kernels/device.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What batches need: on the device, and pinned memory beside it. */
struct reserve {
    uint32_t batch, size; /* 0: nothing is reserved */
    void *transforms, *bytes, *scratch;
    void *images; /* (batch) of the set, where it is streamed; NULL where it is resident */
    void *pinned_transforms, *pinned_images;
};

struct image_store {
    struct CUstream_st *stream;
    struct image_set set; /* in the host's memory; bytes NULL: none */
    void *resident;       /* the set on the device; NULL: streamed */
    struct reserve reserve;
    struct CUevent_st *uploaded; /* pinned memory may be written again */
};

static size_t image_bytes(const struct image_set *set)
{
    return (size_t)set->size * set->size * set->channels;
}

static size_t set_bytes(const struct image_set *set)
{
    return set->count * image_bytes(set);
}

/* Without pointers: enough to ask for sizes. */
static struct augment augment_of(const struct image_set *set, uint32_t batch, uint32_t size)
{
    return (struct augment){.set = *set, .count = batch, .size = size};
}

/* ---- the store ---- */

int image_store_new(struct CUstream_st *stream, struct image_store **ret_store, struct error *error)
{
    struct image_store *store = calloc(1, sizeof *store);
    if (!store)
        return error_set(error, -ENOMEM, "", "out of memory");
    store->stream = stream;
    int r = device_event_new(&store->uploaded, error);
    if (r < 0) {
        free(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

static void reserve_release(struct reserve *reserve)
{
    device_buffer_free(reserve->transforms);
    device_buffer_free(reserve->bytes);
    device_buffer_free(reserve->scratch);
    device_buffer_free(reserve->images);
    device_pinned_free(reserve->pinned_transforms);
    device_pinned_free(reserve->pinned_images);
    *reserve = (struct reserve){0};
}

/* Nothing that is freed is still being worked with. A device that has failed cannot be waited for, and works no more. */
static void store_clear(struct image_store *store)
{
    (void)!device_stream_wait(store->stream, NULL);
    reserve_release(&store->reserve);
    device_buffer_free(store->resident);
    store->resident = NULL;
    store->set = (struct image_set){0};
}

void image_store_free(struct image_store *store)
{
    if (!store)
        return;
    store_clear(store);
    device_event_free(store->uploaded);
    free(store);
}

/* ---- holding ---- */

static bool is_same(const struct image_set *a, const struct image_set *b)
{
    return a->bytes == b->bytes && a->count == b->count && a->size == b->size &&
           a->channels == b->channels;
}

/* The set onto the device, where that has room: where not, it is streamed. */
static int make_resident(struct image_store *store, const struct image_set *set,
                         struct error *error)
{
    void *resident;
    int r = device_buffer_new(set_bytes(set), &resident, error);
    if (r == -ENOMEM)
        return 0;
    if (r < 0)
        return r;
    r = device_write(resident, set->bytes, set_bytes(set), error);
    if (r < 0) {
        device_buffer_free(resident);
        return r;
    }
    store->resident = resident;
    return 0;
}

int image_store_hold(struct image_store *store, const struct image_set *set,
                     size_t resident_bytes_max, struct error *error)
{
    const struct image_set none = {0};
    const struct image_set wanted = set ? *set : none;
    assert(!set || (set->bytes && set->count > 0));
    const bool resident = set && set_bytes(set) <= resident_bytes_max;
    if (is_same(&store->set, &wanted) && (store->resident != NULL) == resident) {
        store->set = wanted; /* what the bytes mean may be another */
        return 0;
    }
    store_clear(store);
    int r = resident ? make_resident(store, &wanted, error) : 0;
    if (r < 0)
        return r;
    store->set = wanted;
    return 0;
}

size_t image_store_resident_bytes(const struct image_store *store)
{
    return store->resident ? set_bytes(&store->set) : 0;
}

/* ---- reserving ---- */

size_t image_store_bytes_needed(const struct image_set *set, uint32_t batch, uint32_t size,
                                bool resident)
{
    const struct augment augment = augment_of(set, batch, size);
    return batch * (sizeof(struct transform) + (size_t)size * size * set->channels) +
           augment_scratch_bytes(&augment) + (resident ? 0 : batch * image_bytes(set));
}

/* What has been made is in *reserve, also where the rest fails. */
static int reserve_make(struct reserve *reserve, const struct image_store *store,
                        struct error *error)
{
    const struct image_set *set = &store->set;
    const size_t batch = reserve->batch, size = reserve->size;
    const struct augment augment = augment_of(set, reserve->batch, reserve->size);
    const size_t transforms = batch * sizeof(struct transform);
    int r = device_buffer_new(transforms, &reserve->transforms, error);
    if (r == 0)
        r = device_pinned_new(transforms, &reserve->pinned_transforms, error);
    if (r == 0)
        r = device_buffer_new(batch * size * size * set->channels, &reserve->bytes, error);
    if (r == 0 && augment_scratch_bytes(&augment) > 0)
        r = device_buffer_new(augment_scratch_bytes(&augment), &reserve->scratch, error);
    if (r < 0 || store->resident)
        return r;
    r = device_buffer_new(batch * image_bytes(set), &reserve->images, error);
    return r < 0 ? r : device_pinned_new(batch * image_bytes(set), &reserve->pinned_images, error);
}

int image_store_reserve(struct image_store *store, uint32_t batch, uint32_t size,
                        struct error *error)
{
    assert(store->set.bytes && batch > 0 && size > 0);
    if (store->reserve.batch == batch && store->reserve.size == size)
        return 0;
    int r = device_stream_wait(store->stream, error);
    if (r < 0)
        return r;
    reserve_release(&store->reserve);
    struct reserve reserve = {.batch = batch, .size = size};
    r = reserve_make(&reserve, store, error);
    if (r < 0)
        reserve_release(&reserve);
    else
        store->reserve = reserve;
    return r;
}

/* ---- batches ---- */

/* The images that transforms speak of, one after the other, and the transforms of those. */
static void gather(const struct image_store *store, uint32_t count, struct transform *transforms)
{
    const size_t bytes = image_bytes(&store->set);
    unsigned char *images = store->reserve.pinned_images;
    for (uint32_t n = 0; n < count; n++) {
        memcpy(images + n * bytes, store->set.bytes + transforms[n].image * bytes, bytes);
        transforms[n].image = n;
    }
}

static void stage(const struct image_store *store, const struct transform *given, uint32_t count)
{
    struct transform *transforms = store->reserve.pinned_transforms;
    for (uint32_t n = 0; n < count; n++) {
        assert(given[n].image < store->set.count && given[n].mixing.partner < count);
        transforms[n] = given[n];
    }
    if (!store->resident)
        gather(store, count, transforms);
    for (uint32_t n = count; n < store->reserve.batch; n++) {
        transforms[n] = transforms[0];
        transforms[n].mixing = (struct mixing){.partner = n, .share = 1};
    }
}

int image_store_upload(struct image_store *store, const struct transform *transforms,
                       uint32_t count)
{
    const struct reserve *reserve = &store->reserve;
    assert(count > 0 && count <= reserve->batch);
    int r = device_event_wait(store->uploaded, NULL);
    if (r < 0)
        return r;
    stage(store, transforms, count);
    r = device_write_async(reserve->transforms, reserve->pinned_transforms,
                           reserve->batch * sizeof *transforms, store->stream, NULL);
    if (r == 0 && !store->resident)
        r = device_write_async(reserve->images, reserve->pinned_images,
                               count * image_bytes(&store->set), store->stream, NULL);
    return r < 0 ? r : device_event_record(store->uploaded, store->stream, NULL);
}

static struct augment batch_of(const struct image_store *store)
{
    const struct reserve *reserve = &store->reserve;
    struct augment augment = augment_of(&store->set, reserve->batch, reserve->size);
    assert(reserve->batch > 0);
    augment.set.bytes = store->resident ? store->resident : reserve->images;
    augment.transforms = reserve->transforms;
    augment.bytes = reserve->bytes;
    augment.scratch = reserve->scratch;
    return augment;
}

int image_store_launch_bytes(struct image_store *store)
{
    const struct augment augment = batch_of(store);
    return augment_bytes_launch(&augment, store->stream);
}

int image_store_launch_images(struct image_store *store, uint32_t first, uint32_t count,
                              uint16_t *ret_images)
{
    const struct augment augment = batch_of(store);
    return augment_images_launch(&augment, first, count, ret_images, store->stream);
}

int image_store_launch(struct image_store *store, uint16_t *ret_images)
{
    int r = image_store_launch_bytes(store);
    return r < 0 ? r : image_store_launch_images(store, 0, store->reserve.batch, ret_images);
}
