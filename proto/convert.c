#include "proto/convert.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/foreign_text.h"

static int missing(struct error *error, const char *pointer)
{
    return error_set(error, -EINVAL, pointer, "is missing");
}

void architecture_to_message(const struct architecture *architecture,
                             struct architecture_message *ret_message)
{
    assert(architecture->stage_count <= ARCHITECTURE_STAGES_MAX);
    Archscout__V1__Architecture *message = &ret_message->message;
    archscout__v1__architecture__init(message);
    message->stem_kernel = architecture->stem_kernel;
    message->stem_stride = architecture->stem_stride;
    message->stem_channels = architecture->stem_channels;
    message->head_channels = architecture->head_channels;
    message->n_stages = architecture->stage_count;
    message->stages = ret_message->stage_pointers;
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        const struct stage *from = &architecture->stages[i];
        Archscout__V1__Stage *to = &ret_message->stages[i];
        archscout__v1__stage__init(to);
        to->block = (char *)block_type_name(from->block); /* packing only reads it */
        to->layers = from->layers;
        to->kernel = from->kernel;
        to->expansion = from->expansion;
        to->se_ratio = from->se_ratio;
        to->stride = from->stride;
        to->channels = from->channels;
        ret_message->stage_pointers[i] = to;
    }
}

static int stage_from_message(const Archscout__V1__Stage *message, uint32_t index,
                              struct stage *ret_stage, struct error *error)
{
    int code = block_type_from_name(message->block, &ret_stage->block);
    if (code < 0) {
        char pointer[ERROR_POINTER_SIZE];
        snprintf(pointer, sizeof pointer, "/stages/%u/block", index);
        return error_set(error, code, pointer, "must be identity, conv, mbconv or fused_mbconv");
    }
    ret_stage->layers = message->layers;
    ret_stage->kernel = message->kernel;
    ret_stage->expansion = message->expansion;
    ret_stage->se_ratio = message->se_ratio;
    ret_stage->stride = message->stride;
    ret_stage->channels = message->channels;
    return 0;
}

/* Reads the fields, leaving the ranges to architecture_validate. */
static int read_architecture(const Archscout__V1__Architecture *message,
                             struct architecture *ret_architecture, struct error *error)
{
    if (message->n_stages > ARCHITECTURE_STAGES_MAX)
        return error_set(error, -EINVAL, "/stages", "must have at most %d stages",
                         ARCHITECTURE_STAGES_MAX);
    *ret_architecture = (struct architecture){
        .stem_kernel = message->stem_kernel,
        .stem_stride = message->stem_stride,
        .stem_channels = message->stem_channels,
        .head_channels = message->head_channels,
        .stage_count = (uint32_t)message->n_stages,
    };
    for (uint32_t i = 0; i < ret_architecture->stage_count; i++) {
        int code = stage_from_message(message->stages[i], i, &ret_architecture->stages[i], error);
        if (code < 0)
            return code;
    }
    return 0;
}

int architecture_from_message(const Archscout__V1__Architecture *message, const char *pointer,
                              struct architecture *ret_architecture, struct error *error)
{
    if (!message)
        return missing(error, pointer);
    struct architecture architecture;
    int code = read_architecture(message, &architecture, error);
    if (code == 0)
        code = architecture_validate(&architecture, error);
    if (code < 0)
        return error_prefix(error, code, pointer);
    *ret_architecture = architecture;
    return 0;
}

static void dataset_to_message(const struct dataset *dataset, Archscout__V1__Dataset *ret_message)
{
    archscout__v1__dataset__init(ret_message);
    ret_message->name = (char *)dataset->name; /* packing only reads it */
    ret_message->image_size = dataset->image_size;
    ret_message->image_channels = dataset->image_channels;
    ret_message->classes = dataset->classes;
    ret_message->train_images = dataset->train_images;
    ret_message->test_images = dataset->test_images;
}

