/* Trains one network through the product's loader, engine and schedule, and measures it on the test split at the end: the
 * engine's side of accuracy.py. The trainer itself never looks at test images, so its loop is made again here.
 *
 *   train_peer JOB.json
 *
 * With "dump" in the job it writes what PyTorch is to be given, and trains nothing: DUMP/images (images, size, size, channels)
 * floats as the loader makes them without augmentation, DUMP/labels (images) as 32-bit numbers, those trained on first, and what
 * the images are in one line of JSON. */
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
    if (r < 0)
        return r;
    const struct dataset *dataset = pack_dataset(peer->pack);
    struct recipe *recipe = &peer->job.recipe;
    if (recipe->image_size == 0)
        recipe->image_size = dataset->image_size;
    peer->job.problem =
        (struct problem){recipe->image_size, dataset->image_channels, dataset->classes};
    return 0;
}

/* The first `wanted` of the product's stratified order of the images from `first` on; 0: all of them. */
static int draw_images(const struct peer *peer, struct split_request request, uint64_t first,
                       uint32_t **ret_images, struct error *error)
{
    struct split split;
    const uint64_t wanted = request.train_images;
    request.labels = pack_labels(peer->pack) + first;
    request.validation_images = 1; /* the order goes on after the images held out */
    if (wanted == 0 || wanted == request.images)
        request.train_images = request.images - 1;
    int r = split_init(&split, &request, error);
    if (r < 0)
        return r;
    uint32_t *images = calloc(request.images, sizeof *images);
    if (!images) {
        split_release(&split);
        return error_set(error, -ENOMEM, "", "out of memory");
    }
    memcpy(images, split.train, split.train_images * sizeof *images);
    if (request.train_images != wanted)
        images[split.train_images] = split.validation[0];
    for (uint64_t i = 0; i < request.images; i++)
        images[i] += (uint32_t)first;
    split_release(&split);
    *ret_images = images;
    return 0;
}

static int draw_split(struct peer *peer, struct error *error)
{
    const struct dataset *dataset = pack_dataset(peer->pack);
    const struct job *job = &peer->job;
    struct split_request request = {
        .classes = dataset->classes, .seed = job->split_seed, .images = dataset->train_images};
    struct split *split = &peer->split;
    request.train_images = job->train_images;
    int r = draw_images(peer, request, 0, &split->train, error);
    if (r < 0)
        return r;
    split->train_images = job->train_images ? job->train_images : dataset->train_images;
    request.images = dataset->test_images;
    request.train_images = job->test_images;
    r = draw_images(peer, request, dataset->train_images, &split->validation, error);
    split->validation_images = job->test_images ? job->test_images : dataset->test_images;
    return r;
}

/* Writes the images of `split`, held out or not, as the loader gives them without augmentation. */
static int write_images(struct peer *peer, FILE *images, FILE *labels, struct error *error)
{
    const struct problem *problem = &peer->job.problem;
    const uint32_t batch = peer->job.recipe.batch;
    const size_t image =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    float *pixels = malloc(batch * image * sizeof *pixels);
    uint32_t *of = malloc(batch * sizeof *of);
    int r = pixels && of ? 0 : -ENOMEM;
    const struct loader_batch loaded = {.images = pixels, .labels = of};
    for (uint64_t i = 0; r == 0 && i < loader_validation_batches(peer->loader); i++) {
        const uint32_t count = loader_validation_batch(peer->loader, i, &loaded);
        if (fwrite(pixels, image * sizeof *pixels, count, images) != count ||
            fwrite(of, sizeof *of, count, labels) != count)
            r = -EIO;
    }
    free(pixels);
    free(of);
    return r < 0 ? error_set(error, r, "", "%s: %s", peer->job.dump, strerror(-r)) : 0;
}

