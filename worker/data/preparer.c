#include "worker/data/preparer.h"

#include "search/random.h"
#include "worker/data/augment.h"
#include "worker/data/randaugment.h"
#include "worker/data/resize.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct preparer {
    const struct pack *pack;
    uint32_t own_size, size, channels;
    struct resizer *resizer;
    /* (size, size, channels) each: `shown` holds the image, `spare` is written to and changes places with it. */
    uint8_t *shown, *spare;
};

int preparer_new(const struct pack *pack, uint32_t size, struct preparer **ret_preparer)
{
    assert(size > 0);
    struct preparer *preparer = calloc(1, sizeof *preparer);
    if (!preparer)
        return -ENOMEM;
    preparer->pack = pack;
    preparer->own_size = pack_dataset(pack)->image_size;
    preparer->size = size;
    preparer->channels = pack_dataset(pack)->image_channels;
    const size_t bytes = (size_t)size * size * preparer->channels;
    preparer->shown = malloc(bytes);
    preparer->spare = malloc(bytes);
    int r = preparer->shown && preparer->spare ? 0 : -ENOMEM;
    if (r == 0)
        r = resizer_new(preparer->own_size, size, preparer->channels, &preparer->resizer);
    if (r < 0) {
        preparer_free(preparer);
        return r;
    }
    *ret_preparer = preparer;
    return 0;
}

void preparer_free(struct preparer *preparer)
{
    if (!preparer)
        return;
    resizer_free(preparer->resizer);
    free(preparer->shown);
    free(preparer->spare);
    free(preparer);
}

/* What is seen of image `image`, at the preparer's size: the pack's own bytes where that is all of it. */
static const uint8_t *show_part(struct preparer *preparer, uint32_t image, const struct crop *part)
{
    const uint8_t *pixels = pack_image(preparer->pack, image);
    if (part->width == preparer->size && part->height == preparer->size &&
        preparer->size == preparer->own_size)
        return pixels;
    resizer_run(preparer->resizer, pixels, part, preparer->shown);
    return preparer->shown;
}

const uint8_t *preparer_plain(struct preparer *preparer, uint32_t image)
{
    const struct crop whole = crop_whole(preparer->own_size);
    return show_part(preparer, image, &whole);
}

static const uint8_t *show_crop(struct preparer *preparer, const struct prepare_rules *rules,
                                uint32_t image)
{
    const double area_min = rules->recipe->crop_area_min;
    if (area_min <= 0 || area_min >= 1)
        return preparer_plain(preparer, image);
    struct random_stream stream =
        random_stream_of(rules->seed, (uint64_t)rules->epoch << 32 | image, RANDOM_CROP);
    const struct crop part = crop_draw(&stream, area_min, preparer->own_size);
    return show_part(preparer, image, &part);
}

static void swap_buffers(struct preparer *preparer)
{
    uint8_t *shown = preparer->shown;
    preparer->shown = preparer->spare;
    preparer->spare = shown;
}

static const uint8_t *flip_and_shift(struct preparer *preparer, const struct prepare_rules *rules,
                                     uint32_t image, const uint8_t *pixels)
{
    if (!rules->recipe->flip && rules->recipe->shift == 0)
        return pixels;
    const struct augmentation augmentation =
        augmentation_draw(rules->recipe, rules->seed, rules->epoch, image);
    if (augmentation_is_none(&augmentation))
        return pixels;
    augmentation_apply(&augmentation, preparer->size, preparer->channels, pixels, preparer->spare);
    swap_buffers(preparer);
    return preparer->shown;
}

static const uint8_t *distort(struct preparer *preparer, const struct prepare_rules *rules,
                              uint32_t image, const uint8_t *pixels)
{
    if (rules->recipe->randaugment_ops == 0)
        return pixels;
    struct image shown = {preparer->shown, preparer->size, preparer->channels};
    if (pixels != preparer->shown)
        memcpy(preparer->shown, pixels, image_bytes(&shown));
    struct random_stream stream =
        random_stream_of(rules->seed, (uint64_t)rules->epoch << 32 | image, RANDOM_RANDAUGMENT);
    for (uint32_t i = 0; i < rules->recipe->randaugment_ops; i++) {
        const struct randaugment_choice choice = randaugment_draw(&stream, preparer->size);
        randaugment_apply(&choice, rules->randaugment_magnitude, &shown, preparer->spare);
    }
    return preparer->shown;
}

const uint8_t *preparer_train(struct preparer *preparer, const struct prepare_rules *rules,
                              uint32_t image)
{
    const uint8_t *pixels = show_crop(preparer, rules, image);
    pixels = flip_and_shift(preparer, rules, image, pixels);
    return distort(preparer, rules, image, pixels);
}
