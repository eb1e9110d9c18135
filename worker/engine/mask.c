#include "worker/engine/mask.h"

#include "search/random.h"
#include "search/recipe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int masks_init(struct masks *masks, uint32_t images, uint32_t blocks, uint32_t features)
{
    *masks = (struct masks){.images = images, .blocks = blocks, .features_count = features};
    /* a network may have no block at all */
    masks->branches = calloc((size_t)images * blocks + 1, sizeof *masks->branches);
    masks->features = calloc((size_t)images * features, sizeof *masks->features);
    if (masks->branches && masks->features)
        return 0;
    masks_release(masks);
    return -ENOMEM;
}

void masks_release(struct masks *masks)
{
    free(masks->branches);
    free(masks->features);
    masks->branches = masks->features = NULL;
}

/* Every image of every step has a stream of its own. */
static struct random_stream stream_of(const struct mask_key *key, uint32_t image,
                                      enum random_purpose purpose)
{
    const uint32_t place = key->first + image;
    assert(place < RECIPE_BATCH_MAX);
    return random_stream_of(key->seed, key->step * RECIPE_BATCH_MAX + place, purpose);
}

static float draw(struct random_stream *random, double survival)
{
    const double unit = random_u32(random) * 0x1p-32;
    return unit < survival ? (float)(1.0 / survival) : 0.0f;
}

void masks_draw_branches(struct masks *masks, const struct mask_key *key, double rate)
{
    assert(rate >= 0 && rate < 1);
    for (uint32_t n = 0; n < masks->images; n++) {
        struct random_stream random = stream_of(key, n, RANDOM_STOCHASTIC_DEPTH);
        for (uint32_t b = 0; b < masks->blocks; b++)
            masks->branches[(size_t)b * masks->images + n] =
                draw(&random, 1.0 - rate * (b + 1.0) / masks->blocks);
    }
}

void masks_draw_features(struct masks *masks, const struct mask_key *key, double rate)
{
    assert(rate >= 0 && rate < 1);
    for (uint32_t n = 0; n < masks->images; n++) {
        struct random_stream random = stream_of(key, n, RANDOM_DROPOUT);
        for (uint32_t c = 0; c < masks->features_count; c++)
            masks->features[(size_t)n * masks->features_count + c] = draw(&random, 1.0 - rate);
    }
}
