#include "tests/unit/worker/task.h"

#include <string.h>

const struct synthetic task_images = {
    .size = 8, .classes = 4, .train_images = 480, .test_images = 40};

struct wire_task small_task(void)
{
    struct wire_task task = {
        .search = "test",
        .candidate = 1,
        .attempt = 7,
        .epoch = 3,
        .architecture = {.stem_kernel = 3,
                         .stem_stride = 1,
                         .stem_channels = 8,
                         .head_channels = 16,
                         .stage_count = 1,
                         .stages = {{.block = BLOCK_FUSED_MBCONV,
                                     .layers = 1,
                                     .kernel = 3,
                                     .expansion = 2,
                                     .stride = 2,
                                     .channels = 8}}},
        .recipe = {.optimizer = OPTIMIZER_SGD,
                   .learning_rate = 0.1,
                   .momentum = 0.9,
                   .decay = 0.9,
                   .epsilon = 1e-3,
                   .weight_decay = 1e-4,
                   .warmup_epochs = 0.5,
                   .batch = 32,
                   .staircase_factor = 1,
                   .staircase_epochs = 1,
                   .crop_area_min = 1,
                   .micro_batches = 1,
                   .bn_momentum = 0.8},
        .dataset = {.image_size = 8,
                    .image_channels = 1,
                    .classes = 4,
                    .train_images = 480,
                    .test_images = 40},
        .train_images = 320,
        .validation_images = 90,
        .split_seed = 5,
        .seed = 6,
        .epochs = 3,
        .micro_batches = 1,
    };
    memcpy(task.dataset.name, "bars", sizeof "bars");
    task.baseline = task.architecture;
    task.baseline.stages[0].expansion = 4;
    return task;
}
