#include "worker/trainer.h"

#include "worker/baseline_table.h"
#include "worker/data/loader.h"
#include "worker/pack_shelf.h"
#include "worker/step_clock.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct trainer {
    struct engine *engine;
    struct pack_shelf *shelf;
    struct baseline_table baselines;
};

/* One task under way. */
struct run {
    struct trainer *trainer;
    const struct wire_task *task;
    const struct trainer_events *events;
    struct problem problem;
    double start_s;
    const struct pack *pack;
    struct split split;
    struct loader *loader;
    struct plan *plan;
    struct step_clock clock;
    uint64_t trained, train_total; /* training steps */
    uint64_t done, total;          /* steps of any kind */
    bool out_of_memory;            /* the candidate's plan did not fit */
    struct wire_result result;     /* as far as it is known */
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* One more step of any kind is done. */
static void notify_progress(struct run *run)
{
    run->done++;
    if (run->total < run->done)
        run->total = run->done;
    if (run->events->on_progress)
        run->events->on_progress(run->events->context, run->done, run->total);
}

static void notify_note(const struct run *run, const char *text)
{
    if (run->events->on_note && text[0])
        run->events->on_note(run->events->context, text);
}

static void run_release(struct run *run)
{
    plan_free(run->plan);
    loader_free(run->loader);
    split_release(&run->split);
}

int trainer_new(const struct trainer_options *options, struct trainer **ret_trainer,
                struct error *error)
{
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = pack_shelf_new(options->catalog, options->cache_directory, &trainer->shelf);
    if (r < 0)
        error_set(error, r, "", "out of memory");
    else
        r = engine_new(options->backend, &trainer->engine, error);
    if (r < 0) {
        trainer_free(trainer);
        return r;
    }
    engine_limit_memory(trainer->engine, options->memory_bytes_max);
    *ret_trainer = trainer;
    return 0;
}

void trainer_free(struct trainer *trainer)
{
    if (!trainer)
        return;
    engine_free(trainer->engine);
    pack_shelf_free(trainer->shelf);
    free(trainer);
}

/* ---- before the first step ---- */

/* The task was priced for a data set of this shape; another one under the same name would be another problem. */
static int check_dataset(const struct dataset *wanted, const struct dataset *here,
                         struct error *error)
{
    if (wanted->image_size == here->image_size && wanted->image_channels == here->image_channels &&
        wanted->classes == here->classes && wanted->train_images == here->train_images)
        return 0;
    return error_set(error, -EINVAL, "",
                     "data set \"%s\" here has %u x %u x %u pixels, %u classes and %" PRIu64
                     " training images; the task is for %u x %u x %u, %u and %" PRIu64,
                     wanted->name, here->image_size, here->image_size, here->image_channels,
                     here->classes, here->train_images, wanted->image_size, wanted->image_size,
                     wanted->image_channels, wanted->classes, wanted->train_images);
}

static int open_data(struct run *run, struct error *error)
{
    const struct wire_task *task = run->task;
    char note[PACK_NOTE_SIZE] = "";
    int r = pack_shelf_get(run->trainer->shelf, task->dataset.name, &run->pack, note, error);
    if (r < 0)
        return r;
    notify_note(run, note);
    const struct dataset *dataset = pack_dataset(run->pack);
    r = check_dataset(&task->dataset, dataset, error);
    if (r < 0)
        return r;
    struct split_request request = {.labels = pack_labels(run->pack),
                                    .images = dataset->train_images,
                                    .classes = dataset->classes,
                                    .seed = task->split_seed,
                                    .train_images = task->train_images,
                                    .validation_images = task->validation_images};
    r = split_init(&run->split, &request, error);
    if (r < 0)
        return r;
    struct loader_options options = {.pack = run->pack,
                                     .split = &run->split,
                                     .recipe = task->recipe,
                                     .image_size = run->problem.image_size,
                                     .seed = task->seed};
    r = loader_new(&options, &run->loader, error);
    if (r < 0)
        return r;
    run->train_total = task->epochs * loader_steps_per_epoch(run->loader);
    run->total = run->train_total + task->epochs * loader_validation_batches(run->loader);
    return 0;
}

static int build_plan(struct run *run, const struct architecture *architecture, struct error *error)
{
    struct plan_options options = {.architecture = *architecture,
                                   .problem = run->problem,
                                   .recipe = run->task->recipe,
                                   .micro_batches = run->task->micro_batches,
                                   .seed = run->task->seed};
    return plan_new(run->trainer->engine, &options, &run->plan, error);
}

/* ---- training ---- */

static struct loader_batch plan_buffers(struct plan *plan)
{
    return (struct loader_batch){.images = plan_images(plan),
                                 .labels = plan_labels(plan),
                                 .partners = plan_partners(plan),
                                 .shares = plan_shares(plan)};
}

/* One training step on what is in the plan's buffers; ret_seconds is the step alone. -EDOM. */
static int timed_step(struct run *run, double learning_rate, struct batch_result *ret_result,
                      double *ret_seconds)
{
    double before = now_s();
    int r = plan_step(run->plan, learning_rate, ret_result);
    *ret_seconds = now_s() - before;
    return r;
}

static int train_step(struct run *run, uint64_t step, struct batch_result *sum, struct error *error)
{
    const uint64_t steps_per_epoch = loader_steps_per_epoch(run->loader);
    const struct loader_batch loaded = plan_buffers(run->plan);
    loader_train_batch(run->loader, step, &loaded);
    double rate =
        recipe_learning_rate(&run->task->recipe, run->trained, run->train_total, steps_per_epoch);
    struct batch_result batch;
    double seconds;
    int r = timed_step(run, rate, &batch, &seconds);
    if (r == -EDOM)
        return error_set(error, r, "", "the loss is not finite at step %" PRIu64 " of %" PRIu64,
                         run->trained + 1, run->train_total);
    if (r < 0)
        return error_set(error, r, "", "training step failed: %s", strerror(-r));
    step_clock_add(&run->clock, seconds);
    if (run->trained == 0)
        run->result.first_step_s = now_s() - run->start_s;
    run->trained++;
    run->result.images += run->task->recipe.batch;
    sum->loss += batch.loss;
    sum->correct += batch.correct;
    notify_progress(run);
    return 0;
}

/* Sums over all held-out images. */
static int evaluate(struct run *run, struct batch_result *ret_sum, struct error *error)
{
    const struct loader_batch loaded = plan_buffers(run->plan);
    struct batch_result sum = {0};
    for (uint64_t i = 0; i < loader_validation_batches(run->loader); i++) {
        struct batch_result batch;
        const uint32_t count = loader_validation_batch(run->loader, i, &loaded);
        int r = plan_evaluate(run->plan, count, &batch);
        if (r == -EDOM)
            return error_set(error, r, "", "the loss on held-out images is not finite");
        if (r < 0)
            return error_set(error, r, "", "evaluation failed: %s", strerror(-r));
        sum.loss += batch.loss;
        sum.correct += batch.correct;
        notify_progress(run);
    }
    *ret_sum = sum;
    return 0;
}

/* Epochs count from 0 here, from 1 in what is reported. */
static int train_epoch(struct run *run, uint32_t epoch, struct error *error)
{
    const double start = now_s();
    const uint64_t steps = loader_steps_per_epoch(run->loader);
    struct batch_result trained = {0}, held_out = {0};
    loader_start_epoch(run->loader, epoch);
    for (uint64_t step = 0; step < steps; step++) {
        int r = train_step(run, step, &trained, error);
        if (r < 0)
            return r;
    }
    int r = evaluate(run, &held_out, error);
    if (r < 0)
        return r;
    const double images = (double)(steps * run->task->recipe.batch);
    const double held_out_images = (double)run->task->validation_images;
    const struct wire_epoch metrics = {.number = epoch + 1,
                                       .train_loss = trained.loss / images,
                                       .train_accuracy = trained.correct / images,
                                       .validation_loss = held_out.loss / held_out_images,
                                       .validation_accuracy = held_out.correct / held_out_images,
                                       .seconds = now_s() - start};
    run->result.accuracy = metrics.validation_accuracy;
    run->result.loss = metrics.validation_loss;
    if (run->events->on_epoch)
        run->events->on_epoch(run->events->context, &metrics);
    return 0;
}

static int train(struct run *run, struct error *error)
{
    step_clock_init(&run->clock, TRAINER_WARMUP_STEPS);
    for (uint32_t epoch = 0; epoch < run->task->epochs; epoch++) {
        int r = train_epoch(run, epoch, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- step times ---- */

/* One round of steps with learning rate 0, on the first batch of an epoch. RMSProp's momentum still moves the weights, and BN
 * its statistics: nothing is evaluated afterwards. */
static int time_round(struct run *run, struct step_summary *ret_summary, struct error *error)
{
    struct step_clock clock;
    step_clock_init(&clock, TRAINER_WARMUP_STEPS);
    loader_start_epoch(run->loader, 0);
    const struct loader_batch loaded = plan_buffers(run->plan);
    loader_train_batch(run->loader, 0, &loaded);
    const double start = now_s();
    for (uint64_t i = 0; i < TRAINER_WARMUP_STEPS + TRAINER_ROUND_STEPS; i++) {
        struct batch_result batch;
        double seconds;
        int r = timed_step(run, 0, &batch, &seconds);
        if (r < 0)
            return error_set(error, r, "", "a timed step failed: %s",
                             r == -EDOM ? "the loss is not finite" : strerror(-r));
        step_clock_add(&clock, seconds);
        notify_progress(run);
        if (clock.added >= TRAINER_ROUND_STEPS_MIN && now_s() - start > TRAINER_ROUND_SECONDS)
            break;
    }
    *ret_summary = step_clock_summary(&clock);
    return 0;
}

/* Times rounds until one is steady, and keeps the steadiest of them and `summary`. */
static int time_until_steady(struct run *run, struct step_summary *summary, struct error *error)
{
    for (int round = 0; round < TRAINER_ROUNDS; round++) {
        if (step_summary_is_steady(summary, TRAINER_SPREAD_LIMIT))
            return 0;
        struct step_summary again;
        int r = time_round(run, &again, error);
        if (r < 0)
            return r;
        bool steadier = again.spread_s * summary->median_s < summary->spread_s * again.median_s;
        if (summary->blocks < STEP_CLOCK_BLOCKS_MIN || steadier)
            *summary = again;
    }
    return 0;
}

/* Times the task's baseline in a plan of its own and keeps the figure. */
static int time_baseline(struct run *run, const struct baseline_key *key, struct error *error)
{
    struct error cause = {0};
    struct step_summary summary = {0};
    int r = build_plan(run, &run->task->baseline, &cause);
    if (r == 0)
        r = time_until_steady(run, &summary, &cause);
    plan_free(run->plan);
    run->plan = NULL;
    if (r < 0) /* whatever it is, the candidate is not to blame */
        return error_set(error, -EINVAL, "", "the baseline could not be timed: %.400s",
                         cause.message);
    baseline_table_add(&run->trainer->baselines, key, summary.median_s);
    char note[128];
    snprintf(note, sizeof note, "baseline: %.4f s a step, spread %.4f s, %u blocks",
             summary.median_s, summary.spread_s, summary.blocks);
    notify_note(run, note);
    return 0;
}

static int measure(struct run *run, struct error *error)
{
    const struct wire_task *task = run->task;
    struct step_summary summary = step_clock_summary(&run->clock);
    int r = time_until_steady(run, &summary, error);
    if (r < 0)
        return r;
    plan_free(run->plan);
    run->plan = NULL;
    const struct baseline_key key =
        baseline_key_of(&task->baseline, &run->problem, &task->recipe, task->micro_batches);
    if (baseline_table_find(&run->trainer->baselines, &key) <= 0) {
        r = time_baseline(run, &key, error);
        if (r < 0)
            return r;
    }
    run->result.step_time =
        (struct wire_step_time){.median_s = summary.median_s,
                                .spread_s = summary.spread_s,
                                .blocks = summary.blocks,
                                .baseline_s = baseline_table_find(&run->trainer->baselines, &key)};
    return 0;
}

/* ---- the whole task ---- */

static int run_task(struct run *run, struct error *error)
{
    int r = open_data(run, error);
    if (r < 0)
        return r;
    r = build_plan(run, &run->task->architecture, error);
    run->out_of_memory = r == -ENOMEM;
    if (r < 0)
        return r;
    r = train(run, error);
    if (r < 0)
        return r;
    return measure(run, error);
}

/* Turns how the task went wrong into its result. */
static void set_failure(struct run *run, int code, const struct error *error)
{
    const struct wire_result known = run->result;
    struct wire_result result = {
        .outcome = WIRE_OUTCOME_FAILED, .first_step_s = known.first_step_s, .images = known.images};
    if (code == -EDOM)
        result.outcome = WIRE_OUTCOME_DIVERGED;
    if (run->out_of_memory) {
        result.outcome = WIRE_OUTCOME_OUT_OF_MEMORY;
        result.memory_needed_bytes = engine_bytes_needed(run->trainer->engine);
    }
    snprintf(result.message, sizeof result.message, "%s", error->message);
    run->result = result;
}

void trainer_run(struct trainer *trainer, const struct wire_task *task,
                 const struct trainer_events *events, struct wire_result *ret_result)
{
    CLEANUP(run_release)
    struct run run = {.trainer = trainer,
                      .task = task,
                      .events = events,
                      .problem = wire_task_problem(task),
                      .start_s = now_s(),
                      .result = {.outcome = WIRE_OUTCOME_DONE}};
    struct error error = {0};
    int r = run_task(&run, &error);
    if (r < 0)
        set_failure(&run, r, &error);
    run.result.seconds = now_s() - run.start_s;
    *ret_result = run.result;
}
