/* Checkpoints: what was written is loaded back, for the same task only, and a damaged one is found. */
#include "worker/checkpoint.h"

#include "tests/unit/worker/task.h"
#include "worker/safetensors.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    struct engine *engine;
    struct plan *plan;
    struct wire_task task;
};

static struct plan *make_plan(struct engine *engine, const struct wire_task *task)
{
    struct plan_options options = {.architecture = task->architecture,
                                   .problem = wire_task_problem(task),
                                   .recipe = task->recipe,
                                   .micro_batches = task->micro_batches,
                                   .seed = task->seed};
    struct plan *plan = NULL;
    struct error error = {0};
    if (plan_new(engine, &options, &plan, &error) < 0)
        fail_msg("%s", error.message);
    return plan;
}

/* Steps first .. last - 1; each step's batch follows from its number. */
static void train(const struct bench *bench, uint32_t first, uint32_t last)
{
    for (uint32_t step = first; step < last; step++) {
        struct batch_result result;
        for (uint32_t i = 0; i < bench->task.recipe.batch; i++) {
            plan_labels(bench->plan)[i] = (i + step) % 4;
            for (uint32_t pixel = 0; pixel < 64; pixel++)
                plan_images(bench->plan)[i * 64 + pixel] = (float)((i * 7 + pixel * step) % 5) - 2;
        }
        assert_int_equal(plan_step(bench->plan, 0.05, &result), 0);
    }
}

static void bench_init_with(struct bench *bench, enum optimizer_kind optimizer)
{
    *bench = (struct bench){.task = small_task()};
    bench->task.recipe.optimizer = optimizer;
    bench->task.recipe.ema_decay = 0.9;
    bench->task.recipe.dropout = 0.2;
    assert_int_equal(engine_new(backend_reference(), &bench->engine, NULL), 0);
    bench->plan = make_plan(bench->engine, &bench->task);
    train(bench, 0, 23);
}

static void bench_init(struct bench *bench)
{
    bench_init_with(bench, OPTIMIZER_SGD);
}

static void bench_release(struct bench *bench)
{
    plan_free(bench->plan);
    engine_free(bench->engine);
}

/* Three steps into the third epoch of ten steps each. */
static struct checkpoint sample(const struct wire_task *task)
{
    struct checkpoint checkpoint;
    assert_int_equal(checkpoint_init(&checkpoint, task), 0);
    checkpoint.steps_done = 23;
    checkpoint.epoch = checkpoint.finished_count = 2;
    checkpoint.epoch_steps = 3;
    checkpoint.epoch_loss = 1.0 / 3;
    checkpoint.epoch_correct = 77;
    checkpoint.epoch_seconds = 1e-3;
    checkpoint.images = 736;
    checkpoint.finished[0] = (struct wire_epoch){1, 2.5, 0.25, 2.25, 0.375, 6};
    checkpoint.finished[1] = (struct wire_epoch){2, 1.5, 0.5, 1.0 / 7, 0.625, 6.5};
    return checkpoint;
}

static struct wire_checkpoint_written write_sample(const struct fixture *fixture,
                                                   struct bench *bench)
{
    struct wire_checkpoint_written written;
    struct error error = {0};
    struct checkpoint checkpoint = sample(&bench->task);
    if (checkpoint_write(fixture->directory, &checkpoint, &bench->task, bench->plan, &written,
                         &error) < 0)
        fail_msg("%s", error.message);
    checkpoint_release(&checkpoint);
    return written;
}

static void same_tensors(struct plan *a, struct plan *b)
{
    assert_int_equal(plan_step_count(a), plan_step_count(b));
    assert_int_equal(plan_state_count(a), plan_state_count(b));
    for (size_t i = 0; i < plan_state_count(a); i++) {
        struct tensor_info info;
        plan_state_info(a, i, &info);
        float *first = calloc(info.elements, sizeof *first);
        float *second = calloc(info.elements, sizeof *second);
        assert_true(first && second);
        assert_int_equal(plan_tensor_read(a, info.name, first), 0);
        assert_int_equal(plan_tensor_read(b, info.name, second), 0);
        assert_memory_equal(first, second, info.elements * sizeof *first);
        free(first);
        free(second);
    }
}

