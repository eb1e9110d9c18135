#include "worker/exec_task.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "search/layer.h"
#include "tests/unit/proto/sample.h"

static const struct exec_place place = {
    .device = "cuda:1", .data = "/data", .checkpoint_directory = "/work/exec/a \"b\""};

static json_t *document_of(const struct wire_task *task, const struct exec_place *where)
{
    struct text text;
    text_init(&text, EXEC_TASK_BYTES_MAX);
    assert_int_equal(exec_task_write(task, where, &text), 0);
    assert_ptr_equal(strchr(text.data, '\n'), text.data + text.length - 1);
    json_t *document = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    text_release(&text);
    return document;
}

static uint64_t whole_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("%s is no whole number", key);
    return (uint64_t)json_integer_value(value);
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static void test_document_has_the_whole_task(void **state)
{
    (void)state;
    const struct wire_task task = sample_task();
    json_t *document = document_of(&task, &place);
    const json_t *dataset = json_object_get(document, "dataset");
    assert_int_equal(whole_at(document, "protocol"), EXEC_PROTOCOL);
    assert_string_equal(text_at(document, "search"), task.search);
    assert_int_equal(whole_at(document, "candidate"), task.candidate);
    assert_int_equal(whole_at(document, "rung"), task.rung);
    assert_int_equal(whole_at(document, "attempt"), task.attempt);
    assert_string_equal(text_at(document, "device"), "cuda:1");
    assert_string_equal(text_at(document, "data"), "/data");
    assert_string_equal(text_at(document, "checkpoint_directory"), "/work/exec/a \"b\"");
    assert_string_equal(text_at(dataset, "name"), task.dataset.name);
    assert_int_equal(whole_at(dataset, "image_size"), task.dataset.image_size);
    assert_int_equal(whole_at(dataset, "image_channels"), task.dataset.image_channels);
    assert_int_equal(whole_at(dataset, "classes"), task.dataset.classes);
    assert_int_equal(whole_at(dataset, "train_images"), task.dataset.train_images);
    assert_int_equal(whole_at(dataset, "test_images"), task.dataset.test_images);
    assert_int_equal(whole_at(document, "train_images"), task.train_images);
    assert_int_equal(whole_at(document, "validation_images"), task.validation_images);
    assert_int_equal(whole_at(document, "epochs"), task.epochs);
    assert_int_equal(whole_at(document, "micro_batches"), task.micro_batches);
    assert_int_equal(whole_at(document, "image_size"), wire_task_problem(&task).image_size);
    assert_int_equal(whole_at(json_object_get(document, "recipe"), "batch"), task.recipe.batch);
    json_decref(document);
}

static void test_seeds_are_exact_in_every_reader(void **state)
{
    (void)state;
    struct wire_task task = sample_task();
    task.split_seed = 7;
    task.seed = UINT64_MAX;
    json_t *document = document_of(&task, &place);
    assert_int_equal(whole_at(document, "split_seed"), 7);
    assert_int_equal(whole_at(document, "seed"), (UINT64_C(1) << 53) - 1);
    json_decref(document);
}

static void test_what_is_not_told_is_null(void **state)
{
    (void)state;
    const struct wire_task task = sample_task();
    json_t *document = document_of(&task, &(struct exec_place){.device = "cpu"});
    assert_true(json_is_null(json_object_get(document, "data")));
    assert_true(json_is_null(json_object_get(document, "checkpoint_directory")));
    json_decref(document);
}