/* All images of the run in one list: those trained on, then those measured on. */
static int split_all(const struct split *split, struct split *ret_all)
{
    struct split all = {
        .train = calloc(split->train_images, sizeof(uint32_t)),
        .validation = calloc(split->train_images + split->validation_images, sizeof(uint32_t)),
        .train_images = split->train_images,
        .validation_images = split->train_images + split->validation_images};
    if (!all.train || !all.validation) {
        split_release(&all);
        return -ENOMEM;
    }
    memcpy(all.validation, split->train, split->train_images * sizeof(uint32_t));
    memcpy(all.validation + split->train_images, split->validation,
           split->validation_images * sizeof(uint32_t));
    *ret_all = all;
    return 0;
}

static FILE *dump_open(const struct peer *peer, const char *name)
{
    char path[JOB_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/%s", peer->job.dump, name);
    return fopen(path, "wb");
}

static void print_description(const struct peer *peer)
{
    const struct problem *problem = &peer->job.problem;
    printf("{\"image_size\": %u, \"channels\": %u, \"classes\": %u, \"train_images\": %" PRIu64
           ", \"test_images\": %" PRIu64 ", \"black\": [",
           problem->image_size, problem->image_channels, problem->classes, peer->split.train_images,
           peer->split.validation_images);
    for (uint32_t c = 0; c < problem->image_channels; c++)
        printf("%s%.9g", c ? ", " : "", -pack_mean(peer->pack)[c] / pack_deviation(peer->pack)[c]);
    printf("]}\n");
}

static int dump(struct peer *peer, struct error *error)
{
    struct split all;
    int r = split_all(&peer->split, &all);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    const struct loader_options options = {.pack = peer->pack,
                                           .split = &all,
                                           .recipe = peer->job.recipe,
                                           .image_size = peer->job.problem.image_size,
                                           .seed = peer->job.seed};
    FILE *images = dump_open(peer, "images"), *labels = dump_open(peer, "labels");
    r = images && labels ? loader_new(&options, &peer->loader, error)
                         : error_set(error, -errno, "", "%s: %s", peer->job.dump, strerror(errno));
    if (r == 0)
        r = write_images(peer, images, labels, error);
    if (images && fclose(images) != 0 && r == 0)
        r = error_set(error, -errno, "", "%s: %s", peer->job.dump, strerror(errno));
    if (labels && fclose(labels) != 0 && r == 0)
        r = error_set(error, -errno, "", "%s: %s", peer->job.dump, strerror(errno));
    loader_free(peer->loader);
    peer->loader = NULL;
    split_release(&all);
    if (r == 0)
        print_description(peer);
    return r;
}

/* ---- training ---- */

static int prepare(struct peer *peer, struct error *error)
{
    const struct job *job = &peer->job;
    const struct plan_options plan = {.architecture = job->architecture,
                                      .problem = job->problem,
                                      .recipe = job->recipe,
                                      .micro_batches = 1,
                                      .seed = job->seed};
    const struct loader_options loader = {.pack = peer->pack,
                                          .split = &peer->split,
                                          .recipe = job->recipe,
                                          .image_size = job->problem.image_size,
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
    const double images = (double)(loader_steps_per_epoch(peer->loader) * peer->job.recipe.batch);
    const double tested = (double)peer->split.validation_images, start_s = cpu_s();
    struct batch_result trained = {0}, test = {0};
    uint32_t epoch = 0;
    int r = 0;
    while (r == 0 && epoch < peer->job.epochs) {
        r = train_epoch(peer, epoch++, &trained);
        if (r == 0)
            fprintf(stderr, "train_peer: epoch %u: loss %.4f\n", epoch, trained.loss / images);
    }
    const double train_s = cpu_s() - start_s;
    if (r == 0)
        r = evaluate(peer, &test);
    if (r < 0)
        return error_set(error, r, "", "epoch %u: %s", epoch,
                         r == -EDOM ? "the loss is not finite" : strerror(-r));
    printf("{\"epochs\": %u, \"train_loss\": %.6f, \"train_accuracy\": %.6f, \"test_loss\": %.6f, "
           "\"test_accuracy\": %.6f, \"train_cpu_s\": %.2f}\n",
           epoch, trained.loss / images, trained.correct / images, test.loss / tested,
           test.correct / tested, train_s);
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
