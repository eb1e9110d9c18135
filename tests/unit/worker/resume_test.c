/* A candidate that is interrupted at 50 random steps ends with the same weights, to the bit, as one that never was; when
 * checkpoints are written, and which of them stay. */
#include "worker/trainer.h"

#include "search/random.h"
#include "tests/unit/worker/task.h"
#include "worker/safetensors.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCHS = 8, STEPS = 80, INTERRUPTIONS = 50, STEPS_PER_EPOCH = STEPS / EPOCHS };

struct scene {
    struct catalog *catalog;
    struct trainer *trainer;
    char directory[FILE_PATH_SIZE];
    struct wire_checkpoint_written written; /* the last one */
    uint32_t checkpoints;                   /* so many */
    uint64_t polls, stop_at;                /* should_stop says yes at this poll */
    uint64_t stop_after;                    /* or once there is a checkpoint of so many steps */
    uint64_t slow_poll, slow_epoch;         /* time passes before this poll or report is over */
    uint64_t slow_ms;
    uint32_t epochs;
    struct wire_epoch reports[EPOCHS], last;
};

static void pass_time(uint64_t ms)
{
    const struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    assert_int_equal(nanosleep(&time, NULL), 0);
}

static size_t files_in(const char *directory)
{
    size_t count = 0;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static bool should_stop(void *context)
{
    struct scene *scene = context;
    const uint64_t poll = scene->polls++;
    if (scene->slow_poll > 0 && poll > 0 && poll % scene->slow_poll == 0)
        pass_time(scene->slow_ms);
    return poll == scene->stop_at ||
           (scene->stop_after > 0 && scene->written.checkpoint.steps_done == scene->stop_after);
}

static void on_checkpoint(void *context, const struct wire_checkpoint_written *written)
{
    struct scene *scene = context;
    assert_int_equal(access(written->path, R_OK), 0);
    scene->checkpoints++;
    scene->written = *written;
}

/* From the first on in every attempt. */
static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    struct scene *scene = context;
    assert_int_equal(epoch->number, ++scene->epochs);
    assert_true(epoch->number <= EPOCHS);
    scene->reports[epoch->number - 1] = scene->last = *epoch;
    if (epoch->number == scene->slow_epoch)
        pass_time(scene->slow_ms);
}

static void scene_init(void **state, struct scene *scene, const char *name)
{
    *scene = (struct scene){0};
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "bars", path);
    if (access(path, F_OK) < 0)
        fixture_write_synthetic(*state, "bars", &task_images);
    fixture_make_directory(*state, name);
    fixture_path(*state, name, scene->directory);
    assert_int_equal(catalog_new(&scene->catalog), 0);
    fixture_path(*state, "", path);
    assert_int_equal(catalog_add(scene->catalog, path, NULL), 0);
    struct trainer_options options = {.backend =
                                          backend_onednn() ? backend_onednn() : backend_reference(),
                                      .catalog = scene->catalog,
                                      .cache_directory = path,
                                      .checkpoint_directory = scene->directory};
    assert_int_equal(trainer_new(&options, &scene->trainer, NULL), 0);
}

static void scene_release(struct scene *scene)
{
    trainer_free(scene->trainer);
    catalog_free(scene->catalog);
}

/* Everything that a recipe can turn on at once. */
static struct wire_task rich_task(void)
{
    struct wire_task task = small_task();
    task.epochs = EPOCHS;
    task.architecture.stages[0].layers = 2; /* the second has a residual */
    struct recipe *recipe = &task.recipe;
    recipe->image_size = 8;
    recipe->clip_norm = 1;
    recipe->ema_decay = 0.99;
    recipe->label_smoothing = 0.1;
    recipe->stochastic_depth = 0.3;
    recipe->randaugment_ops = 2;
    recipe->crop_area_min = 0.5;
    recipe->flip = true;
    recipe->shift = 1;
    recipe->stage_count = 3;
    recipe->stages[0] = (struct recipe_stage){6, 5, 0, 0.2, 0.1};
    recipe->stages[1] = (struct recipe_stage){7, 8, 0.2, 0, 0.2};
    recipe->stages[2] = (struct recipe_stage){8, 10, 0.2, 0.2, 0.3};
    return task;
}

