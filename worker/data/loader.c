#include "worker/data/loader.h"

#include "search/random.h"
#include "worker/data/augment.h"
#include "worker/data/resize.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LOADER_LEVELS = 256 /* of a pixel */ };

struct loader {
    const struct pack *pack;
    const struct split *split;
    struct recipe recipe;
    uint32_t image_size, channels;
    uint64_t seed;
    uint32_t epoch;
    uint32_t *order;         /* (train_images) the epoch's images, indices into the data set */
    float *scratch;          /* (image_size, image_size, channels) before augmentation */
    struct resizer *resizer; /* NULL where the size is the data set's own */
    /* normalised = pixel * scale + offset; level[] is that for each byte, offset also what black
     * becomes */
    float scale[PACK_CHANNELS_MAX], offset[PACK_CHANNELS_MAX];
    float level[LOADER_LEVELS][PACK_CHANNELS_MAX];
};

static void loader_set_normalisation(struct loader *loader)
{
    for (uint32_t c = 0; c < loader->channels; c++) {
        double deviation = pack_deviation(loader->pack)[c], mean = pack_mean(loader->pack)[c];
        loader->scale[c] = (float)(1 / (255 * deviation));
        loader->offset[c] = (float)(-mean / deviation);
        for (int level = 0; level < LOADER_LEVELS; level++)
            loader->level[level][c] = (float)((level / 255.0 - mean) / deviation);
    }
}

static int loader_allocate(struct loader *loader, struct error *error)
{
    const uint32_t own_size = pack_dataset(loader->pack)->image_size;
    size_t elements = (size_t)loader->image_size * loader->image_size * loader->channels;
    loader->order = calloc(loader->split->train_images, sizeof *loader->order);
    loader->scratch = calloc(elements, sizeof *loader->scratch);
    int r = loader->order && loader->scratch ? 0 : -ENOMEM;
    if (r == 0 && loader->image_size != own_size)
        r = resizer_new(own_size, loader->image_size, loader->channels, &loader->resizer);
    return r < 0 ? error_set(error, r, "", "out of memory") : 0;
}

int loader_new(const struct loader_options *options, struct loader **ret_loader,
               struct error *error)
{
    const uint32_t batch = options->recipe.batch;
    if (batch == 0 || options->split->train_images < batch)
        return error_set(error, -EINVAL, "",
                         "%" PRIu64 " training images do not fill a batch of %u",
                         options->split->train_images, batch);
    assert(options->image_size > 0);
    struct loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return error_set(error, -ENOMEM, "", "out of memory");
    loader->pack = options->pack;
    loader->split = options->split;
    loader->recipe = options->recipe;
    loader->image_size = options->image_size;
    loader->channels = pack_dataset(options->pack)->image_channels;
    loader->seed = options->seed;
    int r = loader_allocate(loader, error);
    if (r < 0) {
        loader_free(loader);
        return r;
    }
    loader_set_normalisation(loader);
    loader_start_epoch(loader, 0);
    *ret_loader = loader;
    return 0;
}

void loader_free(struct loader *loader)
{
    if (!loader)
        return;
    free(loader->order);
    free(loader->scratch);
    resizer_free(loader->resizer);
    free(loader);
}

uint64_t loader_steps_per_epoch(const struct loader *loader)
{
    return loader->split->train_images / loader->recipe.batch;
}

uint64_t loader_validation_batches(const struct loader *loader)
{
    return (loader->split->validation_images + loader->recipe.batch - 1) / loader->recipe.batch;
}

void loader_start_epoch(struct loader *loader, uint32_t epoch)
{
    const uint64_t images = loader->split->train_images;
    struct random_stream stream = random_stream_of(loader->seed, epoch, RANDOM_SHUFFLE);
    memcpy(loader->order, loader->split->train, images * sizeof *loader->order);
    for (uint64_t left = images; left > 1; left--) {
        uint64_t other = random_below(&stream, left);
        uint32_t image = loader->order[other];
        loader->order[other] = loader->order[left - 1];
        loader->order[left - 1] = image;
    }
    loader->epoch = epoch;
}

/* Resizes where needed and normalises one image: (image_size, image_size, channels). */
static void load_image(struct loader *loader, uint32_t image, float *ret_image)
{
    const uint8_t *bytes = pack_image(loader->pack, image);
    const uint32_t channels = loader->channels;
    const size_t pixels = (size_t)loader->image_size * loader->image_size;
    if (!loader->resizer) {
        for (size_t i = 0; i < pixels; i++)
            for (uint32_t c = 0; c < channels; c++)
                ret_image[i * channels + c] = loader->level[bytes[i * channels + c]][c];
        return;
    }
    resizer_run(loader->resizer, bytes, ret_image);
    for (size_t i = 0; i < pixels; i++)
        for (uint32_t c = 0; c < channels; c++) {
            float *value = ret_image + i * channels + c;
            *value = *value * loader->scale[c] + loader->offset[c];
        }
}

static void load_augmented(struct loader *loader, uint32_t image, float *ret_image)
{
    if (!loader->recipe.flip && loader->recipe.shift == 0) {
        load_image(loader, image, ret_image);
        return;
    }
    struct augmentation augmentation =
        augmentation_draw(&loader->recipe, loader->seed, loader->epoch, image);
    load_image(loader, image, loader->scratch);
    augmentation_apply(&augmentation, loader->image_size, loader->channels, loader->offset,
                       loader->scratch, ret_image);
}

static size_t image_elements(const struct loader *loader)
{
    return (size_t)loader->image_size * loader->image_size * loader->channels;
}

void loader_train_batch(struct loader *loader, uint64_t step, float *ret_images,
                        uint32_t *ret_labels)
{
    assert(step < loader_steps_per_epoch(loader));
    const uint16_t *labels = pack_labels(loader->pack);
    const uint32_t *images = loader->order + step * loader->recipe.batch;
    for (uint32_t i = 0; i < loader->recipe.batch; i++) {
        load_augmented(loader, images[i], ret_images + i * image_elements(loader));
        ret_labels[i] = labels[images[i]];
    }
}

uint32_t loader_validation_batch(struct loader *loader, uint64_t index, float *ret_images,
                                 uint32_t *ret_labels)
{
    assert(index < loader_validation_batches(loader));
    const uint16_t *labels = pack_labels(loader->pack);
    const uint64_t first = index * loader->recipe.batch;
    const uint64_t left = loader->split->validation_images - first;
    const uint32_t count = left < loader->recipe.batch ? (uint32_t)left : loader->recipe.batch;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t image = loader->split->validation[first + i];
        load_image(loader, image, ret_images + i * image_elements(loader));
        ret_labels[i] = labels[image];
    }
    return count;
}
