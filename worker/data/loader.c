#include "worker/data/loader.h"

#include "search/random.h"
#include "worker/data/mix.h"
#include "worker/data/normalise.h"
#include "worker/data/prefetch.h"
#include "worker/data/preparer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What depends on the sizes of the batches. The two sides never use it at once: what is prepared ahead is taken or dropped
 * before the caller prepares something. */
struct sizes {
    uint32_t training, evaluation; /* pixels */
    struct preparer *trainer, *evaluator;
    uint8_t *ahead; /* with prefetch: (batch, size, size, channels) of the larger size */
};

struct loader {
    const struct pack *pack;
    const struct split *split;
    struct recipe recipe;
    struct recipe_stage stage;
    uint32_t evaluation_size; /* 0: the stage's */
    uint32_t channels;
    uint64_t seed;
    uint32_t epoch;
    uint32_t *order; /* (train_images) the epoch's images, indices into the data set */
    struct normaliser normaliser;
    struct sizes sizes;
    struct prefetch *prefetch; /* NULL: off */
};

static size_t image_elements(const struct loader *loader, uint32_t size)
{
    return (size_t)size * size * loader->channels;
}

/* ---- sizes ---- */

static void sizes_release(struct sizes *sizes)
{
    preparer_free(sizes->trainer);
    preparer_free(sizes->evaluator);
    free(sizes->ahead);
}

static int sizes_init(struct sizes *sizes, const struct loader *loader, bool prefetch,
                      struct error *error)
{
    const uint32_t size = sizes->training > sizes->evaluation ? sizes->training : sizes->evaluation;
    int r = preparer_new(loader->pack, sizes->training, &sizes->trainer);
    if (r == 0)
        r = preparer_new(loader->pack, sizes->evaluation, &sizes->evaluator);
    if (r == 0 && prefetch) {
        sizes->ahead = malloc(loader->recipe.batch * image_elements(loader, size));
        r = sizes->ahead ? 0 : -ENOMEM;
    }
    if (r < 0) {
        sizes_release(sizes);
        return error_set(error, r, "", "out of memory");
    }
    return 0;
}

/* Changes over to these sizes, if they are others. */
static int loader_resize(struct loader *loader, uint32_t training, uint32_t evaluation,
                         struct error *error)
{
    assert(training > 0);
    struct sizes sizes = {.training = training, .evaluation = evaluation ? evaluation : training};
    if (loader->prefetch)
        prefetch_drop(loader->prefetch);
    if (sizes.training == loader->sizes.training && sizes.evaluation == loader->sizes.evaluation)
        return 0;
    int r = sizes_init(&sizes, loader, loader->prefetch != NULL, error);
    if (r < 0)
        return r;
    sizes_release(&loader->sizes);
    loader->sizes = sizes;
    return 0;
}

int loader_set_stage(struct loader *loader, const struct recipe_stage *stage, struct error *error)
{
    int r = loader_resize(loader, stage->image_size, loader->evaluation_size, error);
    if (r == 0)
        loader->stage = *stage;
    return r;
}

int loader_set_evaluation_size(struct loader *loader, uint32_t size, struct error *error)
{
    int r = loader_resize(loader, loader->stage.image_size, size, error);
    if (r == 0)
        loader->evaluation_size = size;
    return r;
}

/* ---- preparing ---- */

/* The images of a batch, indices into the data set. */
static const uint32_t *batch_images(const struct loader *loader, const struct prefetch_work *work,
                                    uint32_t *ret_count)
{
    const uint32_t batch = loader->recipe.batch;
    const uint64_t first = work->index * batch;
    *ret_count = batch;
    if (work->training)
        return loader->order + first;
    const uint64_t left = loader->split->validation_images - first;
    if (left < batch)
        *ret_count = (uint32_t)left;
    return loader->split->validation + first;
}

static struct prepare_rules rules_of(const struct loader *loader, uint32_t epoch)
{
    return (struct prepare_rules){.recipe = &loader->recipe,
                                  .randaugment_magnitude = loader->stage.randaugment_magnitude,
                                  .seed = loader->seed,
                                  .epoch = epoch};
}

