#include "worker/exec_task.h"

#include "proto/sha256.h"
#include "search/export_json.h"
#include "search/json_write.h"
#include "search/layer.h"
#include "search/recipe_json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every reader of JSON has integers up to here. */
static const uint64_t EXACT_MASK = (UINT64_C(1) << 53) - 1;

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)(value & EXACT_MASK));
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* ---- blocks ---- */

/* The layers of one block, and where it stands. */
struct block {
    const struct stage *stage;
    uint32_t stage_number;
    const struct layer *first, *last;
    uint32_t stride;
    uint32_t squeezed; /* 0: no squeeze-and-excitation */
};

static json_t *block_write(const struct block *block)
{
    const struct stage *stage = block->stage;
    return JSON_BUILD(
        {"block", json_string(block_type_name(stage->block))},
        {"stage", whole(block->stage_number)}, {"kernel", whole(stage->kernel)},
        {"expansion", whole(stage->block == BLOCK_CONV ? 1 : stage->expansion)},
        {"se_channels", whole(block->squeezed)}, {"stride", whole(block->stride)},
        {"in_channels", whole(block->first->in_channels)}, {"channels", whole(stage->channels)},
        {"in_size", whole(block->first->in_size)}, {"out_size", whole(block->last->out_size)},
        {"residual", json_boolean(block->last->residual)});
}

/* Takes the layers of the block that begins at `layers`; returns the layer after it. */
static const struct layer *take_block(const struct layer *layers, struct block *block)
{
    const uint32_t number = layers->block;
    block->first = layers;
    block->squeezed = 0;
    for (; layers->block == number; layers++) {
        if (layers->kind == LAYER_SE_REDUCE)
            block->squeezed = layers->out_channels;
        block->last = layers;
    }
    return layers;
}

/* The list ends with the head, which belongs to no block. */
static int append_blocks(json_t *array, const struct architecture *architecture,
                         const struct layer *layers)
{
    const struct layer *next = layers + 1;
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        struct block block = {.stage = &architecture->stages[i], .stage_number = i};
        if (block.stage->block == BLOCK_IDENTITY)
            continue;
        for (uint32_t k = 0; k < block.stage->layers; k++) {
            next = take_block(next, &block);
            block.stride = k == 0 ? block.stage->stride : 1;
            if (json_array_append_new(array, block_write(&block)) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static json_t *blocks_write(const struct architecture *architecture, const struct problem *problem)
{
    struct layer *layers = calloc(layer_count(architecture), sizeof *layers);
    json_t *array = layers ? json_array() : NULL;
    if (array) {
        layer_list(architecture, problem, layers);
        if (append_blocks(array, architecture, layers) < 0) {
            json_decref(array);
            array = NULL;
        }
    }
    free(layers);
    return array;
}

/* ---- the document ---- */

static json_t *network_write(const struct architecture *architecture, const struct problem *problem)
{
    char text[ARCHITECTURE_TEXT_SIZE];
    json_t *network = architecture_write(architecture);
    architecture_text(architecture, text);
    if (!network || json_object_set_new(network, "text", json_string(text)) < 0 ||
        json_object_set_new(network, "blocks", blocks_write(architecture, problem)) < 0) {
        json_decref(network);
        return NULL;
    }
    return network;
}

static json_t *dataset_write(const struct dataset *dataset)
{
    return JSON_BUILD(
        {"name", json_string(dataset->name)}, {"image_size", whole(dataset->image_size)},
        {"image_channels", whole(dataset->image_channels)}, {"classes", whole(dataset->classes)},
        {"train_images", whole(dataset->train_images)},
        {"test_images", whole(dataset->test_images)});
}

int exec_task_write(const struct wire_task *task, const struct exec_place *place, struct text *text)
{
    const struct problem problem = wire_task_problem(task);
    json_t *document = JSON_BUILD(
        {"protocol", json_integer(EXEC_PROTOCOL)}, {"search", json_string(task->search)},
        {"candidate", whole(task->candidate)}, {"rung", whole(task->rung)},
        {"attempt", whole(task->attempt)}, {"device", json_string(place->device)},
        {"data", text_or_null(place->data)},
        {"checkpoint_directory", text_or_null(place->checkpoint_directory)},
        {"dataset", dataset_write(&task->dataset)}, {"train_images", whole(task->train_images)},
        {"validation_images", whole(task->validation_images)},
        {"split_seed", whole(task->split_seed)}, {"seed", whole(task->seed)},
        {"epochs", whole(task->epochs)}, {"micro_batches", whole(task->micro_batches)},
        {"image_size", whole(problem.image_size)}, {"recipe", recipe_write(&task->recipe)},
        {"architecture", network_write(&task->architecture, &problem)},
        {"baseline", network_write(&task->baseline, &problem)});
    int code = json_write_text(document, text);
    text_add(text, "\n");
    return code < 0 ? code : text_status(text);
}

/* ---- the key ---- */

static void add_number(struct sha256 *digest, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRIu64 "|", number);
    sha256_add(digest, text, (size_t)length);
}

static void add_text(struct sha256 *digest, const char *text)
{
    sha256_add(digest, text, strlen(text) + 1);
}

void exec_task_key(const struct wire_task *task, char ret_key[EXEC_TASK_KEY_SIZE])
{
    char text[ARCHITECTURE_TEXT_SIZE], search[32];
    uint8_t bytes[SHA256_SIZE];
    struct sha256 digest;
    sha256_init(&digest);
    architecture_text(&task->architecture, text);
    add_text(&digest, text);
    add_text(&digest, task->dataset.name);
    add_text(&digest, task->search);
    add_number(&digest, task->dataset.image_size);
    add_number(&digest, task->dataset.train_images);
    add_number(&digest, task->train_images);
    add_number(&digest, task->validation_images);
    add_number(&digest, task->split_seed);
    add_number(&digest, task->seed);
    sha256_finish(&digest, bytes);
    snprintf(search, sizeof search, "%.24s", task->search);
    for (char *at = search; *at; at++)
        if (!isalnum((unsigned char)*at))
            *at = '_';
    snprintf(ret_key, EXEC_TASK_KEY_SIZE, "%s-%" PRIu64 "-%02x%02x%02x%02x%02x%02x%02x%02x", search,
             task->candidate, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
             bytes[7]);
}
