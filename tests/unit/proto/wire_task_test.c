/* Tasks as they travel: nothing is lost, and every field is checked. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/worker.pb-c.h"
#include "tests/unit/proto/corruption.h"
#include "tests/unit/proto/sample.h"

static int send(const struct wire_task *task, struct wire_task *ret_task, struct error *error)
{
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(trainer_task_pack(task, &bytes), 0);
    int code = trainer_task_unpack(bytes.data, bytes.length, ret_task, error);
    buffer_release(&bytes);
    return code;
}

static void test_a_task_arrives_as_it_was_sent(void **state)
{
    (void)state;
    const struct wire_task task = sample_task();
    struct wire_task received;
    struct error error;
    assert_int_equal(send(&task, &received, &error), 0);
    same_task(&task, &received);
}

static void test_a_task_without_an_image_size_uses_the_data_sets_own(void **state)
{
    (void)state;
    struct wire_task task = sample_task();
    assert_int_equal(wire_task_problem(&task).image_size, 48);
    task.recipe.image_size = 0;
    assert_int_equal(wire_task_problem(&task).image_size, 64);
    assert_int_equal(wire_task_problem(&task).image_channels, 3);
    assert_int_equal(wire_task_problem(&task).classes, 10);
}

#define T struct wire_task
static const struct corruption corruptions[] = {
    TEXT(T, search, "", "/task/search"),
    TEXT(T, search, "a\nb", "/task/search"),
    TEXT(T, search, "caf\xc3\xa9", "/task/search"),
    U64(T, attempt, 0, "/task/attempt"),
    U64(T, epoch, 0, "/task/epoch"),
    U32(T, architecture.stem_kernel, 2, "/task/architecture/stem/kernel"),
    U32(T, architecture.stem_stride, 3, "/task/architecture/stem/stride"),
    U32(T, architecture.stem_channels, 0, "/task/architecture/stem/channels"),
    U32(T, architecture.head_channels, ARCHITECTURE_CHANNELS_MAX + 1,
        "/task/architecture/head/channels"),
    U32(T, architecture.stages[0].layers, 0, "/task/architecture/stages/0/layers"),
    U32(T, architecture.stages[1].kernel, 4, "/task/architecture/stages/1/kernel"),
    U32(T, architecture.stages[1].expansion, 17, "/task/architecture/stages/1/expansion"),
    U32(T, architecture.stages[1].se_ratio, UINT32_MAX, "/task/architecture/stages/1/se"),
    U32(T, architecture.stages[2].stride, 0, "/task/architecture/stages/2/stride"),
    U32(T, architecture.stages[2].channels, UINT32_MAX, "/task/architecture/stages/2/channels"),
    U32(T, baseline.stem_kernel, 0, "/task/baseline/stem/kernel"),
    U32(T, baseline.stages[2].channels, 0, "/task/baseline/stages/2/channels"),
    REAL(T, recipe.learning_rate, NAN, "/task/recipe/learning_rate"),
    REAL(T, recipe.momentum, 1.5, "/task/recipe/momentum"),
    REAL(T, recipe.decay, -0.1, "/task/recipe/decay"),
    REAL(T, recipe.epsilon, 0, "/task/recipe/epsilon"),
    REAL(T, recipe.weight_decay, INFINITY, "/task/recipe/weight_decay"),
    REAL(T, recipe.warmup_epochs, -1, "/task/recipe/warmup_epochs"),
    REAL(T, recipe.label_smoothing, 1, "/task/recipe/label_smoothing"),
    U32(T, recipe.batch, 0, "/task/recipe/batch"),
    U32(T, recipe.batch, RECIPE_BATCH_MAX + 1, "/task/recipe/batch"),
    U32(T, recipe.image_size, IMAGE_SIZE_MAX + 1, "/task/recipe/image_size"),
    U32(T, recipe.shift, UINT32_MAX, "/task/recipe/shift"),
    REAL(T, recipe.bn_momentum, NAN, "/task/recipe/bn_momentum"),
    REAL(T, recipe.staircase_factor, 0, "/task/recipe/staircase_factor"),
    REAL(T, recipe.staircase_epochs, 0, "/task/recipe/staircase_epochs"),
    REAL(T, recipe.clip_norm, -1, "/task/recipe/clip_norm"),
    REAL(T, recipe.ema_decay, 1, "/task/recipe/ema_decay"),
    REAL(T, recipe.dropout, 1, "/task/recipe/dropout"),
    REAL(T, recipe.stochastic_depth, NAN, "/task/recipe/stochastic_depth"),
    REAL(T, recipe.mixup, 11, "/task/recipe/mixup"),
    REAL(T, recipe.cutmix, -0.5, "/task/recipe/cutmix"),
    U32(T, recipe.randaugment_ops, UINT32_MAX, "/task/recipe/randaugment_ops"),
    REAL(T, recipe.randaugment_magnitude, 31, "/task/recipe/randaugment_magnitude"),
    REAL(T, recipe.crop_area_min, 0, "/task/recipe/crop_area_min"),
    U32(T, recipe.micro_batches, 0, "/task/recipe/micro_batches"),
    U32(T, recipe.micro_batches, 7, "/task/recipe/micro_batches"),
    U32(T, recipe.stages[0].image_size, 0, "/task/recipe/progressive/stages/0/image_size"),
    REAL(T, recipe.stages[1].dropout, 2, "/task/recipe/progressive/stages/1/dropout"),
    U32(T, recipe.stages[1].image_size, 47, "/task/recipe/progressive"),
    TEXT(T, dataset.name, "", "/task/dataset/name"),
    TEXT(T, dataset.name, "../etc", "/task/dataset/name"),
    U32(T, dataset.image_size, 0, "/task/dataset/image_size"),
    U32(T, dataset.image_channels, 2, "/task/dataset/image_channels"),
    U32(T, dataset.classes, CLASSES_MAX + 1, "/task/dataset/classes"),
    U64(T, dataset.train_images, 0, "/task/dataset/train_images"),
    U64(T, train_images, 0, "/task/train_images"),
    U64(T, train_images, 21601, "/task/train_images"),
    U64(T, train_images, UINT64_MAX, "/task/train_images"),
    U64(T, validation_images, 0, "/task/validation_images"),
    U64(T, validation_images, 13601, "/task/validation_images"),
    U64(T, validation_images, UINT64_MAX, "/task/validation_images"),
    U32(T, epochs, 0, "/task/epochs"),
    U32(T, epochs, RECIPE_EPOCHS_MAX + 1, "/task/epochs"),
    U32(T, micro_batches, 0, "/task/micro_batches"),
    U32(T, micro_batches, 5, "/task/micro_batches"),
    U32(T, micro_batches, 192, "/task/micro_batches"),
};
#undef T

static void test_every_field_of_a_task_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corruptions); i++) {
        struct wire_task task = sample_task();
        struct wire_task received = {.candidate = 99};
        struct error error = {.pointer = "none"};
        corrupt(&task, &corruptions[i]);
        int code = send(&task, &received, &error);
        if (code != corruptions[i].code || strcmp(error.pointer, corruptions[i].pointer) != 0)
            fail_msg("row %zu: %d \"%s\" instead of %s", i, code, error.pointer,
                     corruptions[i].pointer);
        assert_int_equal(received.candidate, 99);
    }
}

/* ---- what a struct cannot say: made of the generated messages ---- */