static struct mix_rules mix_rules_of(const struct loader *loader)
{
    return (struct mix_rules){.mixup = loader->stage.mixup,
                              .cutmix = loader->stage.cutmix,
                              .seed = loader->seed,
                              .epoch = loader->epoch};
}

static const uint8_t *prepare_image(const struct loader *loader, const struct prefetch_work *work,
                                    uint32_t image)
{
    if (!work->training)
        return preparer_plain(loader->sizes.evaluator, image);
    const struct prepare_rules rules = rules_of(loader, work->epoch);
    return preparer_train(loader->sizes.trainer, &rules, image);
}

static size_t work_elements(const struct loader *loader, const struct prefetch_work *work)
{
    return image_elements(loader,
                          work->training ? loader->sizes.training : loader->sizes.evaluation);
}

/* In the background. */
static void prepare_ahead(void *context, const struct prefetch_work *work)
{
    const struct loader *loader = context;
    const size_t elements = work_elements(loader, work);
    uint32_t count;
    const uint32_t *images = batch_images(loader, work, &count);
    for (uint32_t i = 0; i < count; i++)
        memcpy(loader->sizes.ahead + i * elements, prepare_image(loader, work, images[i]),
               elements);
}

/* Normalised images and their labels. Returns how many. */
static uint32_t load_batch(struct loader *loader, const struct prefetch_work *work,
                           const struct loader_batch *ret_batch)
{
    const uint16_t *labels = pack_labels(loader->pack);
    const size_t elements = work_elements(loader, work);
    const bool is_prepared = loader->prefetch && prefetch_take(loader->prefetch, work);
    uint32_t count;
    const uint32_t *images = batch_images(loader, work, &count);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = is_prepared ? loader->sizes.ahead + i * elements
                                           : prepare_image(loader, work, images[i]);
        normaliser_run(&loader->normaliser, bytes, elements, ret_batch->images + i * elements);
        ret_batch->labels[i] = labels[images[i]];
    }
    return count;
}

/* The batch after this one, if there is one. */
static void ask_next(struct loader *loader, const struct prefetch_work *work)
{
    const uint64_t batches =
        work->training ? loader_steps_per_epoch(loader) : loader_validation_batches(loader);
    struct prefetch_work next = *work;
    next.index++;
    if (loader->prefetch && next.index < batches)
        prefetch_ask(loader->prefetch, &next);
}

void loader_train_batch(struct loader *loader, uint64_t step, const struct loader_batch *ret_batch)
{
    assert(step < loader_steps_per_epoch(loader));
    const struct prefetch_work work = {.training = true, .epoch = loader->epoch, .index = step};
    const uint32_t count = load_batch(loader, &work, ret_batch);
    ask_next(loader, &work);
    if (!ret_batch->partners)
        return;
    const struct mix_batch batch = {.images = ret_batch->images,
                                    .count = count,
                                    .size = loader->sizes.training,
                                    .channels = loader->channels,
                                    .labels = ret_batch->labels,
                                    .numbers = loader->order + step * loader->recipe.batch,
                                    .partners = ret_batch->partners,
                                    .shares = ret_batch->shares};
    const struct mix_rules rules = mix_rules_of(loader);
    mix_run(&batch, &rules);
}

uint32_t loader_validation_batch(struct loader *loader, uint64_t index,
                                 const struct loader_batch *ret_batch)
{
    assert(index < loader_validation_batches(loader));
    const struct prefetch_work work = {.index = index};
    const uint32_t count = load_batch(loader, &work, ret_batch);
    ask_next(loader, &work);
    for (uint32_t i = 0; i < count && ret_batch->partners; i++) {
        ret_batch->partners[i] = ret_batch->labels[i];
        ret_batch->shares[i] = 1;
    }
    return count;
}

/* ---- transforms ---- */

