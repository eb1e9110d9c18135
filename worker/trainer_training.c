#include "worker/trainer_run.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- stages of progressive learning ---- */

/* Brings plan and loader to the stage that training step `step` belongs to. */
static int enter_stage(struct run *run, uint64_t step, struct error *error)
{
    const struct recipe *recipe = &run->task->recipe;
    const uint32_t stage = recipe_stage_index(recipe, step, run->steps_total);
    if (stage == run->stage)
        return 0;
    const struct recipe_stage at = recipe_stage_at(recipe, step, run->steps_total);
    int r = run_engine_said(run, plan_resize(run->plan, at.image_size, at.dropout, error));
    if (r == 0) {
        r = loader_set_stage(run->loader, &at, error);
        run->out_of_memory = r == -ENOMEM;
    }
    if (r < 0)
        return r;
    run->stage = stage;
    run->gpu = (struct gpu_clock_state){0};
    run_clock_init(run, &run->clock);
    return 0;
}

/* ---- checkpoints ---- */

static bool can_checkpoint(const struct run *run)
{
    return run->trainer->checkpoint_directory[0] != '\0';
}

/* Where it fails, training goes on without. */
static void write_checkpoint(struct run *run)
{
    struct wire_checkpoint_written written;
    struct error error = {0};
    run->checkpoint_s = trainer_now_s();
    int r = checkpoint_write(run->trainer->checkpoint_directory, &run->progress, run->task,
                             run->plan, &written, &error);
    if (r < 0) {
        char note[ERROR_MESSAGE_SIZE + 32];
        snprintf(note, sizeof note, "no checkpoint: %s", error.message);
        run_notify_note(run, note);
        return;
    }
    if (run->events->on_checkpoint)
        run->events->on_checkpoint(run->events->context, &written);
    if (run->checkpoint_path[0] && strcmp(run->checkpoint_path, written.path) != 0)
        unlink(run->checkpoint_path);
    snprintf(run->checkpoint_path, sizeof run->checkpoint_path, "%s", written.path);
}

/* At every boundary between steps: a checkpoint when it is time for one or the task is wanted back. -ECANCELED. */
static int step_boundary(struct run *run, struct error *error)
{
    const bool stop = run_should_stop(run);
    const uint32_t period_s = run->task->checkpoint_seconds;
    const bool due = period_s > 0 && trainer_now_s() - run->checkpoint_s >= period_s;
    if (can_checkpoint(run) && (stop || due))
        write_checkpoint(run);
    return stop ? run_stopped(run, error) : 0;
}

static void report_epoch(struct run *run, const struct wire_epoch *metrics)
{
    run->result.accuracy = metrics->validation_accuracy;
    run->result.loss = metrics->validation_loss;
    if (run->events->on_epoch)
        run->events->on_epoch(run->events->context, metrics);
}

/* Says again what earlier attempts reported, so that this one's epochs are complete. */
static void report_finished(struct run *run)
{
    char note[96];
    snprintf(note, sizeof note, "continuing after step %" PRIu64 " of %" PRIu64,
             run->progress.steps_done, run->steps_total);
    run_notify_note(run, note);
    for (uint32_t i = 0; i < run->progress.finished_count; i++)
        report_epoch(run, &run->progress.finished[i]);
    run->done = run->progress.steps_done +
                run->progress.finished_count * loader_validation_batches(run->loader);
}

/* Continues from the task's checkpoint where it has one that can be read; otherwise says why not and begins anew. */
static int restore(struct run *run, struct error *error)
{
    const struct wire_task *task = run->task;
    struct error cause = {0};
    if (task->checkpoint.bytes == 0)
        return 0;
    int r = task->checkpoint_path[0]
                ? checkpoint_load(task->checkpoint_path, task, run->plan, &run->progress, &cause)
                : error_set(&cause, -ENOENT, "", "the checkpoint could not be fetched");
    if (r == 0) {
        report_finished(run);
        return 0;
    }
    char note[ERROR_MESSAGE_SIZE + 64];
    snprintf(note, sizeof note, "%s; starting from the beginning", cause.message);
    run_notify_note(run, note);
    if (r == -EINVAL || r == -EBADMSG || r == -ENOENT)
        return 0;
    plan_free(run->plan); /* half of it may have been written */
    run->plan = NULL;
    checkpoint_release(&run->progress);
    r = checkpoint_init(&run->progress, task);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    return run_build_plan(run, &task->architecture, error);
}

/* ---- steps ---- */

