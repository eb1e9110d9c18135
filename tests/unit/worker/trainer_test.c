/* The trainer: it learns, the same seed gives the same result, and whatever goes wrong is an outcome. */
#include "worker/trainer.h"

#include "tests/unit/worker/task.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a task's events said. */
struct record {
    uint32_t epochs;
    struct wire_epoch first_epoch, last_epoch;
    uint64_t progress_calls, steps_done, steps_total;
    uint32_t notes, threads;
    char note[512];
};

/* Of this process. */
static uint32_t count_threads(void)
{
    uint32_t count = 0;
    DIR *entries = opendir("/proc/self/task");
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

struct bench {
    struct catalog *catalog;
    struct trainer *trainer;
    struct record record;
};

static void on_progress(void *context, uint64_t steps_done, uint64_t steps_total)
{
    struct record *record = context;
    assert_true(steps_done == record->steps_done + 1 && steps_done <= steps_total);
    assert_true(steps_total >= record->steps_total);
    record->progress_calls++;
    record->steps_done = steps_done;
    record->steps_total = steps_total;
}

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    struct record *record = context;
    assert_int_equal(epoch->number, ++record->epochs);
    assert_int_equal(wire_epoch_validate(epoch, NULL), 0);
    if (record->epochs == 1)
        record->first_epoch = *epoch;
    record->last_epoch = *epoch;
    record->threads = count_threads();
}

static void on_note(void *context, const char *text)
{
    struct record *record = context;
    record->notes++;
    snprintf(record->note, sizeof record->note, "%s", text);
}

/* Writes the data set where it is not there yet. */
static void bench_init_with(void **state, struct bench *bench, size_t memory_bytes_max,
                            bool prefetch)
{
    *bench = (struct bench){0};
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "bars", path);
    if (access(path, F_OK) < 0)
        fixture_write_synthetic(*state, "bars", &task_images);
    assert_int_equal(catalog_new(&bench->catalog), 0);
    fixture_path(*state, "", path);
    assert_int_equal(catalog_add(bench->catalog, path, NULL), 0);
    struct trainer_options options = {.backend =
                                          backend_onednn() ? backend_onednn() : backend_reference(),
                                      .catalog = bench->catalog,
                                      .cache_directory = path,
                                      .memory_bytes_max = memory_bytes_max,
                                      .prefetch = prefetch};
    assert_int_equal(trainer_new(&options, &bench->trainer, NULL), 0);
}

static void bench_init(void **state, struct bench *bench, size_t memory_bytes_max)
{
    bench_init_with(state, bench, memory_bytes_max, false);
}

static void bench_release(struct bench *bench)
{
    trainer_free(bench->trainer);
    catalog_free(bench->catalog);
}

static struct wire_result bench_run(struct bench *bench, const struct wire_task *task)
{
    assert_int_equal(wire_task_validate(task, NULL), 0);
    bench->record = (struct record){0};
    const struct trainer_events events = {.context = &bench->record,
                                          .on_progress = on_progress,
                                          .on_epoch = on_epoch,
                                          .on_note = on_note};
    struct wire_result result;
    trainer_run(bench->trainer, task, &events, &result);
    struct error error = {0};
    if (wire_result_validate(&result, &error) < 0)
        fail_msg("%s %s", error.pointer, error.message);
    return result;
}

static void test_a_small_network_learns_and_says_so(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    if (result.accuracy < 0.6) /* chance is 0.25 */
        fail_msg("accuracy %g", result.accuracy);
    assert_true(result.loss > 0 && result.loss < 1.2);
    assert_int_equal(result.images, 3 * 320);
    assert_true(result.seconds >= result.first_step_s && result.first_step_s > 0);
    assert_true(result.step_time.blocks >= 5);
    assert_true(result.step_time.spread_s >= 0);
    assert_string_equal(result.message, "");
    assert_int_equal(bench.record.epochs, 3);
    assert_true(bench.record.last_epoch.validation_accuracy == result.accuracy);
    assert_true(bench.record.last_epoch.validation_loss == result.loss);
    /* 10 steps and 3 batches of held-out images an epoch; the baseline is timed after them */
    assert_true(bench.record.steps_done >= 3 * 13 + TRAINER_ROUND_STEPS_MIN);
    assert_int_equal(bench.record.steps_done, bench.record.progress_calls);
    assert_int_equal(bench.record.steps_done, bench.record.steps_total);
    bench_release(&bench);
}

static void test_the_same_seed_gives_the_same_numbers(void **state)
{
    struct bench bench, fresh;
    bench_init(state, &bench, 0);
    bench_init(state, &fresh, 0);
    struct wire_task task = small_task(), other = small_task();
    task.recipe.flip = other.recipe.flip = true;
    task.recipe.shift = other.recipe.shift = 1;
    task.epochs = other.epochs = 1;
    other.seed++;
    struct wire_result first = bench_run(&bench, &task);
    struct wire_epoch first_epoch = bench.record.last_epoch;
    struct wire_result between = bench_run(&bench, &other);
    struct wire_result again = bench_run(&bench, &task);
    struct wire_result elsewhere = bench_run(&fresh, &task);
    assert_true(first.loss == again.loss && first.accuracy == again.accuracy);
    assert_true(first.loss == elsewhere.loss && first.accuracy == elsewhere.accuracy);
    assert_true(fresh.record.last_epoch.train_loss == first_epoch.train_loss);
    assert_true(first.loss != between.loss);
    bench_release(&bench);
    bench_release(&fresh);
}

