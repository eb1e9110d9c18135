/* What augmentation costs: microseconds an image of each operation on one core, and what the loader's thread hides of it.
 *
 *   augment_bench            the table of operations, three channels
 *   augment_bench overlap    loading beside a step of fixed work, with and without the thread (needs Fashion-MNIST) */
#include "search/attributes.h"
#include "search/random.h"
#include "worker/data/augment.h"
#include "worker/data/cache.h"
#include "worker/data/catalog.h"
#include "worker/data/loader.h"
#include "worker/data/mix.h"
#include "worker/data/normalise.h"
#include "worker/data/randaugment.h"
#include "worker/data/resize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHANNELS = 3, IMAGES = 64, SIZE_LARGEST = 224, BLOCKS = 20, SIZES = 3, MAGNITUDE = 9 };
enum { BATCH = 128, OVERLAP_SIZE = 64, OVERLAP_STEPS = 60, STEP_WORK = 4000000 };

static const char DATASETS[] = "/usr/share/datasets";
static const uint32_t sizes[SIZES] = {32, 64, SIZE_LARGEST};
static const double BLOCK_SECONDS = 0.01;

/* IMAGES images of one size, their copies, and what the operations need beside. */
struct bench {
    uint32_t size;
    size_t bytes;                          /* an image */
    uint8_t *originals, *images, *scratch; /* scratch: one image of the largest size */
    float *values;
    struct resizer *resizer;
    struct random_stream stream;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The seconds that one image takes, in the block that was disturbed least. */
static double seconds_an_image(struct bench *bench, void (*run)(struct bench *bench, int which),
                               int which)
{
    double least = 0;
    for (int block = 0; block < BLOCKS; block++) {
        uint64_t passes = 0;
        const double start = now_s();
        do {
            run(bench, which);
            passes++;
        } while (now_s() - start < BLOCK_SECONDS);
        const double seconds = (now_s() - start) / (double)(passes * IMAGES);
        least = block == 0 || seconds < least ? seconds : least;
    }
    return least;
}

/* ---- one pass over all images ---- */

/* Operations change their images: each is applied to a fresh copy, whose cost is part of the figure. */
static void run_op(struct bench *bench, int op)
{
    for (size_t i = 0; i < IMAGES; i++) {
        struct image image = {bench->images + i * bench->bytes, bench->size, CHANNELS};
        struct randaugment_choice choice = randaugment_draw(&bench->stream, bench->size);
        choice.op = (enum randaugment_op)op;
        memcpy(image.pixels, bench->originals + i * bench->bytes, bench->bytes);
        randaugment_apply(&choice, MAGNITUDE, &image, bench->scratch);
    }
}

static void run_copy(struct bench *bench, int which)
{
    (void)which;
    for (size_t i = 0; i < IMAGES; i++) {
        memcpy(bench->images + i * bench->bytes, bench->originals + i * bench->bytes, bench->bytes);
        randaugment_draw(&bench->stream, bench->size);
    }
}

static void run_crop(struct bench *bench, int which)
{
    (void)which;
    for (size_t i = 0; i < IMAGES; i++) {
        const struct crop part = crop_draw(&bench->stream, 0.08, bench->size);
        resizer_run(bench->resizer, bench->originals + i * bench->bytes, &part, bench->scratch);
    }
}

static void run_move(struct bench *bench, int which)
{
    const struct recipe recipe = {.flip = true, .shift = 2};
    (void)which;
    for (uint32_t i = 0; i < IMAGES; i++) {
        const struct augmentation augmentation = augmentation_draw(&recipe, 1, 0, i);
        augmentation_apply(&augmentation, bench->size, CHANNELS,
                           bench->originals + i * bench->bytes, bench->images + i * bench->bytes);
    }
}

static void run_normalise(struct bench *bench, int which)
{
    static const double mean[CHANNELS] = {0.5, 0.4, 0.3}, deviation[CHANNELS] = {0.2, 0.3, 0.25};
    const struct normaliser normaliser = normaliser_of(mean, deviation, CHANNELS);
    (void)which;
    for (size_t i = 0; i < IMAGES; i++)
        normaliser_run(&normaliser, bench->originals + i * bench->bytes, bench->bytes,
                       bench->values + i * bench->bytes);
}

static void run_mix(struct bench *bench, int cut)
{
    uint32_t labels[IMAGES] = {0}, numbers[IMAGES], partners[IMAGES];
    float shares[IMAGES];
    for (uint32_t i = 0; i < IMAGES; i++)
        numbers[i] = i;
    const struct mix_batch batch = {bench->values, IMAGES,  bench->size, CHANNELS,
                                    labels,        numbers, partners,    shares};
    mix_run(&batch, &(struct mix_rules){.mixup = cut ? 0 : 0.2, .cutmix = cut ? 1 : 0});
}

/* What is left to the host where a device makes the images: a crop, flip and shift, two operations, mixing by both kinds. */
static void run_draw(struct bench *bench, int which)
{
    static struct transform transforms[IMAGES];
    const struct recipe recipe = {.flip = true, .shift = 2};
    const struct mix_rules rules = {.mixup = 0.2, .cutmix = 1};
    (void)which;
    for (uint32_t i = 0; i < IMAGES; i++) {
        struct transform *transform = &transforms[i];
        transform->shown = crop_draw(&bench->stream, 0.08, bench->size);
        transform->moved = augmentation_draw(&recipe, 1, 0, i);
        for (transform->op_count = 0; transform->op_count < 2; transform->op_count++) {
            const struct randaugment_choice choice = randaugment_draw(&bench->stream, bench->size);
            transform->ops[transform->op_count] =
                randaugment_resolve(&choice, MAGNITUDE, bench->size);
        }
        transform->mixing = mix_draw(&rules, i, i, IMAGES, bench->size);
    }
}

/* ---- the table ---- */

static void print_row(struct bench *benches, const char *name,
                      void (*run)(struct bench *bench, int which), int which)
{
    printf("| %s |", name);
    for (int s = 0; s < SIZES; s++)
        printf(" %.2f |", seconds_an_image(&benches[s], run, which) * 1e6);
    printf("\n");
}

static int bench_init(struct bench *bench, uint32_t size)
{
    bench->size = size;
    bench->bytes = (size_t)size * size * CHANNELS;
    bench->originals = malloc(IMAGES * bench->bytes);
    bench->images = malloc(IMAGES * bench->bytes);
    bench->scratch = malloc(bench->bytes);
    bench->values = calloc(IMAGES * bench->bytes, sizeof *bench->values);
    if (!bench->originals || !bench->images || !bench->scratch || !bench->values)
        return -1;
    bench->stream = random_stream_of(1, size, RANDOM_RANDAUGMENT);
    for (size_t i = 0; i < IMAGES * bench->bytes; i++)
        bench->originals[i] = (uint8_t)(20 + random_u32(&bench->stream) % 200);
    return resizer_new(size, size, CHANNELS, &bench->resizer);
}

static void bench_release(struct bench *bench)
{
    resizer_free(bench->resizer);
    free(bench->originals);
    free(bench->images);
    free(bench->scratch);
    free(bench->values);
}

static int print_operations(void)
{
    struct bench benches[SIZES] = {0};
    for (int s = 0; s < SIZES; s++)
        if (bench_init(&benches[s], sizes[s]) < 0)
            return 1;
    printf("microseconds an image of three channels, least of %d blocks\n\n", BLOCKS);
    printf("| operation | 32 px | 64 px | 224 px |\n|---|---|---|---|\n");
    print_row(benches, "random-resized crop", run_crop, 0);
    print_row(benches, "flip and shift", run_move, 0);
    print_row(benches, "normalise", run_normalise, 0);
    print_row(benches, "mixup", run_mix, 0);
    print_row(benches, "CutMix", run_mix, 1);
    print_row(benches, "all of a transform drawn, nothing applied", run_draw, 0);
    print_row(benches, "copy and draw, in each of those below", run_copy, 0);
    for (int op = 0; op < RANDAUGMENT_OPS; op++)
        print_row(benches, randaugment_op_name((enum randaugment_op)op), run_op, op);
    for (int s = 0; s < SIZES; s++)
        bench_release(&benches[s]);
    return 0;
}

/* ---- overlap ---- */

/* Arithmetic that stays in registers, as a step of a network mostly does. */
static float pretend_step(float value)
{
    float sums[16] = {value};
    for (int i = 0; i < STEP_WORK; i++)
        for (int k = 0; k < 16; k++)
            sums[k] = sums[k] * 0.999f + (float)k;
    return sums[0];
}

/* Milliseconds of a step with its loading, and of its loading alone as the caller waits for it. */
static int time_steps(const struct loader_options *options, double *ret_step_ms,
                      double *ret_waiting_ms, struct error *error)
{
    struct loader *loader;
    int r = loader_new(options, &loader, error);
    if (r < 0)
        return r;
    static float shares[BATCH];
    static uint32_t labels[BATCH], partners[BATCH];
    float *images = calloc((size_t)BATCH * OVERLAP_SIZE * OVERLAP_SIZE, sizeof *images);
    const struct loader_batch batch = {images, labels, partners, shares};
    volatile float keep = 0;
    double waiting = 0;
    const double start = now_s();
    for (uint64_t i = 0; i < OVERLAP_STEPS && images; i++) {
        const double before = now_s();
        loader_train_batch(loader, i % loader_steps_per_epoch(loader), &batch);
        waiting += now_s() - before;
        keep = pretend_step(images[0] + keep);
    }
    *ret_step_ms = (now_s() - start) / OVERLAP_STEPS * 1e3;
    *ret_waiting_ms = waiting / OVERLAP_STEPS * 1e3;
    free(images);
    loader_free(loader);
    return images ? 0 : -1;
}

static int print_overlap(const struct pack *pack, struct error *error)
{
    const struct dataset *dataset = pack_dataset(pack);
    struct split split;
    struct split_request request = {
        pack_labels(pack), dataset->train_images, dataset->classes, 1, 8000, 2000};
    const struct recipe light = {.batch = BATCH, .flip = true, .shift = 2};
    const struct recipe heavy = {.batch = BATCH,
                                 .flip = true,
                                 .crop_area_min = 0.08,
                                 .randaugment_ops = 2,
                                 .randaugment_magnitude = MAGNITUDE,
                                 .mixup = 0.2};
    int r = split_init(&split, &request, error);
    for (int i = 0; i < 8 && r == 0; i++) {
        struct loader_options options = {.pack = pack,
                                         .split = &split,
                                         .recipe = i / 4 ? heavy : light,
                                         .image_size = OVERLAP_SIZE,
                                         .seed = 1,
                                         .prefetch = i % 2};
        double step_ms, waiting_ms;
        r = time_steps(&options, &step_ms, &waiting_ms, error);
        if (r == 0)
            printf("%s, %s: %.2f ms a step, of them %.2f ms loading\n", i / 4 ? "heavy" : "light",
                   options.prefetch ? "thread" : "no thread", step_ms, waiting_ms);
    }
    split_release(&split);
    return r;
}

static int run_overlap(struct error *error)
{
    const struct catalog_entry *entry;
    struct catalog *catalog;
    struct pack *pack = NULL;
    struct error reason;
    if (catalog_new(&catalog) < 0)
        return -1;
    int r = catalog_add(catalog, DATASETS, error);
    if (r == 0)
        r = catalog_find(catalog, "fashion-mnist", &entry, error);
    if (r == 0)
        r = cache_open(NULL, &entry->source, &pack, &reason, error);
    if (r >= 0)
        r = print_overlap(pack, error);
    pack_free(pack);
    catalog_free(catalog);
    return r;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    if (argc < 2)
        return print_operations();
    if (strcmp(argv[1], "overlap") == 0 && run_overlap(&error) == 0)
        return 0;
    fprintf(stderr, "augment_bench: %s\n",
            error.message[0] ? error.message : "usage: augment_bench [overlap]");
    return 1;
}