struct raw_task {
    Archscout__V1__ToTrainer message;
    Archscout__V1__Task task;
    Archscout__V1__Architecture architecture;
    Archscout__V1__Stage stages[ARCHITECTURE_STAGES_MAX + 1];
    Archscout__V1__Stage *stage_pointers[ARCHITECTURE_STAGES_MAX + 1];
    Archscout__V1__Recipe recipe;
    Archscout__V1__Dataset dataset;
};

static void make_raw_task(struct raw_task *raw)
{
    archscout__v1__to_trainer__init(&raw->message);
    archscout__v1__task__init(&raw->task);
    archscout__v1__architecture__init(&raw->architecture);
    archscout__v1__recipe__init(&raw->recipe);
    archscout__v1__dataset__init(&raw->dataset);
    for (size_t i = 0; i < ARRAY_LENGTH(raw->stages); i++) {
        archscout__v1__stage__init(&raw->stages[i]);
        raw->stages[i] = (Archscout__V1__Stage){raw->stages[i].base, "conv", 1, 3, 1, 0, 1, 8};
        raw->stage_pointers[i] = &raw->stages[i];
    }
    raw->architecture.stem_kernel = 3;
    raw->architecture.stem_stride = 1;
    raw->architecture.stem_channels = 8;
    raw->architecture.head_channels = 8;
    raw->architecture.n_stages = 1;
    raw->architecture.stages = raw->stage_pointers;
    raw->recipe.optimizer = "sgd";
    raw->recipe.schedule = "cosine";
    raw->recipe.precision = "f32";
    raw->task.search = "1";
    raw->task.attempt = raw->task.epoch = 1;
    raw->task.architecture = raw->task.baseline = &raw->architecture;
    raw->task.recipe = &raw->recipe;
    raw->task.dataset = &raw->dataset;
    raw->message.body_case = ARCHSCOUT__V1__TO_TRAINER__BODY_TASK;
    raw->message.task = &raw->task;
}

