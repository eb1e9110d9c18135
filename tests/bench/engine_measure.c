#include "tests/bench/engine_measure.h"

#include "search/random.h"
#include "tests/bench/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_FIRST = 32,
    TABLE = 65537, /* a prime, so that rows of pixels do not repeat from image to image */
    BLOCKS_MAX = 64,
    SHIFT = 4
};
static const double GAIN = 1.02, TRIAL_S = 0.5;
static const size_t SET_BYTES = (size_t)256 << 20;

int made_images_init(struct made_images *ret_images, struct engine *engine,
                     const struct plan_options *options, struct error *error)
{
    const struct problem *problem = &options->problem;
    const size_t image =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    struct random_stream random = random_stream_of(1, 0, RANDOM_AUGMENT);
    struct made_images images = {.bytes = NULL};
    if (!engine_takes_transforms(engine)) {
        *ret_images = images;
        return 0;
    }
    images.set = (struct image_set){.count = SET_BYTES / image,
                                    .size = problem->image_size,
                                    .channels = problem->image_channels};
    images.bytes = malloc(images.set.count * image);
    if (!images.bytes)
        return error_set(error, -ENOMEM, "", "out of memory");
    for (size_t i = 0; i < images.set.count * image; i++)
        images.bytes[i] = i < TABLE ? (uint8_t)random_u32(&random) : images.bytes[i - TABLE];
    images.set.bytes = images.bytes;
    for (uint32_t c = 0; c < problem->image_channels; c++) {
        images.set.scale[c] = 1.f / 64;
        images.set.offset[c] = -2;
    }
    const int r = engine_hold_images(engine, &images.set, error);
    if (r < 0)
        free(images.bytes);
    else
        *ret_images = images;
    return r;
}

void made_images_release(struct made_images *images)
{
    free(images->bytes);
}

static void transforms_fill(struct transform *transforms, const struct plan_options *options,
                            const struct image_set *set)
{
    struct random_stream random = random_stream_of(2, 0, RANDOM_AUGMENT);
    for (uint32_t n = 0; n < options->recipe.batch; n++) {
        struct transform *transform = &transforms[n];
        *transform = (struct transform){.image = (uint32_t)random_below(&random, set->count),
                                        .shown = {0, 0, set->size, set->size},
                                        .mixing = {.partner = n, .share = 1}};
        transform->moved.flip = random_below(&random, 2) != 0;
        transform->moved.shift_x = (int32_t)random_below(&random, 2 * SHIFT + 1) - SHIFT;
        transform->moved.shift_y = (int32_t)random_below(&random, 2 * SHIFT + 1) - SHIFT;
    }
}

static void floats_fill(float *images, const struct plan_options *options)
{
    struct random_stream random = random_stream_of(1, 0, RANDOM_AUGMENT);
    const struct problem *problem = &options->problem;
    const size_t count = (size_t)options->recipe.batch * problem->image_size * problem->image_size *
                         problem->image_channels;
    for (size_t i = 0; i < count; i++)
        images[i] = i < TABLE ? (float)random_normal(&random) : images[i - TABLE];
}

void batch_fill(struct plan *plan, const struct plan_options *options,
                const struct made_images *images)
{
    if (images->bytes)
        transforms_fill(plan_transforms(plan), options, &images->set);
    else
        floats_fill(plan_images(plan), options);
    for (uint32_t n = 0; n < options->recipe.batch; n++) {
        plan_labels(plan)[n] = n % options->problem.classes;
        plan_partners(plan)[n] = plan_labels(plan)[n];
        plan_shares(plan)[n] = 1;
    }
}

int steps_time(struct plan *plan, uint32_t steps, struct duration *ret_duration)
{
    const struct duration started = {machine_clock_s(CLOCK_MONOTONIC),
                                     machine_clock_s(CLOCK_THREAD_CPUTIME_ID), 0};
    double device = 0;
    for (uint32_t i = 0; i < steps; i++) {
        struct batch_result result;
        const int r = plan_step(plan, 1e-3, &result);
        if (r < 0)
            return r;
        const double seconds = plan_step_seconds(plan);
        device = seconds < 0 || device < 0 ? -1 : device + seconds;
    }
    *ret_duration =
        (struct duration){machine_clock_s(CLOCK_MONOTONIC) - started.wall,
                          machine_clock_s(CLOCK_THREAD_CPUTIME_ID) - started.processor, device};
    return 0;
}

int rates_measure(struct plan *plan, uint32_t batch, uint32_t steps, uint32_t runs,
                  struct rates *ret_rates)
{
    const double images = (double)steps * batch;
    struct duration duration;
    int r = steps_time(plan, 2, &duration);
    for (uint32_t run = 0; r == 0 && run < runs; run++) {
        r = steps_time(plan, steps, &duration);
        if (r < 0)
            break;
        ret_rates->wall[run] = images / duration.wall;
        ret_rates->processor[run] = images / duration.processor;
        ret_rates->device[run] = duration.device < 0 ? -1 : images / duration.device;
    }
    return r;
}

int rate_for(struct plan *plan, uint32_t batch, double seconds, double *ret_rate)
{
    const double started = machine_clock_s(CLOCK_MONOTONIC);
    double rates[BLOCKS_MAX];
    size_t count = 0;
    uint32_t steps = 1;
    while (count == 0 ||
           (count < BLOCKS_MAX && machine_clock_s(CLOCK_MONOTONIC) - started < seconds)) {
        struct duration duration;
        const int r = steps_time(plan, steps, &duration);
        if (r < 0)
            return r;
        if (duration.wall < seconds / 20 && steps < 1u << 16)
            steps *= 2;
        else
            rates[count++] = (double)steps * batch / duration.wall;
    }
    *ret_rate = machine_median(rates, count);
    return 0;
}

/* The rate at the options' batch. */
static int batch_try(struct engine *engine, const struct plan_options *options,
                     const struct made_images *images, double *ret_rate, struct error *error)
{
    struct plan *plan = NULL;
    struct duration first;
    int r = plan_new(engine, options, &plan, error);
    if (r < 0)
        return r;
    batch_fill(plan, options, images);
    r = steps_time(plan, 2, &first);
    if (r == 0)
        r = rate_for(plan, options->recipe.batch, TRIAL_S, ret_rate);
    plan_free(plan);
    return r;
}

int batch_best(struct engine *engine, const struct plan_options *options,
               const struct made_images *images, uint32_t *ret_batch, struct error *error)
{
    const uint32_t largest = options->recipe.batch;
    struct plan_options tried = *options;
    double best = 0;
    for (uint32_t batch = BATCH_FIRST; batch <= largest; batch *= 2) {
        double rate = 0;
        tried.recipe.batch = batch;
        const int r = batch_try(engine, &tried, images, &rate, error);
        if (r == -ENOMEM && batch > BATCH_FIRST)
            break;
        if (r < 0)
            return r;
        if (rate > best)
            *ret_batch = batch;
        if (rate < best * GAIN)
            break;
        best = rate;
    }
    return 0;
}