/* At a rate that changes no weight, the loss under BN still depends on who shares a batch with whom. */
static void test_each_epoch_has_other_batches(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    task.recipe.learning_rate = 1e-30;
    task.epochs = 2;
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    const double first = bench.record.first_epoch.train_loss,
                 last = bench.record.last_epoch.train_loss;
    assert_true(first != last);
    assert_true(last < 1.2 * first && first < 1.2 * last); /* each over its own images */
    bench_release(&bench);
}

static void test_the_split_seed_decides_what_is_held_out(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    task.epochs = 1;
    struct wire_result one = bench_run(&bench, &task);
    task.split_seed++;
    struct wire_result other = bench_run(&bench, &task);
    assert_true(one.loss != other.loss);
    bench_release(&bench);
}

static void test_the_baseline_is_timed_once_for_a_shape(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    task.epochs = 1;
    struct wire_result first = bench_run(&bench, &task);
    assert_non_null(strstr(bench.record.note, "baseline"));
    task.seed++;
    struct wire_result second = bench_run(&bench, &task);
    assert_int_equal(bench.record.notes, 0);
    assert_true(first.step_time.baseline_s == second.step_time.baseline_s);
    task.recipe.batch = 16;
    bench_run(&bench, &task);
    assert_non_null(strstr(bench.record.note, "baseline"));
    bench_release(&bench);
}

static void test_an_absurd_learning_rate_ends_as_diverged(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    task.recipe.learning_rate = 100;
    task.recipe.weight_decay = 1;
    task.recipe.warmup_epochs = 0;
    task.epochs = 40;
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DIVERGED);
    assert_non_null(strstr(result.message, "not finite"));
    assert_true(result.accuracy == 0 && result.loss == 0);
    /* The trainer is as good as before. */
    task = small_task();
    result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    bench_release(&bench);
}

static void test_a_network_that_does_not_fit_ends_as_out_of_memory(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 100000);
    struct wire_task task = small_task();
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_true(result.memory_needed_bytes > 100000);
    assert_true(result.message[0]);
    const uint64_t whole = result.memory_needed_bytes;
    task.micro_batches = 2;
    result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_true(result.memory_needed_bytes < whole);
    bench_release(&bench);
}

static void test_a_batch_in_parts_trains_too(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    task.micro_batches = 2;
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_true(result.accuracy > 0.6);
    bench_release(&bench);
}

static void test_images_are_resized_to_the_recipes_size(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = small_task();
    task.recipe.image_size = 12;
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_true(result.accuracy > 0.6);
    bench_release(&bench);
}

static struct wire_task progressive_task(uint32_t first_size, uint32_t last_size)
{
    struct wire_task task = small_task();
    task.recipe.image_size = last_size;
    task.recipe.stage_count = 2;
    task.recipe.stages[0] = (struct recipe_stage){.image_size = first_size};
    task.recipe.stages[1] = (struct recipe_stage){.image_size = last_size, .dropout = 0.1};
    return task;
}

static void test_a_network_learns_progressively(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = progressive_task(6, 8);
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
    assert_true(result.accuracy > 0.6);
    assert_int_equal(bench.record.epochs, 3);
    assert_true(result.step_time.median_s > 0 && result.step_time.blocks >= 5);
    /* the same with other sizes is other training */
    struct wire_task other = progressive_task(7, 8);
    assert_true(bench_run(&bench, &other).loss != result.loss);
    assert_true(bench_run(&bench, &task).loss == result.loss);
    bench_release(&bench);
}

static void test_batches_made_ahead_give_the_same_numbers(void **state)
{
    struct bench bench, ahead;
    bench_init(state, &bench, 0);
    bench_init_with(state, &ahead, 0, true);
    struct wire_task task = progressive_task(6, 8);
    task.recipe.flip = true;
    task.recipe.crop_area_min = 0.5;
    /* in this order: a sanitizer has a thread of its own from the first one on */
    const struct wire_result with = bench_run(&ahead, &task), without = bench_run(&bench, &task);
    assert_true(with.loss == without.loss && with.accuracy == without.accuracy);
    assert_true(ahead.record.last_epoch.train_loss == bench.record.last_epoch.train_loss);
    assert_int_equal(ahead.record.threads, bench.record.threads + 1);
    bench_release(&bench);
    bench_release(&ahead);
}

