/* A plan that is measured: made by options, fed with made-up images that stay where the engine takes them from, stepped and
 * timed. The parts of engine_bench that know nothing of a device. */
#ifndef TESTS_BENCH_ENGINE_MEASURE_H
#define TESTS_BENCH_ENGINE_MEASURE_H

#include "worker/engine/engine.h"

enum { RUNS_MAX = 99, OCCASIONS_MAX = 99 };

/* Seconds of the clock on the wall, those that this thread had a processor, which differ on a busy machine, and those of the
 * device's own clock, negative where it has none. */
struct duration {
    double wall, processor, device;
};

/* Images a second of each run, by each clock; `device` is negative without one. */
struct rates {
    double wall[RUNS_MAX], processor[RUNS_MAX], device[RUNS_MAX];
};

/* Made-up images of one size that an engine holds, where it takes transforms; without bytes where it does not. */
struct made_images {
    struct image_set set;
    uint8_t *bytes;
};

/* Lets `engine`, which has no plan, hold images of the options' problem if it can. *ret_images is to be released after the
 * engine. */
int made_images_init(struct made_images *ret_images, struct engine *engine,
                     const struct plan_options *options, struct error *error) MUST_USE;
void made_images_release(struct made_images *images);

/* Fills the plan's batch: floats from a normal distribution, or transforms (an image, a flip, a shift by up to 4 pixels). */
void batch_fill(struct plan *plan, const struct plan_options *options,
                const struct made_images *images);

/* `steps` steps of the batch as it is. Errors of plan_step. */
int steps_time(struct plan *plan, uint32_t steps, struct duration *ret_duration) MUST_USE;

/* `runs` times `steps` steps of `batch` images after two steps that do not count. */
int rates_measure(struct plan *plan, uint32_t batch, uint32_t steps, uint32_t runs,
                  struct rates *ret_rates) MUST_USE;

/* Images a second by the clock on the wall of blocks of steps, each a twentieth of `seconds` or longer; the median. */
int rate_for(struct plan *plan, uint32_t batch, double seconds, double *ret_rate) MUST_USE;

/* The batch at which a plan of the options trains the most images a second: doubled from 32 on until that gains less than 2 %
 * or memory ends, the options' own batch being the largest. -ENOMEM where not even 32 fit. */
int batch_best(struct engine *engine, const struct plan_options *options,
               const struct made_images *images, uint32_t *ret_batch, struct error *error) MUST_USE;

#endif