/* Each block in order: its stage's choices, and the channels and sizes of the layers that the engine would build. */
static void check_network(const json_t *network, const struct architecture *architecture,
                          const struct problem *problem)
{
    struct layer *layers = calloc(layer_count(architecture), sizeof *layers);
    const json_t *blocks = json_object_get(network, "blocks");
    const struct layer *layer = layers + 1;
    size_t index = 0;
    char text[ARCHITECTURE_TEXT_SIZE];
    assert_non_null(layers);
    layer_list(architecture, problem, layers);
    architecture_text(architecture, text);
    assert_string_equal(text_at(network, "text"), text);
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        const struct stage *stage = &architecture->stages[i];
        for (uint32_t k = 0; stage->block != BLOCK_IDENTITY && k < stage->layers; k++) {
            const json_t *block = json_array_get(blocks, index);
            assert_string_equal(text_at(block, "block"), block_type_name(stage->block));
            assert_int_equal(whole_at(block, "stage"), i);
            assert_int_equal(whole_at(block, "kernel"), stage->kernel);
            assert_int_equal(whole_at(block, "stride"), k == 0 ? stage->stride : 1);
            assert_int_equal(whole_at(block, "channels"), stage->channels);
            assert_int_equal(whole_at(block, "in_channels"), layer->in_channels);
            assert_int_equal(whole_at(block, "in_size"), layer->in_size);
            uint32_t squeezed = 0, out_size = 0;
            bool residual = false;
            for (; layer->block == index; layer++) {
                if (layer->kind == LAYER_SE_REDUCE)
                    squeezed = layer->out_channels;
                out_size = layer->out_size;
                residual = layer->residual;
            }
            assert_int_equal(whole_at(block, "se_channels"), squeezed);
            assert_int_equal(whole_at(block, "out_size"), out_size);
            assert_int_equal(json_is_true(json_object_get(block, "residual")), residual);
            index++;
        }
    }
    assert_int_equal(json_array_size(blocks), index);
    assert_true(index > 0);
    free(layers);
}

static void test_blocks_are_those_of_the_engine(void **state)
{
    (void)state;
    struct wire_task task = sample_task();
    task.architecture.stage_count = 5;
    task.architecture.stages[0] =
        (struct stage){.block = BLOCK_CONV, .layers = 1, .kernel = 3, .stride = 1, .channels = 12};
    task.architecture.stages[1] = (struct stage){.block = BLOCK_IDENTITY};
    task.architecture.stages[2] = (struct stage){.block = BLOCK_MBCONV,
                                                 .layers = 3,
                                                 .kernel = 5,
                                                 .expansion = 4,
                                                 .se_ratio = 2500,
                                                 .stride = 2,
                                                 .channels = 24};
    task.architecture.stages[3] = (struct stage){.block = BLOCK_FUSED_MBCONV,
                                                 .layers = 2,
                                                 .kernel = 3,
                                                 .expansion = 1,
                                                 .se_ratio = 2500,
                                                 .stride = 1,
                                                 .channels = 24};
    task.architecture.stages[4] = (struct stage){.block = BLOCK_FUSED_MBCONV,
                                                 .layers = 1,
                                                 .kernel = 1,
                                                 .expansion = 2,
                                                 .stride = 2,
                                                 .channels = 32};
    const struct problem problem = wire_task_problem(&task);
    json_t *document = document_of(&task, &place);
    check_network(json_object_get(document, "architecture"), &task.architecture, &problem);
    check_network(json_object_get(document, "baseline"), &task.baseline, &problem);
    json_decref(document);
}

static void test_key_is_of_the_candidate_not_of_the_attempt(void **state)
{
    (void)state;
    char key[EXEC_TASK_KEY_SIZE], other[EXEC_TASK_KEY_SIZE];
    struct wire_task task = sample_task();
    exec_task_key(&task, key);
    assert_null(strchr(key, '/'));
    task.attempt++, task.epoch++, task.rung++, task.epochs++, task.micro_batches *= 2;
    exec_task_key(&task, other);
    assert_string_equal(other, key);
    task.seed++;
    exec_task_key(&task, other);
    assert_string_not_equal(other, key);
    task = sample_task();
    task.architecture.head_channels++;
    exec_task_key(&task, other);
    assert_string_not_equal(other, key);
    task = sample_task();
    snprintf(task.search, sizeof task.search, "../../etc");
    exec_task_key(&task, other);
    assert_null(strchr(other, '/'));
    assert_null(strchr(other, '.'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_has_the_whole_task),
        cmocka_unit_test(test_seeds_are_exact_in_every_reader),
        cmocka_unit_test(test_what_is_not_told_is_null),
        cmocka_unit_test(test_blocks_are_those_of_the_engine),
        cmocka_unit_test(test_key_is_of_the_candidate_not_of_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
