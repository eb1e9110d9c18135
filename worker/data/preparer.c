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

/* ---- drawing ---- */

void preparer_draw_plain(const struct preparer *preparer, uint32_t image,
                         struct transform *ret_transform)
{
    *ret_transform = (struct transform){
        .image = image, .shown = crop_whole(preparer->own_size), .mixing = {.share = 1}};
}

void preparer_draw(const struct preparer *preparer, const struct prepare_rules *rules,
                   uint32_t image, struct transform *ret_transform)
{
    const struct recipe *recipe = rules->recipe;
    const uint64_t number = (uint64_t)rules->epoch << 32 | image;
    assert(recipe->randaugment_ops <= RANDAUGMENT_OPS_MAX);
    preparer_draw_plain(preparer, image, ret_transform);
    if (recipe->crop_area_min > 0 && recipe->crop_area_min < 1) {
        struct random_stream stream = random_stream_of(rules->seed, number, RANDOM_CROP);
        ret_transform->shown = crop_draw(&stream, recipe->crop_area_min, preparer->own_size);
    }
    if (recipe->flip || recipe->shift > 0)
        ret_transform->moved = augmentation_draw(recipe, rules->seed, rules->epoch, image);
    struct random_stream stream = random_stream_of(rules->seed, number, RANDOM_RANDAUGMENT);
    for (uint32_t i = 0; i < recipe->randaugment_ops; i++) {
        const struct randaugment_choice choice = randaugment_draw(&stream, preparer->size);
        ret_transform->ops[i] =
            randaugment_resolve(&choice, rules->randaugment_magnitude, preparer->size);
    }
    ret_transform->op_count = recipe->randaugment_ops;
}

/* ---- applying ---- */

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

static void swap_buffers(struct preparer *preparer)
{
    uint8_t *shown = preparer->shown;
    preparer->shown = preparer->spare;
    preparer->spare = shown;
}

static const uint8_t *flip_and_shift(struct preparer *preparer,
                                     const struct augmentation *augmentation, const uint8_t *pixels)
{
    if (augmentation_is_none(augmentation))
        return pixels;
    augmentation_apply(augmentation, preparer->size, preparer->channels, pixels, preparer->spare);
    swap_buffers(preparer);
    return preparer->shown;
}

static const uint8_t *distort(struct preparer *preparer, const struct transform *transform,
                              const uint8_t *pixels)
{
    if (transform->op_count == 0)
        return pixels;
    struct image shown = {preparer->shown, preparer->size, preparer->channels};
    if (pixels != preparer->shown)
        memcpy(preparer->shown, pixels, image_bytes(&shown));
    for (uint32_t i = 0; i < transform->op_count; i++)
        randaugment_run(&transform->ops[i], &shown, preparer->spare);
    return preparer->shown;
}

const uint8_t *preparer_apply(struct preparer *preparer, const struct transform *transform)
{
    const uint8_t *pixels = show_part(preparer, transform->image, &transform->shown);
    pixels = flip_and_shift(preparer, &transform->moved, pixels);
    return distort(preparer, transform, pixels);
}

const uint8_t *preparer_train(struct preparer *preparer, const struct prepare_rules *rules,
                              uint32_t image)
{
    struct transform transform;
    preparer_draw(preparer, rules, image, &transform);
    return preparer_apply(preparer, &transform);
}

const uint8_t *preparer_plain(struct preparer *preparer, uint32_t image)
{
    struct transform transform;
    preparer_draw_plain(preparer, image, &transform);
    return preparer_apply(preparer, &transform);
}
