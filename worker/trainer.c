#include "worker/trainer_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double trainer_now_s(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

void run_notify_progress(struct run *run)
{
    run->done++;
    if (run->total < run->done)
        run->total = run->done;
    if (run->events->on_progress)
        run->events->on_progress(run->events->context, run->done, run->total);
}

void run_notify_note(const struct run *run, const char *text)
{
    if (run->events->on_note && text[0])
        run->events->on_note(run->events->context, text);
}

bool run_should_stop(const struct run *run)
{
    return run->events->should_stop && run->events->should_stop(run->events->context);
}

int run_stopped(const struct run *run, struct error *error)
{
    return error_set(error, -ECANCELED, "", "stopped after step %" PRIu64 " of %" PRIu64 "%s",
                     run->progress.steps_done, run->steps_total,
                     run->checkpoint_path[0] ? "" : ", without a checkpoint");
}

static void run_release(struct run *run)
{
    plan_free(run->plan);
    loader_free(run->loader);
    split_release(&run->split);
    checkpoint_release(&run->progress);
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
        r = trainer_open_device(trainer, options, error);
    if (r < 0) {
        trainer_free(trainer);
        return r;
    }
    trainer->prefetch = options->prefetch;
    if (options->checkpoint_directory)
        snprintf(trainer->checkpoint_directory, sizeof trainer->checkpoint_directory, "%s",
                 options->checkpoint_directory);
    *ret_trainer = trainer;
    return 0;
}

void trainer_free(struct trainer *trainer)
{
    if (!trainer)
        return;
    trainer_close_device(trainer);
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
    run_notify_note(run, note);
    r = run_drop_images(run, error);
    if (r < 0)
        return r;
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
                                     .seed = task->seed,
                                     .prefetch =
                                         run->trainer->prefetch && !run_device_makes_images(run)};
    r = loader_new(&options, &run->loader, error);
    if (r < 0)
        return r;
    run->steps_total = task->epochs * loader_steps_per_epoch(run->loader);
    run->total = run->steps_total + task->epochs * loader_validation_batches(run->loader);
    return run_hold_images(run, error);
}

int run_build_plan(struct run *run, const struct architecture *architecture, struct error *error)
{
    struct plan_options options = {.architecture = *architecture,
                                   .problem = run->problem,
                                   .recipe = run->task->recipe,
                                   .micro_batches = run->task->micro_batches,
                                   .seed = run->task->seed};
    const uint64_t last =
        run->steps_total - 1; /* where the baseline is timed; the candidate comes by its stages */
    options.recipe.dropout = recipe_stage_at(&options.recipe, last, run->steps_total).dropout;
    run->stage = run->task->recipe.stage_count > 0 ? STAGE_NONE : 0;
    return run_engine_said(run, plan_new(run->trainer->engine, &options, &run->plan, error));
}

int run_timed_step(struct run *run, double learning_rate, struct batch_result *ret_result,
                   double *ret_seconds)
{
    const double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    int r = run_engine_said(run, plan_step(run->plan, learning_rate, ret_result));
    if (r < 0)
        return r;
    const double device_s = plan_step_seconds(run->plan);
    *ret_seconds = device_s > 0 ? device_s : seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
    return 0;
}

int run_engine_said(struct run *run, int code)
{
    if (code == -ENOMEM || code == -ENOTRECOVERABLE)
        run->out_of_memory = true;
    if (code == -EIO || code == -ENODEV)
        run->device_failed = true;
    return code;
}

/* ---- the whole task ---- */

static int run_task(struct run *run, struct error *error)
{
    int r = checkpoint_init(&run->progress, run->task);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    r = open_data(run, error);
    if (r < 0)
        return r;
    r = run_build_plan(run, &run->task->architecture, error);
    if (r < 0)
        return r;
    run_note_device(run);
    r = run_train(run, error);
    return r < 0 ? r : run_measure(run, error);
}

/* Not the candidate's fault until it has been tried elsewhere. */
static void set_device_failure(struct run *run, struct wire_result *result)
{
    char said[ENGINE_FAILURE_SIZE], during[ERROR_MESSAGE_SIZE];
    engine_failure(run->trainer->engine, said);
    snprintf(during, sizeof during, "%s", result->message);
    result->outcome = WIRE_OUTCOME_LOST;
    result->memory_needed_bytes = 0;
    snprintf(result->message, sizeof result->message, "%s failed%s%.160s; %.280s",
             run->trainer->device.id, said[0] ? ": " : "", said, during);
    run->trainer->broken = true;
}

/* Turns how the task went wrong into its result. */
static void set_failure(struct run *run, int code, const struct error *error)
{
    const struct wire_result known = run->result;
    struct wire_result result = {.outcome = WIRE_OUTCOME_FAILED,
                                 .first_step_s = known.first_step_s,
                                 .images = run->progress.images};
    if (code == -EDOM)
        result.outcome = WIRE_OUTCOME_DIVERGED;
    if (code == -ECANCELED)
        result.outcome = WIRE_OUTCOME_RETURNED;
    if (run->out_of_memory) {
        result.outcome = WIRE_OUTCOME_OUT_OF_MEMORY;
        result.memory_needed_bytes = engine_bytes_needed(run->trainer->engine);
    }
    snprintf(result.message, sizeof result.message, "%s", error->message);
    if (run->device_failed)
        set_device_failure(run, &result);
    run->result = result;
}

/* Whoever watches the trainer must not think that it hangs while it builds a plan. */
static void on_part(void *context)
{
    struct run *run = context;
    const double now_s = trainer_now_s();
    if (now_s - run->part_s < TRAINER_PART_SECONDS)
        return;
    run->part_s = now_s;
    run->total++;
    run_notify_progress(run);
}

void trainer_run(struct trainer *trainer, const struct wire_task *task,
                 const struct trainer_events *events, struct wire_result *ret_result)
{
    CLEANUP(run_release)
    struct run run = {.trainer = trainer,
                      .task = task,
                      .events = events,
                      .problem = wire_task_problem(task),
                      .start_s = trainer_now_s(),
                      .result = {.outcome = WIRE_OUTCOME_DONE}};
    struct error error = {0};
    engine_watch_building(trainer->engine, on_part, &run);
    int r = run_task(&run, &error);
    engine_watch_building(trainer->engine, NULL, NULL);
    if (r < 0)
        set_failure(&run, r, &error);
    if (run.checkpoint_path[0] && run.result.outcome != WIRE_OUTCOME_RETURNED)
        unlink(run.checkpoint_path); /* nobody continues from here */
    run.result.seconds = trainer_now_s() - run.start_s;
    *ret_result = run.result;
}