static void test_a_checkpoint_is_loaded_as_it_was_written(void **state)
{
    struct bench bench;
    bench_init(&bench);
    struct wire_checkpoint_written written = write_sample(*state, &bench);
    assert_int_equal(written.checkpoint.steps_done, 23);
    size_t length;
    free(fixture_read(written.path, &length));
    assert_int_equal(written.checkpoint.bytes, length);
    struct engine *engine = NULL;
    assert_int_equal(engine_new(backend_reference(), &engine, NULL), 0);
    struct plan *plan = make_plan(engine, &bench.task);
    struct checkpoint loaded, expected = sample(&bench.task);
    struct error error = {0};
    assert_int_equal(checkpoint_init(&loaded, &bench.task), 0);
    if (checkpoint_load(written.path, &bench.task, plan, &loaded, &error) < 0)
        fail_msg("%s", error.message);
    same_tensors(bench.plan, plan);
    assert_memory_equal(loaded.finished, expected.finished, 2 * sizeof loaded.finished[0]);
    assert_int_equal(loaded.steps_done, expected.steps_done);
    assert_int_equal(loaded.epoch, 2);
    assert_int_equal(loaded.finished_count, 2);
    assert_int_equal(loaded.epoch_steps, 3);
    assert_true(loaded.epoch_loss == expected.epoch_loss);
    assert_true(loaded.epoch_correct == expected.epoch_correct);
    assert_true(loaded.epoch_seconds == expected.epoch_seconds);
    assert_int_equal(loaded.images, expected.images);
    checkpoint_release(&loaded);
    checkpoint_release(&expected);
    plan_free(plan);
    engine_free(engine);
    bench_release(&bench);
}

/* With every optimizer: what it keeps is in the file. */
static void test_training_goes_on_as_if_it_had_not_stopped(void **state)
{
    static const enum optimizer_kind optimizers[] = {OPTIMIZER_SGD, OPTIMIZER_RMSPROP,
                                                     OPTIMIZER_ADAMW};
    for (size_t i = 0; i < ARRAY_LENGTH(optimizers); i++) {
        struct bench whole, halves;
        bench_init_with(&whole, optimizers[i]);
        bench_init_with(&halves, optimizers[i]);
        struct wire_checkpoint_written written = write_sample(*state, &halves);
        plan_free(halves.plan);
        halves.plan = make_plan(halves.engine, &halves.task);
        struct checkpoint loaded;
        struct error error = {0};
        assert_int_equal(checkpoint_init(&loaded, &halves.task), 0);
        if (checkpoint_load(written.path, &halves.task, halves.plan, &loaded, &error) < 0)
            fail_msg("%s", error.message);
        train(&whole, 23, 40);
        train(&halves, (uint32_t)loaded.steps_done, 40);
        same_tensors(whole.plan, halves.plan);
        checkpoint_release(&loaded);
        bench_release(&whole);
        bench_release(&halves);
    }
}

struct difference {
    const char *field;
    void (*change)(struct wire_task *task);
};

static void change_architecture(struct wire_task *task)
{
    task->architecture.head_channels = 24;
}
static void change_recipe(struct wire_task *task)
{
    task->recipe.momentum = 0.95;
}
static void change_dataset(struct wire_task *task)
{
    snprintf(task->dataset.name, sizeof task->dataset.name, "other");
}
static void change_train_images(struct wire_task *task)
{
    task->train_images--;
}
static void change_validation_images(struct wire_task *task)
{
    task->validation_images--;
}
static void change_split_seed(struct wire_task *task)
{
    task->split_seed++;
}
static void change_seed(struct wire_task *task)
{
    task->seed++;
}
static void change_rung(struct wire_task *task)
{
    task->rung++;
}
static void change_epochs(struct wire_task *task)
{
    task->epochs++;
}
static void change_micro_batches(struct wire_task *task)
{
    task->micro_batches = 2;
}

/* What does not change the weights does not matter: another attempt, another baseline. */
static void test_a_checkpoint_of_another_task_is_refused_by_the_fields_name(void **state)
{
    static const struct difference differences[] = {
        {"architecture", change_architecture},
        {"recipe", change_recipe},
        {"dataset", change_dataset},
        {"train_images", change_train_images},
        {"validation_images", change_validation_images},
        {"split_seed", change_split_seed},
        {"seed", change_seed},
        {"rung", change_rung},
        {"epochs", change_epochs},
        {"micro_batches", change_micro_batches},
    };
    struct bench bench;
    bench_init(&bench);
    struct wire_checkpoint_written written = write_sample(*state, &bench);
    struct checkpoint loaded;
    struct error error = {0};
    assert_int_equal(checkpoint_init(&loaded, &bench.task), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(differences); i++) {
        struct wire_task other = bench.task;
        char words[64];
        differences[i].change(&other);
        assert_int_equal(checkpoint_load(written.path, &other, bench.plan, &loaded, &error),
                         -EINVAL);
        snprintf(words, sizeof words, "another task: %s is", differences[i].field);
        assert_non_null(strstr(error.message, words));
        assert_non_null(strstr(error.message, written.path));
        assert_int_equal(loaded.steps_done, 0);
    }
    struct wire_task again = bench.task;
    again.attempt = 99;
    again.baseline.head_channels = 48;
    again.checkpoint_seconds = 17;
    assert_int_equal(checkpoint_load(written.path, &again, bench.plan, &loaded, &error), 0);
    checkpoint_release(&loaded);
    bench_release(&bench);
}

