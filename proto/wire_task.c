#include "proto/wire_task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/convert.h"

struct problem wire_task_problem(const struct wire_task *task)
{
    return (struct problem){
        .image_size = task->recipe.image_size ? task->recipe.image_size : task->dataset.image_size,
        .image_channels = task->dataset.image_channels,
        .classes = task->dataset.classes,
    };
}

static int validate_amounts(const struct wire_task *task, struct error *error)
{
    if (task->train_images == 0 || task->train_images > task->dataset.train_images)
        return error_set(error, -EINVAL, "/train_images", "must be 1 to %llu",
                         (unsigned long long)task->dataset.train_images);
    uint64_t left = task->dataset.train_images - task->train_images;
    if (task->validation_images == 0 || task->validation_images > left)
        return error_set(error, -EINVAL, "/validation_images",
                         "must be 1 to %llu, what the training images leave",
                         (unsigned long long)left);
    if (task->epochs == 0 || task->epochs > RECIPE_EPOCHS_MAX)
        return error_set(error, -EINVAL, "/epochs", "must be 1 to %d", RECIPE_EPOCHS_MAX);
    if (task->micro_batches == 0 || task->recipe.batch % task->micro_batches != 0)
        return error_set(error, -EINVAL, "/micro_batches", "must divide the batch of %u",
                         task->recipe.batch);
    return 0;
}

int wire_task_validate(const struct wire_task *task, struct error *error)
{
    if (task->search[0] == '\0' || !memchr(task->search, '\0', sizeof task->search))
        return error_set(error, -EINVAL, "/search", "must have 1 to %d characters",
                         WIRE_SEARCH_SIZE - 1);
    if (task->attempt == 0)
        return error_set(error, -EINVAL, "/attempt", "must not be 0");
    if (task->epoch == 0)
        return error_set(error, -EINVAL, "/epoch", "must not be 0");
    int code = architecture_validate(&task->architecture, error);
    if (code < 0)
        return error_prefix(error, code, "/architecture");
    code = architecture_validate(&task->baseline, error);
    if (code < 0)
        return error_prefix(error, code, "/baseline");
    code = recipe_validate(&task->recipe, error);
    if (code < 0)
        return error_prefix(error, code, "/recipe");
    code = dataset_validate(&task->dataset, error);
    if (code < 0)
        return error_prefix(error, code, "/dataset");
    struct problem problem = wire_task_problem(task);
    code = problem_validate(&problem, error);
    return code < 0 ? error_prefix(error, code, "/recipe") : validate_amounts(task, error);
}
