/* Trains one network through the product's loader, engine and schedule, and measures it on the test split after each epoch: the
 * engine's side of accuracy.py. The trainer itself never looks at test images, so its loop is made again here.
 *
 *   train_peer JOB.json
 *
 * With "dump" in the job it writes what PyTorch is to be given, and trains nothing: DUMP/pixels (images, size, size, channels)
 * bytes, DUMP/labels (images) and DUMP/train, DUMP/test (indices) as 32-bit numbers, and the data set in one line of JSON. */
#include "tests/peers/job.h"
#include "worker/data/cache.h"
#include "worker/data/catalog.h"
#include "worker/data/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Everything of one run. */
struct peer {
    struct job job;
    struct catalog *catalog;
    struct pack *pack;
    struct split
        split; /* the trained images as the product draws them; "held out" are the test images */
    struct loader *loader;
    struct engine *engine;
    struct plan *plan;
    uint64_t trained, train_total; /* steps */
};

static void peer_release(struct peer *peer)
{
    plan_free(peer->plan);
    engine_free(peer->engine);
    loader_free(peer->loader);
    split_release(&peer->split);
    pack_free(peer->pack);
    catalog_free(peer->catalog);
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- images ---- */

static int open_pack(struct peer *peer, struct error *error)
{
    char cache[FILE_PATH_SIZE];
    struct error reason;
    const struct catalog_entry *entry;
    int r = catalog_new(&peer->catalog);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    r = catalog_add(peer->catalog, peer->job.data, error);
    if (r == 0)
        r = catalog_find(peer->catalog, peer->job.dataset, &entry, error);
    if (r == 0)
        r = cache_directory(cache, error);
    if (r == 0)
        r = cache_open(cache, &entry->source, &peer->pack, &reason, error);
    return r < 0 ? r : 0;
}

/* Trained on: the first images of the product's stratified order. Measured on: the first test images of the same kind of order,
 * which for all of them is all. */
static int draw_split(struct peer *peer, struct error *error)
{
    const struct dataset *dataset = pack_dataset(peer->pack);
    const uint16_t *labels = pack_labels(peer->pack);
    struct job *job = &peer->job;
    struct split test = {0};
    if (job->train_images == 0)
        job->train_images = dataset->train_images - 1;
    if (job->test_images == 0 || job->test_images >= dataset->test_images)
        job->test_images = dataset->test_images - 1;
    const struct split_request of_train = {labels,          dataset->train_images, dataset->classes,
                                           job->split_seed, job->train_images,     1};
    const struct split_request of_test = {labels + dataset->train_images,
                                          dataset->test_images,
                                          dataset->classes,
                                          job->split_seed,
                                          job->test_images,
                                          1};
    int r = split_init(&peer->split, &of_train, error);
    if (r == 0)
        r = split_init(&test, &of_test, error);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < test.train_images; i++)
        test.train[i] += (uint32_t)dataset->train_images;
    uint32_t *unused = peer->split.validation;
    peer->split.validation = test.train;
    peer->split.validation_images = test.train_images;
    test.train = unused;
    split_release(&test);
    return 0;
}

