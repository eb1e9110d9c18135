/* Trains a network on CIFAR-10 with one backend, some seeds in turn, and measures it on the test images (see usage). The engine
 * alone is needed: where it takes transforms, images lie on the device and are augmented there, elsewhere the same transforms
 * are carried out here. */
#include "search/preset.h"
#include "search/random.h"
#include "tests/gpu/cifar_images.h"
#include "worker/data/augment.h"
#include "worker/engine/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char USAGE[] =
    "usage: train_cifar --data DIRECTORY [--backend NAME] [--device NAME] "
    "[--preset NAME] [--epochs N] [--seeds N]\n"
    "                   [--images N] [--batch N] [--f32] [--accuracy MEAN:RANGE] [--loss "
    "MEAN:RANGE]\n"
    "\n"
    "The recipe: SGD with Nesterov momentum 0.9 at 0.1, batch 64, half an "
    "epoch of warm-up, cosine, label smoothing 0.1,\n"
    "weight decay 5e-4, flip, shift by up to 4 pixels, bf16. A line a "
    "seed: accuracy on the test images in per cent, and a\n"
    "checksum of every weight, statistic and state at the end. --accuracy and --loss say what "
    "another backend reached on the\n"
    "test images, in per cent, and in the last epoch's training: they agree where the means lie no "
    "further apart than the\n"
    "wider range (most less least of the seeds) of the two. Exit status 1 where they do not, 77 "
    "where\n"
    "the device is not there.\n";

enum { SEEDS_MAX = 16 };

/* Of several seeds. */
struct expected {
    double mean, range; /* range < 0: nothing is expected */
};

struct options {
    const char *data, *backend, *device, *preset;
    uint32_t epochs, seeds, batch;
    uint64_t images; /* the first so many of either split; 0: all */
    struct expected accuracy, loss;
    bool f32;
};

struct outcome {
    double accuracy, loss;
};

struct training {
    const struct options *options;
    struct cifar_images images;
    uint64_t train_count, test_count; /* of them, that take part */
    struct plan_options plan_options;
    struct engine *engine;
    struct plan *plan;
    bool transforms;
    uint32_t *order; /* (train_count) */
    uint8_t *image;  /* one, augmented */
};

static void training_release(struct training *training)
{
    plan_free(training->plan);
    engine_free(training->engine);
    cifar_images_release(&training->images);
    free(training->order);
    free(training->image);
}

/* ---- batches ---- */

/* Image `image` as place `n` of the batch. */
static void image_put(struct training *training, uint32_t n, uint32_t image,
                      const struct augmentation *moved)
{
    const struct image_set *set = &training->images.set;
    const size_t bytes = (size_t)set->size * set->size * set->channels;
    plan_labels(training->plan)[n] = training->images.labels[image];
    plan_partners(training->plan)[n] = training->images.labels[image];
    if (training->transforms) {
        plan_transforms(training->plan)[n] = (struct transform){
            .image = image,
            .shown = {0, 0, set->size, set->size},
            .moved = *moved,
            .mixing = {.partner = n, .share = 1},
        };
        return;
    }
    float *to = plan_images(training->plan) + n * bytes;
    augmentation_apply(moved, set->size, set->channels, set->bytes + image * bytes,
                       training->image);
    for (size_t i = 0; i < bytes; i++) {
        const uint32_t c = (uint32_t)(i % set->channels);
        to[i] = (float)training->image[i] * set->scale[c] + set->offset[c];
    }
}

static void order_shuffle(struct training *training, uint64_t seed, uint32_t epoch)
{
    struct random_stream random = random_stream_of(seed, epoch, RANDOM_SHUFFLE);
    const uint32_t count = (uint32_t)training->train_count;
    for (uint32_t i = 0; i < count; i++)
        training->order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t j = (uint32_t)random_below(&random, i), last = training->order[i - 1];
        training->order[i - 1] = training->order[j];
        training->order[j] = last;
    }
}

static int epoch_train(struct training *training, uint64_t seed, uint32_t epoch, double *ret_loss)
{
    const struct recipe *recipe = &training->plan_options.recipe;
    const uint64_t steps = training->train_count / recipe->batch;
    double loss = 0;
    order_shuffle(training, seed, epoch);
    for (uint64_t step = 0; step < steps; step++) {
        struct batch_result result;
        for (uint32_t n = 0; n < recipe->batch; n++) {
            const uint32_t image = training->order[step * recipe->batch + n];
            const struct augmentation moved = augmentation_draw(recipe, seed, epoch, image);
            image_put(training, n, image, &moved);
        }
        const double rate = recipe_learning_rate(recipe, epoch * steps + step,
                                                 training->options->epochs * steps, steps);
        const int r = plan_step(training->plan, rate, &result);
        if (r < 0)
            return r;
        loss += result.loss;
    }
    *ret_loss = loss / (double)(steps * recipe->batch);
    return 0;
}