static int dataset_from_message(const Archscout__V1__Dataset *message, const char *pointer,
                                struct dataset *ret_dataset, struct error *error)
{
    if (!message)
        return missing(error, pointer);
    struct dataset dataset = {
        .image_size = message->image_size,
        .image_channels = message->image_channels,
        .classes = message->classes,
        .train_images = message->train_images,
        .test_images = message->test_images,
    };
    int code = foreign_name_copy(message->name, "/name", dataset.name, sizeof dataset.name, error);
    if (code == 0)
        code = dataset_validate(&dataset, error);
    if (code < 0)
        return error_prefix(error, code, pointer);
    *ret_dataset = dataset;
    return 0;
}

void wire_task_to_message(const struct wire_task *task, struct wire_task_message *ret_message)
{
    Archscout__V1__Task *message = &ret_message->message;
    archscout__v1__task__init(message);
    architecture_to_message(&task->architecture, &ret_message->architecture);
    architecture_to_message(&task->baseline, &ret_message->baseline);
    recipe_to_message(&task->recipe, &ret_message->recipe);
    dataset_to_message(&task->dataset, &ret_message->dataset);
    message->search = (char *)task->search; /* packing only reads it */
    message->candidate = task->candidate;
    message->rung = task->rung;
    message->attempt = task->attempt;
    message->epoch = task->epoch;
    message->architecture = &ret_message->architecture.message;
    message->baseline = &ret_message->baseline.message;
    message->recipe = &ret_message->recipe.message;
    message->dataset = &ret_message->dataset;
    message->train_images = task->train_images;
    message->validation_images = task->validation_images;
    message->split_seed = task->split_seed;
    message->seed = task->seed;
    message->epochs = task->epochs;
    message->micro_batches = task->micro_batches;
    message->checkpoint_seconds = task->checkpoint_seconds;
    message->checkpoint_path = (char *)task->checkpoint_path; /* packing only reads it */
    ret_message->checkpoint = wire_checkpoint_to_message(&task->checkpoint);
    message->checkpoint = task->checkpoint.bytes ? &ret_message->checkpoint : NULL;
}

/* Reads the parts, leaving what wire_task_validate checks to it. */
static int read_task(const Archscout__V1__Task *message, struct wire_task *task,
                     struct error *error)
{
    *task = (struct wire_task){
        .candidate = message->candidate,
        .rung = message->rung,
        .attempt = message->attempt,
        .epoch = message->epoch,
        .train_images = message->train_images,
        .validation_images = message->validation_images,
        .split_seed = message->split_seed,
        .seed = message->seed,
        .epochs = message->epochs,
        .micro_batches = message->micro_batches,
        .checkpoint_seconds = message->checkpoint_seconds,
    };
    int code =
        foreign_name_copy(message->search, "/search", task->search, sizeof task->search, error);
    if (code < 0)
        return code;
    code = architecture_from_message(message->architecture, "/architecture", &task->architecture,
                                     error);
    if (code < 0)
        return code;
    code = architecture_from_message(message->baseline, "/baseline", &task->baseline, error);
    if (code < 0)
        return code;
    code = recipe_from_message(message->recipe, &task->recipe, error);
    if (code < 0)
        return code;
    code = dataset_from_message(message->dataset, "/dataset", &task->dataset, error);
    if (code < 0)
        return code;
    code =
        wire_checkpoint_from_message(message->checkpoint, "/checkpoint", &task->checkpoint, error);
    if (code < 0)
        return code;
    return wire_path_from_message(message->checkpoint_path, "/checkpoint_path",
                                  task->checkpoint_path, error);
}

int wire_task_from_message(const Archscout__V1__Task *message, const char *pointer,
                           struct wire_task *ret_task, struct error *error)
{
    if (!message)
        return missing(error, pointer);
    struct wire_task task;
    int code = read_task(message, &task, error);
    if (code == 0)
        code = wire_task_validate(&task, error);
    if (code < 0)
        return error_prefix(error, code, pointer);
    *ret_task = task;
    return 0;
}

void datasets_to_message(const struct dataset *datasets, size_t count,
                         struct datasets_message *ret_message)
{
    assert(count <= WIRE_DATASETS_MAX);
    for (size_t i = 0; i < count; i++) {
        dataset_to_message(&datasets[i], &ret_message->datasets[i]);
        ret_message->pointers[i] = &ret_message->datasets[i];
    }
}