/* Runs until poll `stop_at` (from 0; one after every training step and every batch of held-out images). */
static enum wire_outcome run_until(struct scene *scene, const struct wire_task *task,
                                   uint64_t stop_at)
{
    const struct trainer_events events = {.context = scene,
                                          .on_epoch = on_epoch,
                                          .should_stop = should_stop,
                                          .on_checkpoint = on_checkpoint};
    struct wire_result result;
    struct error error = {0};
    scene->polls = scene->epochs = scene->checkpoints = 0;
    scene->stop_at = stop_at;
    assert_int_equal(wire_task_validate(task, NULL), 0);
    trainer_run(scene->trainer, task, &events, &result);
    if (wire_result_validate(&result, &error) < 0)
        fail_msg("%s %s", error.pointer, error.message);
    if (result.outcome == WIRE_OUTCOME_FAILED)
        fail_msg("%s", result.message);
    return result.outcome;
}

/* The task goes on where the last checkpoint was written. */
static void continue_task(const struct scene *scene, struct wire_task *task)
{
    task->checkpoint = scene->written.checkpoint;
    snprintf(task->checkpoint_path, sizeof task->checkpoint_path, "%s", scene->written.path);
    task->attempt++;
}

/* Number of the poll after training step `to` (counted from 1) in a run that goes on after step `from`. The evaluation after an
 * epoch's last step is made by the run that goes on from there. */
static uint64_t poll_after(uint64_t from, uint64_t to, uint64_t batches)
{
    const uint64_t evaluated = from > 0 ? (from - 1) / STEPS_PER_EPOCH : 0;
    return to - from - 1 + ((to - 1) / STEPS_PER_EPOCH - evaluated) * batches;
}

/* Distinct steps of 1 .. STEPS in order. */
static void draw_steps(uint64_t ret_steps[INTERRUPTIONS])
{
    struct random_stream random = random_stream_of(11, 0, RANDOM_SHUFFLE);
    size_t count = 0;
    for (uint64_t step = 1; step <= STEPS; step++)
        if (random_below(&random, STEPS - step + 1) < INTERRUPTIONS - count)
            ret_steps[count++] = step;
    assert_int_equal(count, INTERRUPTIONS);
}

static void files_hold_the_same_tensors(const char *a_path, const char *b_path)
{
    struct safetensors *a, *b;
    struct error error = {0};
    if (safetensors_open(a_path, 1 << 26, &a, &error) < 0 ||
        safetensors_open(b_path, 1 << 26, &b, &error) < 0)
        fail_msg("%s", error.message);
    assert_true(safetensors_count(a) > 20);
    assert_int_equal(safetensors_count(a), safetensors_count(b));
    for (size_t i = 0; i < safetensors_count(a); i++) {
        const struct safetensors_tensor *of_a = safetensors_at(a, i), *of_b = safetensors_at(b, i);
        assert_string_equal(of_a->name, of_b->name);
        const size_t bytes = safetensors_bytes(of_a);
        assert_int_equal(safetensors_bytes(of_b), bytes);
        if (strncmp(of_a->name, "checkpoint:", 11) == 0) /* has times in it */
            continue;
        void *x = malloc(bytes), *y = malloc(bytes);
        assert_int_equal(safetensors_read(a, i, x, &error), 0);
        assert_int_equal(safetensors_read(b, i, y, &error), 0);
        if (memcmp(x, y, bytes) != 0)
            fail_msg("%s differs", of_a->name);
        free(x);
        free(y);
    }
    safetensors_free(a);
    safetensors_free(b);
}