static int write_file(const char *directory, const char *name, const void *data, size_t bytes)
{
    char path[JOB_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return -errno;
    int r = fwrite(data, 1, bytes, file) == bytes ? 0 : -EIO;
    if (fclose(file) != 0)
        r = -EIO;
    return r;
}

static int write_labels(const struct peer *peer, uint64_t images)
{
    uint32_t *labels = calloc(images, sizeof *labels);
    if (!labels)
        return -ENOMEM;
    for (uint64_t i = 0; i < images; i++)
        labels[i] = pack_labels(peer->pack)[i];
    int r = write_file(peer->job.dump, "labels", labels, images * sizeof *labels);
    free(labels);
    return r;
}

static int dump(const struct peer *peer, struct error *error)
{
    const struct dataset *dataset = pack_dataset(peer->pack);
    const char *to = peer->job.dump;
    const uint64_t images = dataset->train_images + dataset->test_images;
    const size_t image =
        (size_t)dataset->image_size * dataset->image_size * dataset->image_channels;
    int r = write_file(to, "pixels", pack_image(peer->pack, 0), images * image);
    if (r == 0)
        r = write_labels(peer, images);
    if (r == 0)
        r = write_file(to, "train", peer->split.train,
                       peer->split.train_images * sizeof *peer->split.train);
    if (r == 0)
        r = write_file(to, "test", peer->split.validation,
                       peer->split.validation_images * sizeof *peer->split.validation);
    if (r < 0)
        return error_set(error, r, "", "%s: %s", to, strerror(-r));
    printf("{\"image_size\": %u, \"channels\": %u, \"classes\": %u, \"mean\": [",
           dataset->image_size, dataset->image_channels, dataset->classes);
    for (uint32_t c = 0; c < dataset->image_channels; c++)
        printf("%s%.17g", c ? ", " : "", pack_mean(peer->pack)[c]);
    printf("], \"deviation\": [");
    for (uint32_t c = 0; c < dataset->image_channels; c++)
        printf("%s%.17g", c ? ", " : "", pack_deviation(peer->pack)[c]);
    printf("]}\n");
    return 0;
}

/* ---- training ---- */

static int prepare(struct peer *peer, struct error *error)
{
    const struct dataset *dataset = pack_dataset(peer->pack);
    const struct job *job = &peer->job;
    struct plan_options plan = {.architecture = job->architecture,
                                .recipe = job->recipe,
                                .micro_batches = 1,
                                .seed = job->seed};
    if (plan.recipe.image_size == 0)
        plan.recipe.image_size = dataset->image_size;
    plan.problem =
        (struct problem){plan.recipe.image_size, dataset->image_channels, dataset->classes};
    const struct loader_options loader = {.pack = peer->pack,
                                          .split = &peer->split,
                                          .recipe = plan.recipe,
                                          .image_size = plan.recipe.image_size,
                                          .seed = job->seed};
    int r = loader_new(&loader, &peer->loader, error);
    if (r == 0)
        r = engine_new(job->backend, &peer->engine, error);
    if (r == 0)
        r = plan_new(peer->engine, &plan, &peer->plan, error);
    if (r < 0)
        return r;
    peer->train_total = job->epochs * loader_steps_per_epoch(peer->loader);
    return 0;
}

static struct loader_batch plan_buffers(struct plan *plan)
{
    return (struct loader_batch){.images = plan_images(plan),
                                 .labels = plan_labels(plan),
                                 .partners = plan_partners(plan),
                                 .shares = plan_shares(plan)};
}

static int train_epoch(struct peer *peer, uint32_t epoch, struct batch_result *ret_sum)
{
    const uint64_t steps = loader_steps_per_epoch(peer->loader);
    const struct loader_batch loaded = plan_buffers(peer->plan);
    struct batch_result sum = {0};
    loader_start_epoch(peer->loader, epoch);
    for (uint64_t step = 0; step < steps; step++) {
        struct batch_result batch;
        loader_train_batch(peer->loader, step, &loaded);
        int r = plan_step(
            peer->plan,
            recipe_learning_rate(&peer->job.recipe, peer->trained, peer->train_total, steps),
            &batch);
        if (r < 0)
            return r;
        peer->trained++;
        sum.loss += batch.loss;
        sum.correct += batch.correct;
    }
    *ret_sum = sum;
    return 0;
}

static int evaluate(struct peer *peer, struct batch_result *ret_sum)
{
    const struct loader_batch loaded = plan_buffers(peer->plan);
    struct batch_result sum = {0};
    for (uint64_t i = 0; i < loader_validation_batches(peer->loader); i++) {
        struct batch_result batch;
        const uint32_t count = loader_validation_batch(peer->loader, i, &loaded);
        int r = plan_evaluate(peer->plan, count, &batch);
        if (r < 0)
            return r;
        sum.loss += batch.loss;
        sum.correct += batch.correct;
    }
    *ret_sum = sum;
    return 0;
}

static int train(struct peer *peer, struct error *error)
{
    const double tested = (double)peer->split.validation_images;
    for (uint32_t epoch = 0; epoch < peer->job.epochs; epoch++) {
        struct batch_result trained, test;
        const double start_s = cpu_s();
        int r = train_epoch(peer, epoch, &trained);
        const double train_s = cpu_s() - start_s;
        if (r == 0)
            r = evaluate(peer, &test);
        if (r < 0)
            return error_set(error, r, "", "epoch %u: %s", epoch + 1,
                             r == -EDOM ? "the loss is not finite" : strerror(-r));
        const double images =
            (double)(loader_steps_per_epoch(peer->loader) * peer->job.recipe.batch);
        printf(
            "{\"epoch\": %u, \"train_loss\": %.6f, \"train_accuracy\": %.6f, \"test_loss\": %.6f, "
            "\"test_accuracy\": %.6f, \"train_cpu_s\": %.2f}\n",
            epoch + 1, trained.loss / images, trained.correct / images, test.loss / tested,
            test.correct / tested, train_s);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    CLEANUP(peer_release) struct peer peer = {0};
    if (argc != 2) {
        fputs("usage: train_peer JOB.json\n", stderr);
        return 2;
    }
    int r = job_read(argv[1], &peer.job, &error);
    if (r == 0)
        r = open_pack(&peer, &error);
    if (r == 0)
        r = draw_split(&peer, &error);
    if (r == 0 && peer.job.dump[0]) {
        r = dump(&peer, &error);
    } else if (r == 0) {
        r = prepare(&peer, &error);
        if (r == 0)
            r = train(&peer, &error);
    }
    if (r < 0) {
        fprintf(stderr, "train_peer: %s%s%s\n", error.pointer, error.pointer[0] ? ": " : "",
                error.message);
        return 1;
    }
    return 0;
}
