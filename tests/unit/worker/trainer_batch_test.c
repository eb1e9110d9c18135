/* The trainer where the device makes the images: the reference backend plays one, with worker/data's functions, and a task must
 * come to exactly what it comes to on floats. */
#include "worker/trainer.h"

#include "tests/unit/worker/task.h"
#include "worker/data/augment.h"
#include "worker/data/randaugment.h"
#include "worker/data/resize.h"
#include "worker/engine/backend.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCHS_MAX = 8 };

/* ---- the device ---- */

static struct {
    struct image_set set; /* bytes NULL: none */
    uint32_t brought;     /* sets of other bytes than before */
    uint32_t dropped;     /* calls with NULL */
    uint32_t parts;       /* that came as transforms */
    int failure;          /* of holding */
} making;

static int hold(struct device *device, const struct image_set *set, struct error *error)
{
    (void)device;
    if (making.failure < 0)
        return error_set(error, making.failure, "", "no room for images");
    making.dropped += set == NULL;
    making.brought += set && set->bytes != making.set.bytes;
    making.set = set ? *set : (struct image_set){0};
    return 0;
}

static void *checked(void *memory)
{
    assert_non_null(memory);
    return memory;
}

/* (size, size, channels) */
static float *values_of(const struct transform *transform, uint32_t size)
{
    const struct image_set *set = &making.set;
    const size_t own = (size_t)set->size * set->size * set->channels,
                 elements = (size_t)size * size * set->channels;
    uint8_t *bytes = checked(malloc(elements)), *scratch = checked(malloc(elements));
    float *values = checked(malloc(elements * sizeof *values));
    struct image image = {bytes, size, set->channels};
    struct resizer *resizer;
    assert_true(transform->image < set->count);
    assert_int_equal(resizer_new(set->size, size, set->channels, &resizer), 0);
    resizer_run(resizer, set->bytes + transform->image * own, &transform->shown, scratch);
    augmentation_apply(&transform->moved, size, set->channels, scratch, bytes);
    for (uint32_t i = 0; i < transform->op_count; i++)
        randaugment_run(&transform->ops[i], &image, scratch);
    for (size_t i = 0; i < elements; i++)
        values[i] =
            (float)bytes[i] * set->scale[i % set->channels] + set->offset[i % set->channels];
    resizer_free(resizer);
    free(bytes);
    free(scratch);
    return values;
}

static float mixed_value(const struct mixing *mixing, uint32_t x, uint32_t y, float own,
                         float other)
{
    const struct mix_box *box = &mixing->box;
    if (mixing->kind == MIXING_MIXUP)
        return mixing->share * own + (1 - mixing->share) * other;
    const bool cut = mixing->kind == MIXING_CUTMIX && x >= box->left && x < box->right &&
                     y >= box->top && y < box->bottom;
    return cut ? other : own;
}

static void make_image(const struct part *part, uint32_t place, uint32_t size, float *ret_image)
{
    const struct transform *transform = &part->transforms[place];
    assert_true(transform->mixing.partner < part->batch);
    float *own = values_of(transform, size),
          *other = values_of(&part->transforms[transform->mixing.partner], size);
    const uint32_t channels = making.set.channels;
    for (uint32_t i = 0; i < size * size * channels; i++) {
        const uint32_t p = i / channels;
        ret_image[i] = mixed_value(&transform->mixing, p % size, p / size, own[i], other[i]);
    }
    free(own);
    free(other);
}

/* The images of a part as floats, as many as the program's micro-batch has: in evaluation some may not count. */
static float *images_of(const struct program *program, const struct part *part, uint32_t count)
{
    const uint32_t size = program->graph->problem.image_size;
    const size_t elements = (size_t)size * size * program->graph->problem.image_channels;
    float *images = checked(calloc(count * elements, sizeof *images));
    assert_null(part->images);
    for (uint32_t i = 0; i < part->count; i++)
        make_image(part, part->batch_first + i, size, images + i * elements);
    making.parts++;
    return images;
}

static int train(struct program *program, const struct part *part, struct batch_result *ret_result)
{
    struct part floats = *part;
    float *images = images_of(program, part, part->count);
    floats.images = images;
    int r = backend_reference()->train(program, &floats, ret_result);
    free(images);
    return r;
}

static int infer(struct program *program, const struct part *part, struct batch_result *ret_result)
{
    struct part floats = *part;
    float *images = images_of(program, part, small_task().recipe.batch);
    floats.images = images;
    int r = backend_reference()->infer(program, &floats, ret_result);
    free(images);
    return r;
}

static const struct backend *making_backend(void)
{
    static struct backend backend;
    backend = *backend_reference();
    backend.hold_images = hold;
    backend.train = train;
    backend.infer = infer;
    memset(&making, 0, sizeof making);
    return &backend;
}

/* ---- the bench ---- */

struct bench {
    struct catalog *catalog;
    struct trainer *trainer;
    struct wire_epoch epochs[EPOCHS_MAX];
};

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    struct bench *bench = context;
    assert_in_range(epoch->number, 1, EPOCHS_MAX);
    bench->epochs[epoch->number - 1] = *epoch;
}

static void bench_init(void **state, struct bench *bench, const struct backend *backend)
{
    static const char *const names[] = {"bars", "poles"};
    char path[FILE_PATH_SIZE];
    *bench = (struct bench){0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fixture_path(*state, names[i], path);
        if (access(path, F_OK) < 0)
            fixture_write_synthetic(*state, names[i], &task_images);
    }
    assert_int_equal(catalog_new(&bench->catalog), 0);
    fixture_path(*state, "", path);
    assert_int_equal(catalog_add(bench->catalog, path, NULL), 0);
    const struct trainer_options options = {
        .backend = backend, .catalog = bench->catalog, .cache_directory = path, .prefetch = true};
    assert_int_equal(trainer_new(&options, &bench->trainer, NULL), 0);
}