/* Not in the one that begins with the next step. */
static void test_an_epoch_is_evaluated_in_the_stage_that_it_ended_in(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    struct wire_task task = progressive_task(6, 8), other = progressive_task(6, 12);
    task.epochs = other.epochs = 2;
    assert_int_equal(bench_run(&bench, &task).outcome, WIRE_OUTCOME_DONE);
    const struct wire_epoch first = bench.record.first_epoch, last = bench.record.last_epoch;
    assert_int_equal(bench_run(&bench, &other).outcome, WIRE_OUTCOME_DONE);
    assert_true(bench.record.first_epoch.train_loss == first.train_loss);
    assert_true(bench.record.first_epoch.validation_loss == first.validation_loss);
    assert_true(bench.record.last_epoch.validation_loss != last.validation_loss);
    bench_release(&bench);
}

/* Larger than the last: found when it begins. */
static void test_a_stage_amid_the_others_that_does_not_fit_ends_as_out_of_memory(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 1);
    struct wire_task small = progressive_task(8, 8), large = progressive_task(8, 32);
    const uint64_t small_bytes = bench_run(&bench, &small).memory_needed_bytes;
    const uint64_t large_bytes = bench_run(&bench, &large).memory_needed_bytes;
    bench_release(&bench);
    bench_init(state, &bench, (small_bytes + large_bytes) / 2);
    struct wire_task task = progressive_task(8, 8);
    task.recipe.stage_count = 3;
    task.recipe.stages[1].image_size = 32;
    task.recipe.stages[2].image_size = 8;
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_int_equal(result.memory_needed_bytes, large_bytes);
    assert_true(bench.record.steps_done >= 10);
    assert_int_equal(bench_run(&bench, &small).outcome, WIRE_OUTCOME_DONE);
    bench_release(&bench);
}

/* Rather than after half of the training. */
static void test_a_last_stage_that_does_not_fit_is_found_before_training(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 1);
    struct wire_task small = progressive_task(8, 8), large = progressive_task(8, 32);
    const uint64_t small_bytes = bench_run(&bench, &small).memory_needed_bytes;
    const uint64_t large_bytes = bench_run(&bench, &large).memory_needed_bytes;
    assert_true(small_bytes < large_bytes);
    bench_release(&bench);
    bench_init(state, &bench, (small_bytes + large_bytes) / 2);
    struct wire_result result = bench_run(&bench, &large);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_int_equal(result.memory_needed_bytes, large_bytes);
    assert_int_equal(bench.record.steps_done, 0);
    bench_release(&bench);
}

static void test_data_that_cannot_be_used_ends_as_failed(void **state)
{
    static const struct {
        const char *name;
        uint32_t classes, batch;
        const char *detail;
    } cases[] = {
        {"imagenet", 4, 32, "not on this machine"},
        {"bars", 7, 32, "7 and 480"},
        {"bars", 4, 321, "do not fill a batch"},
    };
    struct bench bench;
    bench_init(state, &bench, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct wire_task task = small_task();
        snprintf(task.dataset.name, sizeof task.dataset.name, "%s", cases[i].name);
        task.dataset.classes = cases[i].classes;
        task.recipe.batch = cases[i].batch;
        struct wire_result result = bench_run(&bench, &task);
        assert_int_equal(result.outcome, WIRE_OUTCOME_FAILED);
        if (!strstr(result.message, cases[i].detail))
            fail_msg("message \"%s\" lacks \"%s\"", result.message, cases[i].detail);
    }
    bench_release(&bench);
}

static void test_truncated_images_end_as_failed_and_are_named(void **state)
{
    struct bench bench;
    bench_init(state, &bench, 0);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "bars/t10k-images-idx3-ubyte", path);
    assert_int_equal(truncate(path, 1000), 0);
    struct wire_task task = small_task();
    struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_FAILED);
    assert_non_null(strstr(result.message, "t10k-images-idx3-ubyte"));
    bench_release(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_a_small_network_learns_and_says_so),
        FIXTURE_TEST(test_the_same_seed_gives_the_same_numbers),
        FIXTURE_TEST(test_each_epoch_has_other_batches),
        FIXTURE_TEST(test_the_split_seed_decides_what_is_held_out),
        FIXTURE_TEST(test_the_baseline_is_timed_once_for_a_shape),
        FIXTURE_TEST(test_an_absurd_learning_rate_ends_as_diverged),
        FIXTURE_TEST(test_a_network_that_does_not_fit_ends_as_out_of_memory),
        FIXTURE_TEST(test_a_batch_in_parts_trains_too),
        FIXTURE_TEST(test_images_are_resized_to_the_recipes_size),
        FIXTURE_TEST(test_a_network_learns_progressively),
        FIXTURE_TEST(test_batches_made_ahead_give_the_same_numbers),
        FIXTURE_TEST(test_an_epoch_is_evaluated_in_the_stage_that_it_ended_in),
        FIXTURE_TEST(test_a_stage_amid_the_others_that_does_not_fit_ends_as_out_of_memory),
        FIXTURE_TEST(test_a_last_stage_that_does_not_fit_is_found_before_training),
        FIXTURE_TEST(test_data_that_cannot_be_used_ends_as_failed),
        FIXTURE_TEST(test_truncated_images_end_as_failed_and_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