void loader_train_transforms(struct loader *loader, uint64_t step,
                             const struct loader_transforms *ret_batch)
{
    assert(step < loader_steps_per_epoch(loader));
    const struct prefetch_work work = {.training = true, .epoch = loader->epoch, .index = step};
    const struct prepare_rules rules = rules_of(loader, loader->epoch);
    const struct mix_rules mix_rules = mix_rules_of(loader);
    const uint16_t *labels = pack_labels(loader->pack);
    uint32_t count;
    const uint32_t *images = batch_images(loader, &work, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct transform *transform = &ret_batch->transforms[i];
        preparer_draw(loader->sizes.trainer, &rules, images[i], transform);
        transform->mixing = mix_draw(&mix_rules, i, images[i], count, loader->sizes.training);
        ret_batch->labels[i] = labels[images[i]];
        ret_batch->partners[i] = labels[images[transform->mixing.partner]];
        ret_batch->shares[i] = transform->mixing.share;
    }
}

uint32_t loader_validation_transforms(struct loader *loader, uint64_t index,
                                      const struct loader_transforms *ret_batch)
{
    assert(index < loader_validation_batches(loader));
    const struct prefetch_work work = {.index = index};
    const uint16_t *labels = pack_labels(loader->pack);
    uint32_t count;
    const uint32_t *images = batch_images(loader, &work, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct transform *transform = &ret_batch->transforms[i];
        preparer_draw_plain(loader->sizes.evaluator, images[i], transform);
        transform->mixing.partner = i;
        ret_batch->labels[i] = ret_batch->partners[i] = labels[images[i]];
        ret_batch->shares[i] = 1;
    }
    return count;
}

struct image_set loader_images(const struct loader *loader)
{
    const struct dataset *dataset = pack_dataset(loader->pack);
    struct image_set set = {.bytes = pack_image(loader->pack, 0),
                            .count = dataset->train_images,
                            .size = dataset->image_size,
                            .channels = dataset->image_channels};
    memcpy(set.scale, loader->normaliser.scale, sizeof set.scale);
    memcpy(set.offset, loader->normaliser.offset, sizeof set.offset);
    return set;
}

/* ---- the loader ---- */

static int loader_init(struct loader *loader, const struct loader_options *options,
                       struct error *error)
{
    const struct recipe *recipe = &options->recipe;
    loader->pack = options->pack;
    loader->split = options->split;
    loader->recipe = *recipe;
    loader->channels = pack_dataset(options->pack)->image_channels;
    loader->seed = options->seed;
    loader->normaliser =
        normaliser_of(pack_mean(options->pack), pack_deviation(options->pack), loader->channels);
    loader->order = calloc(options->split->train_images, sizeof *loader->order);
    if (!loader->order)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = options->prefetch ? prefetch_new(prepare_ahead, loader, &loader->prefetch, error) : 0;
    if (r < 0)
        return r;
    const struct recipe_stage stage = {.image_size = options->image_size,
                                       .randaugment_magnitude = recipe->randaugment_magnitude,
                                       .mixup = recipe->mixup,
                                       .cutmix = recipe->cutmix,
                                       .dropout = recipe->dropout};
    r = loader_set_stage(loader, &stage, error);
    if (r == 0)
        loader_start_epoch(loader, 0);
    return r;
}

int loader_new(const struct loader_options *options, struct loader **ret_loader,
               struct error *error)
{
    const uint32_t batch = options->recipe.batch;
    if (batch == 0 || options->split->train_images < batch)
        return error_set(error, -EINVAL, "",
                         "%" PRIu64 " training images do not fill a batch of %u",
                         options->split->train_images, batch);
    struct loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = loader_init(loader, options, error);
    if (r < 0) {
        loader_free(loader);
        return r;
    }
    *ret_loader = loader;
    return 0;
}

void loader_free(struct loader *loader)
{
    if (!loader)
        return;
    prefetch_free(loader->prefetch);
    sizes_release(&loader->sizes);
    free(loader->order);
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
    if (loader->prefetch)
        prefetch_drop(loader->prefetch);
    memcpy(loader->order, loader->split->train, images * sizeof *loader->order);
    for (uint64_t left = images; left > 1; left--) {
        uint64_t other = random_below(&stream, left);
        uint32_t image = loader->order[other];
        loader->order[other] = loader->order[left - 1];
        loader->order[left - 1] = image;
    }
    loader->epoch = epoch;
}