static void refused(const char *path, struct bench *bench, int code)
{
    struct checkpoint loaded;
    struct error error = {0};
    assert_int_equal(checkpoint_init(&loaded, &bench->task), 0);
    assert_int_equal(checkpoint_load(path, &bench->task, bench->plan, &loaded, &error), code);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(loaded.steps_done, 0);
    checkpoint_release(&loaded);
}

static void test_damage_is_found(void **state)
{
    struct bench bench;
    bench_init(&bench);
    struct wire_checkpoint_written written = write_sample(*state, &bench);
    for (size_t place = 0; place < written.checkpoint.bytes; place += 97) {
        fixture_flip_byte(written.path, place);
        refused(written.path, &bench, -EBADMSG);
        fixture_flip_byte(written.path, place);
    }
    assert_int_equal(truncate(written.path, (off_t)written.checkpoint.bytes - 1), 0);
    refused(written.path, &bench, -EBADMSG);
    assert_int_equal(unlink(written.path), 0);
    refused(written.path, &bench, -ENOENT);
    bench_release(&bench);
}

/* A file without this program's checksum is none that it wrote. */
static void test_a_checkpoint_without_a_checksum_is_refused(void **state)
{
    struct bench bench;
    bench_init(&bench);
    struct wire_checkpoint_written written = write_sample(*state, &bench);
    fixture_flip_byte(written.path, sizeof(uint64_t) + strlen("{\"__metadata__\":{\"arch"));
    refused(written.path, &bench, -EBADMSG);
    bench_release(&bench);
}

static void too_many_epoch_steps(struct checkpoint *checkpoint)
{
    checkpoint->epoch_steps = 13;
}
static void steps_of_another_epoch(struct checkpoint *checkpoint)
{
    checkpoint->epoch = checkpoint->finished_count = 1;
}
static void steps_past_the_end(struct checkpoint *checkpoint)
{
    checkpoint->epoch = checkpoint->finished_count = 3;
    checkpoint->epoch_steps = UINT64_MAX - 6;
}
static void too_many_images(struct checkpoint *checkpoint)
{
    checkpoint->images++;
}
static void a_loss_that_is_none(struct checkpoint *checkpoint)
{
    checkpoint->epoch_loss = NAN;
}
static void more_correct_than_seen(struct checkpoint *checkpoint)
{
    checkpoint->epoch_correct = 97;
}

/* However well its checksum fits: whoever made it, the trainer must not go on from there. */
static void test_what_no_training_can_have_come_to_is_refused(void **state)
{
    static void (*const changes[])(struct checkpoint * checkpoint) = {
        too_many_epoch_steps, steps_of_another_epoch, steps_past_the_end,
        too_many_images,      a_loss_that_is_none,    more_correct_than_seen};
    const struct fixture *fixture = *state;
    struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        struct wire_checkpoint_written written;
        struct error error = {0};
        struct checkpoint checkpoint = sample(&bench.task);
        changes[i](&checkpoint);
        assert_int_equal(checkpoint_write(fixture->directory, &checkpoint, &bench.task, bench.plan,
                                          &written, &error),
                         0);
        refused(written.path, &bench, -EBADMSG);
        checkpoint_release(&checkpoint);
    }
    bench_release(&bench);
}

/* A good safetensors file that is no checkpoint. */
static void test_another_kind_of_file_is_refused(void **state)
{
    struct bench bench;
    bench_init(&bench);
    char path[FILE_PATH_SIZE];
    struct error error = {0};
    struct safetensors_writer *writer = NULL;
    fixture_path(*state, "other.safetensors", path);
    assert_int_equal(safetensors_create(path, 1000, &writer, &error), 0);
    assert_int_equal(safetensors_finish(writer, &error), 0);
    safetensors_writer_free(writer);
    refused(path, &bench, -EINVAL);
    bench_release(&bench);
}

static void test_a_directory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct wire_checkpoint_written written;
    struct error error = {0};
    struct checkpoint checkpoint = sample(&bench.task);
    assert_int_equal(
        checkpoint_write("/nowhere/at/all", &checkpoint, &bench.task, bench.plan, &written, &error),
        -ENOENT);
    assert_non_null(strstr(error.message, "/nowhere/at/all"));
    checkpoint_release(&checkpoint);
    bench_release(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_a_checkpoint_is_loaded_as_it_was_written),
        FIXTURE_TEST(test_training_goes_on_as_if_it_had_not_stopped),
        FIXTURE_TEST(test_a_checkpoint_of_another_task_is_refused_by_the_fields_name),
        FIXTURE_TEST(test_damage_is_found),
        FIXTURE_TEST(test_a_checkpoint_without_a_checksum_is_refused),
        FIXTURE_TEST(test_what_no_training_can_have_come_to_is_refused),
        FIXTURE_TEST(test_another_kind_of_file_is_refused),
        FIXTURE_TEST(test_a_directory_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