static int test_images(struct training *training, double *ret_accuracy)
{
    const uint32_t batch = training->plan_options.recipe.batch;
    const struct augmentation none = {false, 0, 0};
    const uint64_t first = training->images.train_count, count = training->test_count;
    uint64_t correct = 0;
    for (uint64_t done = 0; done < count;) {
        const uint32_t now = (uint32_t)(count - done < batch ? count - done : batch);
        struct batch_result result;
        for (uint32_t n = 0; n < now; n++)
            image_put(training, n, (uint32_t)(first + done + n), &none);
        const int r = plan_evaluate(training->plan, now, &result);
        if (r < 0)
            return r;
        correct += result.correct;
        done += now;
    }
    *ret_accuracy = 100.0 * (double)correct / (double)count;
    return 0;
}

/* FNV-1a over the bits of everything that a checkpoint would hold. */
static int state_checksum(struct plan *plan, uint64_t *ret_sum)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < plan_state_count(plan); i++) {
        struct tensor_info info;
        plan_state_info(plan, i, &info);
        float *values = malloc(info.elements * sizeof *values);
        if (!values)
            return -ENOMEM;
        const int r = plan_tensor_read(plan, info.name, values);
        const unsigned char *bytes = (const unsigned char *)values;
        for (size_t j = 0; r == 0 && j < info.elements * sizeof *values; j++)
            sum = (sum ^ bytes[j]) * UINT64_C(0x100000001b3);
        free(values);
        if (r < 0)
            return r;
    }
    *ret_sum = sum;
    return 0;
}

/* ---- runs ---- */

static int plan_options_make(const struct options *options, struct plan_options *ret_options,
                             struct error *error)
{
    struct plan_options plan = {.problem = {32, 3, CIFAR_CLASSES}, .micro_batches = 1};
    int r = preset_find(options->preset, &plan.architecture, error);
    if (r == 0)
        r = recipe_preset("search-short", &plan.recipe, error);
    if (r < 0)
        return r;
    plan.recipe.warmup_epochs = 0.5;
    plan.recipe.label_smoothing = 0.1;
    plan.recipe.flip = true;
    plan.recipe.shift = 4;
    plan.recipe.batch = options->batch;
    plan.recipe.precision = options->f32 ? PRECISION_F32 : PRECISION_BF16;
    *ret_options = plan;
    return 0;
}

/* At most `most`, unless that is 0. */
static uint64_t limited(uint64_t count, uint64_t most)
{
    return most && most < count ? most : count;
}

static int training_open(struct training *training, struct error *error)
{
    const struct options *options = training->options;
    const struct backend *backend = backend_find(options->backend);
    int r = plan_options_make(options, &training->plan_options, error);
    if (r == 0 && !backend)
        r = error_set(error, -ENODEV, "", "this build has no backend %s", options->backend);
    if (r == 0)
        r = engine_new_on(backend, options->device, &training->engine, error);
    if (r == 0)
        r = cifar_images_init(&training->images, options->data, error);
    if (r < 0)
        return r;
    training->train_count = limited(training->images.train_count, options->images);
    training->test_count = limited(training->images.test_count, options->images);
    if (training->train_count < options->batch)
        return error_set(error, -EINVAL, "", "the images do not fill one batch");
    training->transforms = engine_takes_transforms(training->engine);
    if (training->transforms)
        r = engine_hold_images(training->engine, &training->images.set, error);
    training->order = malloc(training->train_count * sizeof *training->order);
    training->image = malloc(32 * 32 * 3);
    if (r == 0 && (!training->order || !training->image))
        r = error_set(error, -ENOMEM, "", "out of memory");
    return r;
}

static double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int seed_train(struct training *training, uint64_t seed, struct outcome *ret_outcome,
                      struct error *error)
{
    const double started = clock_s();
    struct outcome outcome = {0, 0};
    uint64_t sum = 0;
    training->plan_options.seed = seed;
    int r = plan_new(training->engine, &training->plan_options, &training->plan, error);
    if (r < 0)
        return r;
    for (uint32_t epoch = 0; r == 0 && epoch < training->options->epochs; epoch++)
        r = epoch_train(training, seed, epoch, &outcome.loss);
    const double seconds = clock_s() - started;
    if (r == 0)
        r = test_images(training, &outcome.accuracy);
    if (r == 0)
        r = state_checksum(training->plan, &sum);
    if (r < 0)
        return error_set(error, r, "", "seed %" PRIu64 ": %s", seed,
                         r == -EDOM ? "the loss is not finite" : strerror(-r));
    printf("seed %" PRIu64 ": accuracy %.2f, training loss %.4f, %s, checksum %016" PRIx64 "\n",
           seed, outcome.accuracy, outcome.loss, precision_name(plan_precision(training->plan)),
           sum);
    fprintf(stderr, "seed %" PRIu64 ": trained in %.1f s\n", seed, seconds);
    plan_free(training->plan);
    training->plan = NULL;
    *ret_outcome = outcome;
    return 0;
}