static void interrupted_training_ends_with_the_same_weights(void **state,
                                                            const struct wire_task *of)
{
    struct scene whole, parts;
    scene_init(state, &whole, "whole");
    scene_init(state, &parts, "parts");
    const uint64_t batches = (of->validation_images + of->recipe.batch - 1) / of->recipe.batch;

    /* both end at the boundary after the last training step: its checkpoint holds the final weights */
    struct wire_task task = *of;
    assert_int_equal(run_until(&whole, &task, poll_after(0, STEPS, batches)),
                     WIRE_OUTCOME_RETURNED);
    assert_int_equal(whole.written.checkpoint.steps_done, STEPS);

    uint64_t steps[INTERRUPTIONS], last = 0;
    draw_steps(steps);
    for (size_t i = 0; i <= INTERRUPTIONS; i++) {
        const uint64_t step = i < INTERRUPTIONS ? steps[i] : STEPS;
        if (step == last)
            continue;
        assert_int_equal(run_until(&parts, &task, poll_after(last, step, batches)),
                         WIRE_OUTCOME_RETURNED);
        assert_int_equal(parts.written.checkpoint.steps_done, step);
        continue_task(&parts, &task);
        last = step;
    }
    assert_true(task.attempt > of->attempt + INTERRUPTIONS - 1);
    files_hold_the_same_tensors(whole.written.path, parts.written.path);

    /* and from there to the same result */
    assert_int_equal(run_until(&parts, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    continue_task(&whole, &task);
    task.attempt++;
    assert_int_equal(run_until(&whole, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    assert_int_equal(parts.epochs, EPOCHS);
    assert_true(parts.last.validation_loss == whole.last.validation_loss);
    assert_true(parts.last.train_loss == whole.last.train_loss);
    scene_release(&whole);
    scene_release(&parts);
}

static void test_sgd(void **state)
{
    struct wire_task task = rich_task();
    interrupted_training_ends_with_the_same_weights(state, &task);
}

static void test_rmsprop_in_micro_batches(void **state)
{
    struct wire_task task = rich_task();
    task.recipe.optimizer = OPTIMIZER_RMSPROP;
    task.recipe.learning_rate = 0.01;
    task.recipe.micro_batches = task.micro_batches = 2;
    interrupted_training_ends_with_the_same_weights(state, &task);
}

static void test_adamw_in_bf16(void **state)
{
    struct wire_task task = rich_task();
    task.recipe.optimizer = OPTIMIZER_ADAMW;
    task.recipe.learning_rate = 0.003;
    task.recipe.decay = 0.999;
    task.recipe.epsilon = 1e-8;
    task.recipe.precision = PRECISION_BF16;
    interrupted_training_ends_with_the_same_weights(state, &task);
}

static void test_a_checkpoint_is_written_when_it_is_time_and_replaces_the_one_before(void **state)
{
    struct scene scene;
    scene_init(state, &scene, "periodic");
    struct wire_task task = small_task();
    task.checkpoint_seconds = 1;
    scene.slow_poll = 8;
    scene.slow_ms = 1050;
    assert_int_equal(run_until(&scene, &task, 17), WIRE_OUTCOME_RETURNED);
    assert_true(scene.checkpoints >= 3); /* at polls 8 and 16, and when it was stopped */
    assert_int_equal(files_in(scene.directory), 1);
    task.checkpoint_seconds = 0; /* never */
    scene.slow_poll = 16;
    assert_int_equal(unlink(scene.written.path), 0);
    assert_int_equal(run_until(&scene, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    assert_int_equal(scene.checkpoints, 0);
    scene_release(&scene);
}

static void test_no_checkpoint_stays_of_a_task_that_is_done(void **state)
{
    struct scene scene;
    scene_init(state, &scene, "done");
    struct wire_task task = small_task();
    task.checkpoint_seconds = 1;
    scene.slow_poll = 20;
    scene.slow_ms = 1050;
    assert_int_equal(run_until(&scene, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    assert_true(scene.checkpoints >= 1);
    assert_int_equal(files_in(scene.directory), 0);
    scene_release(&scene);
}

/* Timing moves the weights: who is stopped there has all training behind it. */
static void test_training_is_saved_before_steps_are_timed(void **state)
{
    struct scene scene;
    scene_init(state, &scene, "timing");
    struct wire_task task = small_task();
    const uint64_t steps = task.epochs * task.train_images / task.recipe.batch;
    task.checkpoint_seconds = 3600;
    scene.slow_epoch = task.epochs;
    scene.slow_ms = 1000 * TRAINER_TIMING_CHECKPOINT_S + 50;
    scene.stop_after = steps;
    assert_int_equal(run_until(&scene, &task, UINT64_MAX), WIRE_OUTCOME_RETURNED);
    assert_int_equal(scene.checkpoints, 1);
    continue_task(&scene, &task);
    scene.stop_after = scene.slow_epoch = 0;
    const struct scene before = scene;
    assert_int_equal(run_until(&scene, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    assert_int_equal(scene.epochs, task.epochs);
    for (uint32_t i = 0; i < task.epochs; i++) {
        assert_true(scene.reports[i].train_loss == before.reports[i].train_loss);
        assert_true(scene.reports[i].validation_loss == before.reports[i].validation_loss);
        assert_true(scene.reports[i].seconds == before.reports[i].seconds); /* not trained again */
    }
    scene_release(&scene);
}

/* In the middle of an evaluation, too. */
static void test_an_evaluation_that_was_stopped_is_made_again(void **state)
{
    struct scene whole, parts;
    scene_init(state, &whole, "unstopped");
    scene_init(state, &parts, "stopped");
    struct wire_task task = rich_task();
    assert_int_equal(run_until(&whole, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    assert_int_equal(run_until(&parts, &task, STEPS_PER_EPOCH), WIRE_OUTCOME_RETURNED);
    assert_int_equal(parts.written.checkpoint.steps_done, STEPS_PER_EPOCH);
    continue_task(&parts, &task);
    assert_int_equal(run_until(&parts, &task, UINT64_MAX), WIRE_OUTCOME_DONE);
    for (size_t i = 0; i < EPOCHS; i++) {
        assert_true(parts.reports[i].train_loss == whole.reports[i].train_loss);
        assert_true(parts.reports[i].validation_loss == whole.reports[i].validation_loss);
    }
    scene_release(&whole);
    scene_release(&parts);
}

/* A checkpoint that cannot be used is said, and training begins anew. */
static void test_a_checkpoint_of_another_task_is_not_used(void **state)
{
    struct scene scene;
    scene_init(state, &scene, "other");
    struct wire_task task = rich_task();
    assert_int_equal(run_until(&scene, &task, 4), WIRE_OUTCOME_RETURNED);
    assert_int_equal(scene.written.checkpoint.steps_done, 5);
    continue_task(&scene, &task);
    task.seed++;
    assert_int_equal(run_until(&scene, &task, 1), WIRE_OUTCOME_RETURNED);
    assert_int_equal(scene.written.checkpoint.steps_done, 2);
    continue_task(&scene, &task);
    fixture_flip_byte(task.checkpoint_path, 5000);
    assert_int_equal(run_until(&scene, &task, 0), WIRE_OUTCOME_RETURNED);
    assert_int_equal(scene.written.checkpoint.steps_done, 1);
    continue_task(&scene, &task);
    task.checkpoint_path[0] = '\0';
    assert_int_equal(run_until(&scene, &task, 2), WIRE_OUTCOME_RETURNED);
    assert_int_equal(scene.written.checkpoint.steps_done, 3);
    scene_release(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_sgd),
        FIXTURE_TEST(test_rmsprop_in_micro_batches),
        FIXTURE_TEST(test_adamw_in_bf16),
        FIXTURE_TEST(test_a_checkpoint_is_written_when_it_is_time_and_replaces_the_one_before),
        FIXTURE_TEST(test_no_checkpoint_stays_of_a_task_that_is_done),
        FIXTURE_TEST(test_training_is_saved_before_steps_are_timed),
        FIXTURE_TEST(test_an_evaluation_that_was_stopped_is_made_again),
        FIXTURE_TEST(test_a_checkpoint_of_another_task_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