int datasets_from_message(Archscout__V1__Dataset *const *messages, size_t count,
                          struct dataset *ret_datasets, struct error *error)
{
    if (count > WIRE_DATASETS_MAX)
        return error_set(error, -EINVAL, "/datasets", "must have at most %d entries",
                         WIRE_DATASETS_MAX);
    for (size_t i = 0; i < count; i++) {
        char pointer[ERROR_POINTER_SIZE];
        snprintf(pointer, sizeof pointer, "/datasets/%zu", i);
        int code = dataset_from_message(messages[i], pointer, &ret_datasets[i], error);
        if (code < 0)
            return code;
        for (size_t before = 0; before < i; before++) {
            if (strcmp(ret_datasets[before].name, ret_datasets[i].name) == 0)
                return error_set(error, -EINVAL, pointer, "names %s a second time",
                                 ret_datasets[i].name);
        }
    }
    return 0;
}

Archscout__V1__Epoch wire_epoch_to_message(const struct wire_epoch *metrics)
{
    Archscout__V1__Epoch message = ARCHSCOUT__V1__EPOCH__INIT;
    message.number = metrics->number;
    message.train_loss = metrics->train_loss;
    message.train_accuracy = metrics->train_accuracy;
    message.validation_loss = metrics->validation_loss;
    message.validation_accuracy = metrics->validation_accuracy;
    message.seconds = metrics->seconds;
    return message;
}

int wire_epoch_from_message(const Archscout__V1__Epoch *message, const char *pointer,
                            struct wire_epoch *ret_metrics, struct error *error)
{
    if (!message)
        return missing(error, pointer);
    struct wire_epoch metrics = {
        .number = message->number,
        .train_loss = message->train_loss,
        .train_accuracy = message->train_accuracy,
        .validation_loss = message->validation_loss,
        .validation_accuracy = message->validation_accuracy,
        .seconds = message->seconds,
    };
    int code = wire_epoch_validate(&metrics, error);
    if (code < 0)
        return error_prefix(error, code, pointer);
    *ret_metrics = metrics;
    return 0;
}

void wire_result_to_message(const struct wire_result *result,
                            struct wire_result_message *ret_message)
{
    Archscout__V1__StepTime *step_time = &ret_message->step_time;
    archscout__v1__step_time__init(step_time);
    step_time->median_s = result->step_time.median_s;
    step_time->spread_s = result->step_time.spread_s;
    step_time->blocks = result->step_time.blocks;
    step_time->baseline_s = result->step_time.baseline_s;
    step_time->contended = result->step_time.contended;
    Archscout__V1__Result *message = &ret_message->message;
    archscout__v1__result__init(message);
    message->outcome = (Archscout__V1__Outcome)result->outcome;
    message->accuracy = result->accuracy;
    message->loss = result->loss;
    message->step_time = step_time;
    message->seconds = result->seconds;
    message->first_step_s = result->first_step_s;
    message->images = result->images;
    message->message = (char *)result->message; /* packing only reads it */
    message->memory_needed_bytes = result->memory_needed_bytes;
}

int wire_result_from_message(const Archscout__V1__Result *message, const char *pointer,
                             struct wire_result *ret_result, struct error *error)
{
    if (!message)
        return missing(error, pointer);
    struct wire_result result = {
        .outcome = (enum wire_outcome)message->outcome,
        .seconds = message->seconds,
        .first_step_s = message->first_step_s,
        .images = message->images,
        .memory_needed_bytes = message->memory_needed_bytes,
    };
    if (result.outcome == WIRE_OUTCOME_DONE) {
        result.accuracy = message->accuracy;
        result.loss = message->loss;
    }
    if (result.outcome == WIRE_OUTCOME_DONE && message->step_time) {
        result.step_time.median_s = message->step_time->median_s;
        result.step_time.spread_s = message->step_time->spread_s;
        result.step_time.blocks = message->step_time->blocks;
        result.step_time.baseline_s = message->step_time->baseline_s;
        result.step_time.contended = message->step_time->contended;
    }
    foreign_message_copy(message->message, result.message, sizeof result.message);
    int code = wire_result_validate(&result, error);
    if (code < 0)
        return error_prefix(error, code, pointer);
    *ret_result = result;
    return 0;
}
