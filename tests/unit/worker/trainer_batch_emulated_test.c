/* Whole tasks on the CUDA backend, on the emulator: images made on the device come to exactly what floats come to. */
#include "tests/unit/worker/task.h"
#include "worker/engine/backend.h"
#include "worker/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCHS = 2, STEPS = 4 };

/* The emulator's clock says nothing: steps of one length end the timing soon. */
static double seconds(struct program *program)
{
    (void)program;
    return 0.02;
}

static uint32_t held; /* so often */

static int hold(struct device *device, const struct image_set *set, struct error *error)
{
    held++;
    return backend_cuda()->hold_images(device, set, error);
}

static struct backend cuda_backend(bool transforms)
{
    struct backend backend = *backend_cuda();
    backend.seconds = seconds;
    backend.hold_images = transforms ? hold : NULL;
    return backend;
}

/* Everything that augments, over two stages of other sizes than the data set's. */
static struct wire_task augmented_task(uint32_t micro_batches)
{
    struct wire_task task = small_task();
    task.recipe.precision = PRECISION_BF16;
    task.recipe.crop_area_min = 0.3;
    task.recipe.flip = true;
    task.recipe.shift = 1;
    task.recipe.randaugment_ops = 2;
    task.recipe.randaugment_magnitude = 9;
    task.recipe.image_size = 9;
    task.recipe.mixup = 0.2;
    task.recipe.cutmix = 1;
    task.recipe.stage_count = 2;
    task.recipe.stages[0] =
        (struct recipe_stage){.image_size = 6, .randaugment_magnitude = 4, .mixup = 0.1};
    task.recipe.stages[1] = (struct recipe_stage){
        .image_size = 9, .randaugment_magnitude = 9, .mixup = 0.2, .cutmix = 1};
    task.recipe.batch = 16;
    task.train_images = (uint64_t)STEPS * task.recipe.batch;
    task.validation_images = 21;
    task.micro_batches = task.recipe.micro_batches = micro_batches;
    task.epochs = EPOCHS;
    return task;
}

struct outcome {
    struct wire_result result;
    struct wire_epoch epochs[EPOCHS];
};

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    struct outcome *outcome = context;
    assert_in_range(epoch->number, 1, EPOCHS);
    outcome->epochs[epoch->number - 1] = *epoch;
}

static struct outcome run(void **state, bool transforms, const struct wire_task *task)
{
    char path[FILE_PATH_SIZE];
    const struct backend backend = cuda_backend(transforms);
    struct outcome outcome = {0};
    struct catalog *catalog;
    struct trainer *trainer;
    fixture_path(*state, "bars", path);
    if (access(path, F_OK) < 0)
        fixture_write_synthetic(*state, "bars", &task_images);
    assert_int_equal(catalog_new(&catalog), 0);
    fixture_path(*state, "", path);
    assert_int_equal(catalog_add(catalog, path, NULL), 0);
    const struct trainer_options options = {.backend = &backend,
                                            .device = "cuda",
                                            .nvml_library = "none",
                                            .catalog = catalog,
                                            .cache_directory = path};
    const struct trainer_events events = {.context = &outcome, .on_epoch = on_epoch};
    assert_int_equal(trainer_new(&options, &trainer, NULL), 0);
    trainer_run(trainer, task, &events, &outcome.result);
    assert_int_equal(wire_result_validate(&outcome.result, NULL), 0);
    if (outcome.result.outcome != WIRE_OUTCOME_DONE)
        fail_msg("%s", outcome.result.message);
    trainer_free(trainer);
    catalog_free(catalog);
    return outcome;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    for (uint32_t i = 0; i < EPOCHS; i++) {
        assert_int_equal(a->epochs[i].number, i + 1);
        assert_true(a->epochs[i].train_loss == b->epochs[i].train_loss);
        assert_true(a->epochs[i].train_accuracy == b->epochs[i].train_accuracy);
        assert_true(a->epochs[i].validation_loss == b->epochs[i].validation_loss);
        assert_true(a->epochs[i].validation_accuracy == b->epochs[i].validation_accuracy);
    }
    assert_true(a->result.loss == b->result.loss && a->result.accuracy == b->result.accuracy);
}

static void test_images_made_on_the_device_train_as_floats(void **state)
{
    for (uint32_t micro_batches = 1; micro_batches <= 2; micro_batches++) {
        const struct wire_task task = augmented_task(micro_batches);
        held = 0;
        const struct outcome made = run(state, true, &task);
        assert_int_equal(held, 1);
        const struct outcome floats = run(state, false, &task);
        assert_int_equal(held, 1);
        check_same(&made, &floats);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_images_made_on_the_device_train_as_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