static void raw_task_is_refused(const struct raw_task *raw, const char *pointer)
{
    uint8_t bytes[4096];
    struct wire_task task;
    struct error error = {.pointer = "none"};
    size_t length = archscout__v1__to_trainer__pack(&raw->message, bytes);
    assert_true(length <= sizeof bytes);
    assert_int_equal(trainer_task_unpack(bytes, length, &task, &error), -EINVAL);
    assert_string_equal(error.pointer, pointer);
}

static void test_unknown_names_are_refused(void **state)
{
    (void)state;
    struct raw_task raw;
    make_raw_task(&raw);
    raw.stages[0].block = "transformer";
    raw_task_is_refused(&raw, "/task/architecture/stages/0/block");
    make_raw_task(&raw);
    raw.recipe.optimizer = "adam";
    raw_task_is_refused(&raw, "/task/recipe/optimizer");
    make_raw_task(&raw);
    raw.recipe.schedule = "linear";
    raw_task_is_refused(&raw, "/task/recipe/schedule");
    make_raw_task(&raw);
    raw.recipe.precision = "f16";
    raw_task_is_refused(&raw, "/task/recipe/precision");
}

static void test_too_many_stages_are_refused(void **state)
{
    (void)state;
    struct raw_task raw;
    make_raw_task(&raw);
    raw.architecture.n_stages = ARCHITECTURE_STAGES_MAX + 1;
    raw_task_is_refused(&raw, "/task/architecture/stages");
}

static void test_too_many_stages_of_a_recipe_are_refused(void **state)
{
    (void)state;
    struct raw_task raw;
    Archscout__V1__RecipeStage stage, *stages[RECIPE_STAGES_MAX + 1];
    archscout__v1__recipe_stage__init(&stage);
    for (size_t i = 0; i < ARRAY_LENGTH(stages); i++)
        stages[i] = &stage;
    make_raw_task(&raw);
    raw.recipe.n_stages = ARRAY_LENGTH(stages);
    raw.recipe.stages = stages;
    raw_task_is_refused(&raw, "/task/recipe/stages");
}

static void test_missing_parts_are_refused(void **state)
{
    (void)state;
    struct raw_task raw;
    make_raw_task(&raw);
    raw.task.architecture = NULL;
    raw_task_is_refused(&raw, "/task/architecture");
    make_raw_task(&raw);
    raw.task.baseline = NULL;
    raw_task_is_refused(&raw, "/task/baseline");
    make_raw_task(&raw);
    raw.task.recipe = NULL;
    raw_task_is_refused(&raw, "/task/recipe");
    make_raw_task(&raw);
    raw.task.dataset = NULL;
    raw_task_is_refused(&raw, "/task/dataset");
    make_raw_task(&raw);
    raw.message.body_case = ARCHSCOUT__V1__TO_TRAINER__BODY__NOT_SET;
    raw_task_is_refused(&raw, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_task_arrives_as_it_was_sent),
        cmocka_unit_test(test_a_task_without_an_image_size_uses_the_data_sets_own),
        cmocka_unit_test(test_every_field_of_a_task_is_checked),
        cmocka_unit_test(test_unknown_names_are_refused),
        cmocka_unit_test(test_too_many_stages_are_refused),
        cmocka_unit_test(test_too_many_stages_of_a_recipe_are_refused),
        cmocka_unit_test(test_missing_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