static void bench_release(struct bench *bench)
{
    trainer_free(bench->trainer);
    catalog_free(bench->catalog);
}

static struct wire_result bench_run(struct bench *bench, const struct wire_task *task)
{
    const struct trainer_events events = {.context = bench, .on_epoch = on_epoch};
    struct wire_result result;
    trainer_run(bench->trainer, task, &events, &result);
    assert_int_equal(wire_result_validate(&result, NULL), 0);
    return result;
}

/* Everything that augments, over two stages of other sizes than the data set's, in micro-batches. */
static struct wire_task augmented_task(void)
{
    struct wire_task task = small_task();
    task.recipe.crop_area_min = 0.3;
    task.recipe.flip = true;
    task.recipe.shift = 1;
    task.recipe.randaugment_ops = 2;
    task.recipe.randaugment_magnitude = 9;
    task.recipe.image_size = 10;
    task.recipe.mixup = 0.2;
    task.recipe.cutmix = 1;
    task.recipe.stage_count = 2;
    task.recipe.stages[0] =
        (struct recipe_stage){.image_size = 6, .randaugment_magnitude = 4, .mixup = 0.1};
    task.recipe.stages[1] = (struct recipe_stage){
        .image_size = 10, .randaugment_magnitude = 9, .mixup = 0.2, .cutmix = 1};
    task.micro_batches = task.recipe.micro_batches = 2;
    task.epochs = 4;
    return task;
}

/* ---- the tests ---- */

static void check_same_epochs(const struct bench *a, const struct bench *b, uint32_t epochs)
{
    for (uint32_t i = 0; i < epochs; i++) {
        assert_int_equal(a->epochs[i].number, i + 1);
        assert_true(a->epochs[i].train_loss == b->epochs[i].train_loss);
        assert_true(a->epochs[i].train_accuracy == b->epochs[i].train_accuracy);
        assert_true(a->epochs[i].validation_loss == b->epochs[i].validation_loss);
        assert_true(a->epochs[i].validation_accuracy == b->epochs[i].validation_accuracy);
    }
}

static void test_a_task_comes_to_the_same_as_on_floats(void **state)
{
    const struct wire_task tasks[] = {small_task(), augmented_task()};
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        struct bench devices, floats;
        bench_init(state, &devices, making_backend());
        bench_init(state, &floats, backend_reference());
        const struct wire_result made = bench_run(&devices, &tasks[i]);
        const uint32_t parts = making.parts;
        const struct wire_result expected = bench_run(&floats, &tasks[i]);
        assert_int_equal(made.outcome, WIRE_OUTCOME_DONE);
        assert_int_equal(expected.outcome, WIRE_OUTCOME_DONE);
        check_same_epochs(&devices, &floats, tasks[i].epochs);
        assert_true(made.loss == expected.loss && made.accuracy == expected.accuracy);
        assert_true(parts > 10 * tasks[i].epochs);
        assert_int_equal(making.parts, parts);
        bench_release(&devices);
        bench_release(&floats);
    }
}

static void test_images_are_brought_once_for_tasks_in_a_row(void **state)
{
    struct bench bench;
    struct wire_task task = small_task();
    task.epochs = 1;
    bench_init(state, &bench, making_backend());
    for (int i = 0; i < 3; i++)
        assert_int_equal(bench_run(&bench, &task).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(making.brought, 1);
    assert_int_equal(making.dropped, 0);
    memcpy(task.dataset.name, "poles", sizeof "poles");
    assert_int_equal(bench_run(&bench, &task).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(making.dropped, 1);
    assert_int_equal(making.brought, 2);
    bench_release(&bench);
}

/* A task that comes to nothing before its images are held: the shelf could give back the pack of those that are. */
static void test_images_of_another_data_set_are_dropped_at_once(void **state)
{
    struct bench bench;
    struct wire_task task = small_task();
    task.epochs = 1;
    bench_init(state, &bench, making_backend());
    assert_int_equal(bench_run(&bench, &task).outcome, WIRE_OUTCOME_DONE);
    memcpy(task.dataset.name, "poles", sizeof "poles");
    task.dataset.image_size = 9; /* not what is here */
    assert_int_equal(bench_run(&bench, &task).outcome, WIRE_OUTCOME_FAILED);
    assert_null(making.set.bytes);
    bench_release(&bench);
}

static void test_images_that_cannot_be_held_end_the_task_and_no_more(void **state)
{
    struct bench bench;
    struct wire_task task = small_task();
    task.epochs = 1;
    bench_init(state, &bench, making_backend());
    making.failure = -ENOMEM;
    const struct wire_result result = bench_run(&bench, &task);
    assert_int_equal(result.outcome, WIRE_OUTCOME_OUT_OF_MEMORY);
    assert_non_null(strstr(result.message, "no room for images"));
    making.failure = 0;
    assert_int_equal(bench_run(&bench, &task).outcome, WIRE_OUTCOME_DONE);
    bench_release(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_a_task_comes_to_the_same_as_on_floats),
        FIXTURE_TEST(test_images_are_brought_once_for_tasks_in_a_row),
        FIXTURE_TEST(test_images_of_another_data_set_are_dropped_at_once),
        FIXTURE_TEST(test_images_that_cannot_be_held_end_the_task_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