/* Whether a figure of the seeds agrees with what is expected; says so. */
static bool figure_print(const char *what, const struct expected *expected, const double *values,
                         uint32_t count)
{
    double sum = 0, least = values[0], most = values[0];
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    const double mean = sum / count;
    printf("%s %.4g (%.4g .. %.4g)", what, mean, least, most);
    if (expected->range < 0) {
        printf(", nothing to compare with");
        return true;
    }
    const bool agrees = fabs(mean - expected->mean) <= fmax(most - least, expected->range);
    printf(" %s %.4g, range %.4g", agrees ? "agrees with" : "DISAGREES with", expected->mean,
           expected->range);
    return agrees;
}

static bool verdict_print(const struct options *options, const struct outcome *outcomes)
{
    double accuracies[SEEDS_MAX], losses[SEEDS_MAX];
    for (uint32_t i = 0; i < options->seeds; i++) {
        accuracies[i] = outcomes[i].accuracy;
        losses[i] = outcomes[i].loss;
    }
    printf("figure: ");
    bool agrees = figure_print("accuracy", &options->accuracy, accuracies, options->seeds);
    printf("; ");
    agrees = figure_print("loss", &options->loss, losses, options->seeds) && agrees;
    printf("\n");
    return agrees;
}

/* ---- the command ---- */

/* MEAN:RANGE */
static bool expected_parse(const char *text, struct expected *ret_expected)
{
    char rest = 0;
    struct expected expected;
    if (sscanf(text, "%lf:%lf%c", &expected.mean, &expected.range, &rest) != 2 ||
        !(expected.range >= 0))
        return false;
    *ret_expected = expected;
    return true;
}

static bool option_parse(const char *name, const char *value, struct options *options)
{
    const struct {
        const char *name, **text;
    } texts[] = {{"--data", &options->data},
                 {"--backend", &options->backend},
                 {"--device", &options->device},
                 {"--preset", &options->preset}};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return true;
        }
    if (strcmp(name, "--accuracy") == 0)
        return expected_parse(value, &options->accuracy);
    if (strcmp(name, "--loss") == 0)
        return expected_parse(value, &options->loss);
    char *end = NULL;
    const double number = strtod(value, &end);
    if (end == value || *end || !(number >= 0) || number > 1e6)
        return false;
    if (strcmp(name, "--epochs") == 0)
        options->epochs = (uint32_t)number;
    else if (strcmp(name, "--seeds") == 0)
        options->seeds = (uint32_t)number;
    else if (strcmp(name, "--batch") == 0)
        options->batch = (uint32_t)number;
    else if (strcmp(name, "--images") == 0)
        options->images = (uint64_t)number;
    else
        return false;
    return true;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--f32") == 0)
            options->f32 = true;
        else if (i + 1 == argc || !option_parse(argv[i], argv[i + 1], options))
            return false;
        else
            i++;
    }
    return options->data && options->epochs >= 1 && options->seeds >= 1 &&
           options->seeds <= SEEDS_MAX && options->batch >= 1 && options->batch <= RECIPE_BATCH_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {.backend = "cuda",
                              .preset = "archscout-reference",
                              .epochs = 6,
                              .seeds = 5,
                              .batch = 64,
                              .accuracy = {0, -1},
                              .loss = {0, -1}};
    struct error error = {{0}, {0}};
    struct outcome outcomes[SEEDS_MAX];
    if (!options_parse(argc, argv, &options)) {
        fputs(USAGE, stderr);
        return 2;
    }
    setlinebuf(stdout);
    CLEANUP(training_release) struct training training = {.options = &options};
    int r = training_open(&training, &error);
    if (r == -ENODEV) {
        printf("SKIP: %s\n", error.message);
        return 77;
    }
    for (uint32_t i = 0; r == 0 && i < options.seeds; i++)
        r = seed_train(&training, i + 1, &outcomes[i], &error);
    if (r < 0) {
        fprintf(stderr, "train_cifar: %s\n", error.message);
        return 1;
    }
    return verdict_print(&options, outcomes) ? 0 : 1;
}