static int train_step(struct run *run, struct error *error)
{
    struct checkpoint *progress = &run->progress;
    int r = enter_stage(run, progress->steps_done, error);
    if (r < 0)
        return r;
    run_load_training(run, progress->epoch_steps);
    const double rate = recipe_learning_rate(&run->task->recipe, progress->steps_done,
                                             run->steps_total, loader_steps_per_epoch(run->loader));
    struct batch_result batch;
    double seconds;
    r = run_timed_step(run, rate, &batch, &seconds);
    if (r == -EDOM)
        return error_set(error, r, "",
                         "loss or gradient is not finite at step %" PRIu64 " of %" PRIu64,
                         progress->steps_done + 1, run->steps_total);
    if (r < 0)
        return error_set(error, r, "", "training step failed: %s", strerror(-r));
    step_clock_add(&run->clock, seconds);
    if (run->result.first_step_s <= 0)
        run->result.first_step_s = trainer_now_s() - run->start_s;
    progress->steps_done++;
    progress->epoch_steps++;
    progress->images += run->task->recipe.batch;
    progress->epoch_loss += batch.loss;
    progress->epoch_correct += batch.correct;
    run_notify_progress(run);
    return 0;
}

/* Sums over all held-out images, at the image size of the stage. */
static int evaluate(struct run *run, struct batch_result *ret_sum, struct error *error)
{
    struct batch_result sum = {0};
    for (uint64_t i = 0; i < loader_validation_batches(run->loader); i++) {
        struct batch_result batch;
        const uint32_t count = run_load_validation(run, i);
        int r = run_engine_said(run, plan_evaluate(run->plan, count, &batch));
        if (r == -EDOM)
            return error_set(error, r, "", "the loss on held-out images is not finite");
        if (r < 0)
            return error_set(error, r, "", "evaluation failed: %s", strerror(-r));
        sum.loss += batch.loss;
        sum.correct += batch.correct;
        run_notify_progress(run);
        r = step_boundary(run, error);
        if (r < 0)
            return r;
    }
    *ret_sum = sum;
    return 0;
}

/* The epoch's evaluation and report. */
static int finish_epoch(struct run *run, double start_s, struct error *error)
{
    struct checkpoint *progress = &run->progress;
    struct batch_result held_out = {0};
    int r = enter_stage(run, progress->steps_done - 1, error);
    if (r == 0)
        r = evaluate(run, &held_out, error);
    if (r < 0)
        return r;
    const double images = (double)(progress->epoch_steps * run->task->recipe.batch);
    const double held_out_images = (double)run->task->validation_images;
    const struct wire_epoch metrics = {.number = progress->epoch + 1,
                                       .train_loss = progress->epoch_loss / images,
                                       .train_accuracy = progress->epoch_correct / images,
                                       .validation_loss = held_out.loss / held_out_images,
                                       .validation_accuracy = held_out.correct / held_out_images,
                                       .seconds =
                                           progress->epoch_seconds + trainer_now_s() - start_s};
    progress->finished[progress->finished_count++] = metrics;
    progress->epoch++;
    progress->epoch_steps = 0;
    progress->epoch_loss = progress->epoch_correct = progress->epoch_seconds = 0;
    report_epoch(run, &metrics);
    return 0;
}

/* Epochs count from 0 here, from 1 in what is reported. */
static int train_epoch(struct run *run, struct error *error)
{
    struct checkpoint *progress = &run->progress;
    const double earlier_s = progress->epoch_seconds;
    const double start_s = trainer_now_s();
    loader_start_epoch(run->loader, progress->epoch);
    while (progress->epoch_steps < loader_steps_per_epoch(run->loader)) {
        int r = train_step(run, error);
        progress->epoch_seconds = earlier_s + trainer_now_s() - start_s;
        if (r == 0)
            r = step_boundary(run, error);
        if (r < 0)
            return r;
    }
    run_watch_clock(run, &run->gpu);
    return finish_epoch(run, trainer_now_s(), error);
}

int run_train(struct run *run, struct error *error)
{
    assert(run->steps_total > 0);
    run_clock_init(run, &run->clock);
    run->checkpoint_s = trainer_now_s();
    int r = restore(run, error);
    while (r == 0 && run->progress.epoch < run->task->epochs)
        r = train_epoch(run, error);
    if (r < 0)
        return r;
    run->result.images = run->progress.images;
    r = enter_stage(run, run->steps_total - 1, error); /* where it is timed */
    if (r == 0 && can_checkpoint(run) && run->task->checkpoint_seconds > 0 &&
        trainer_now_s() - run->checkpoint_s > TRAINER_TIMING_CHECKPOINT_S)
        write_checkpoint(run); /* timing moves the weights: there is none after this */
    return r;
}
