#include "tests/unit/proto/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct architecture sample_architecture(void)
{
    return (struct architecture){
        .stem_kernel = 3,
        .stem_stride = 2,
        .stem_channels = 24,
        .head_channels = 256,
        .stage_count = 3,
        .stages = {{BLOCK_FUSED_MBCONV, 2, 3, 4, 0, 1, 16},
                   {BLOCK_MBCONV, 3, 5, 6, 2500, 2, 40},
                   {BLOCK_CONV, 1, 7, 1, 0, 2, 48}},
    };
}

static struct dataset sample_dataset(void)
{
    return (struct dataset){.name = "satellite-tiles.v2",
                            .image_size = 64,
                            .image_channels = 3,
                            .classes = 10,
                            .train_images = 21600,
                            .test_images = 5400};
}

struct wire_checkpoint sample_checkpoint(void)
{
    return (struct wire_checkpoint){
        .sha256 = {0xff, 0, 1, 2, [31] = 0x80}, .bytes = 123456789, .steps_done = 4711};
}

struct wire_task sample_task(void)
{
    struct wire_task task = {
        .search = "s-17",
        .candidate = 41,
        .rung = 2,
        .attempt = 1234567890123,
        .epoch = UINT64_C(0xfedcba9876543210),
        .architecture = sample_architecture(),
        .baseline = sample_architecture(),
        .recipe = {.optimizer = OPTIMIZER_RMSPROP,
                   .learning_rate = 0.016,
                   .momentum = 0.85,
                   .decay = 0.91,
                   .epsilon = 1e-3,
                   .weight_decay = 1e-5,
                   .warmup_epochs = 0.5,
                   .label_smoothing = 0.1,
                   .batch = 96,
                   .image_size = 48,
                   .flip = true,
                   .shift = 4,
                   .bn_momentum = 0.99,
                   .schedule = SCHEDULE_STAIRCASE,
                   .staircase_factor = 0.97,
                   .staircase_epochs = 2.4,
                   .clip_norm = 5,
                   .ema_decay = 0.9999,
                   .dropout = 0.3,
                   .stochastic_depth = 0.2,
                   .mixup = 0.5,
                   .cutmix = 0.25,
                   .randaugment_ops = 2,
                   .randaugment_magnitude = 15,
                   .crop_area_min = 0.08,
                   .micro_batches = 2,
                   .precision = PRECISION_BF16,
                   .stage_count = 2,
                   .stages = {{32, 5, 0.125, 0.0625, 0.1}, {48, 15, 0.5, 0.25, 0.3}}},
        .dataset = sample_dataset(),
        .train_images = 8000,
        .validation_images = 2000,
        .split_seed = UINT64_MAX,
        .seed = UINT64_C(1) << 63,
        .epochs = 3,
        .micro_batches = 2,
        .checkpoint = sample_checkpoint(),
        .checkpoint_seconds = 60,
        .checkpoint_path = "/var/tmp/archscout/checkpoint.safetensors",
    };
    task.baseline.head_channels = 320;
    return task;
}

struct wire_epoch sample_epoch(uint32_t number)
{
    return (struct wire_epoch){number, 1.25, 0.5, 1.5, 0.4375, 12.75};
}

struct wire_result sample_result(void)
{
    return (struct wire_result){
        .outcome = WIRE_OUTCOME_DONE,
        .accuracy = 0.84375,
        .loss = 0.4140625,
        .step_time = {0.0625, 0.001, 7, 0.03125, true},
        .seconds = 31.5,
        .first_step_s = 0.25,
        .images = 24000,
        .memory_needed_bytes = 12,
        .message = "warm",
    };
}

struct register_request sample_registration(void)
{
    struct register_request request = {.worker = "host-7",
                                       .host = "host",
                                       .version = "0.1.0",
                                       .slot_count = 2,
                                       .dataset_count = 2};
    snprintf(request.slots[0].device, sizeof request.slots[0].device, "cpu");
    snprintf(request.slots[1].device, sizeof request.slots[1].device, "cuda:0 NVIDIA H200");
    request.datasets[0] = sample_dataset();
    request.datasets[1] = *dataset_known("cifar10");
    return request;
}

struct report_request sample_report(void)
{
    struct report_request request = {.worker = "host-7",
                                     .attempt = 9,
                                     .epoch = 77,
                                     .steps_done = 100,
                                     .steps_total = 189,
                                     .epoch_count = 2,
                                     .checkpoint = sample_checkpoint()};
    request.epochs[0] = sample_epoch(1);
    request.epochs[1] = sample_epoch(2);
    return request;
}

struct result_request sample_result_request(void)
{
    return (struct result_request){
        .worker = "host-7", .attempt = 9, .epoch = 77, .result = sample_result()};
}

struct trainer_message sample_hello(void)
{
    struct trainer_message message = {.kind = TRAINER_HELLO,
                                      .hello = {.protocol = TRAINER_PROTOCOL,
                                                .device = "cpu",
                                                .dataset_count = 1,
                                                .checkpoints = true}};
    message.hello.datasets[0] = sample_dataset();
    return message;
}

struct trainer_message sample_checkpoint_written(void)
{
    return (struct trainer_message){
        .kind = TRAINER_CHECKPOINT,
        .checkpoint = {.path = "/var/tmp/archscout/0/attempt-7-step-9.safetensors",
                       .checkpoint = sample_checkpoint()}};
}

/* ---- comparison, field by field: padding is not compared ---- */

void same_architecture(const struct architecture *a, const struct architecture *b)
{
    assert_int_equal(a->stem_kernel, b->stem_kernel);
    assert_int_equal(a->stem_stride, b->stem_stride);
    assert_int_equal(a->stem_channels, b->stem_channels);
    assert_int_equal(a->head_channels, b->head_channels);
    assert_int_equal(a->stage_count, b->stage_count);
    for (uint32_t i = 0; i < a->stage_count; i++) {
        assert_int_equal(a->stages[i].block, b->stages[i].block);
        assert_int_equal(a->stages[i].layers, b->stages[i].layers);
        assert_int_equal(a->stages[i].kernel, b->stages[i].kernel);
        assert_int_equal(a->stages[i].expansion, b->stages[i].expansion);
        assert_int_equal(a->stages[i].se_ratio, b->stages[i].se_ratio);
        assert_int_equal(a->stages[i].stride, b->stages[i].stride);
        assert_int_equal(a->stages[i].channels, b->stages[i].channels);
    }
}

static void same_double(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

static void same_recipe(const struct recipe *a, const struct recipe *b)
{
    assert_int_equal(a->optimizer, b->optimizer);
    same_double(a->learning_rate, b->learning_rate);
    same_double(a->momentum, b->momentum);
    same_double(a->decay, b->decay);
    same_double(a->epsilon, b->epsilon);
    same_double(a->weight_decay, b->weight_decay);
    same_double(a->warmup_epochs, b->warmup_epochs);
    same_double(a->label_smoothing, b->label_smoothing);
    assert_int_equal(a->batch, b->batch);
    assert_int_equal(a->image_size, b->image_size);
    assert_int_equal(a->flip, b->flip);
    assert_int_equal(a->shift, b->shift);
    same_double(a->bn_momentum, b->bn_momentum);
    assert_int_equal(a->schedule, b->schedule);
    same_double(a->staircase_factor, b->staircase_factor);
    same_double(a->staircase_epochs, b->staircase_epochs);
    same_double(a->clip_norm, b->clip_norm);
    same_double(a->ema_decay, b->ema_decay);
    same_double(a->dropout, b->dropout);
    same_double(a->stochastic_depth, b->stochastic_depth);
    same_double(a->mixup, b->mixup);
    same_double(a->cutmix, b->cutmix);
    assert_int_equal(a->randaugment_ops, b->randaugment_ops);
    same_double(a->randaugment_magnitude, b->randaugment_magnitude);
    same_double(a->crop_area_min, b->crop_area_min);
    assert_int_equal(a->micro_batches, b->micro_batches);
    assert_int_equal(a->precision, b->precision);
    assert_int_equal(a->stage_count, b->stage_count);
    for (uint32_t i = 0; i < a->stage_count; i++) {
        assert_int_equal(a->stages[i].image_size, b->stages[i].image_size);
        same_double(a->stages[i].randaugment_magnitude, b->stages[i].randaugment_magnitude);
        same_double(a->stages[i].mixup, b->stages[i].mixup);
        same_double(a->stages[i].cutmix, b->stages[i].cutmix);
        same_double(a->stages[i].dropout, b->stages[i].dropout);
    }
}

void same_dataset(const struct dataset *a, const struct dataset *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->image_size, b->image_size);
    assert_int_equal(a->image_channels, b->image_channels);
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(a->train_images, b->train_images);
    assert_int_equal(a->test_images, b->test_images);
}

void same_checkpoint(const struct wire_checkpoint *a, const struct wire_checkpoint *b)
{
    assert_memory_equal(a->sha256, b->sha256, sizeof a->sha256);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->steps_done, b->steps_done);
}

void same_task(const struct wire_task *a, const struct wire_task *b)
{
    assert_string_equal(a->search, b->search);
    assert_int_equal(a->candidate, b->candidate);
    assert_int_equal(a->rung, b->rung);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->epoch, b->epoch);
    same_architecture(&a->architecture, &b->architecture);
    same_architecture(&a->baseline, &b->baseline);
    same_recipe(&a->recipe, &b->recipe);
    same_dataset(&a->dataset, &b->dataset);
    assert_int_equal(a->train_images, b->train_images);
    assert_int_equal(a->validation_images, b->validation_images);
    assert_int_equal(a->split_seed, b->split_seed);
    assert_int_equal(a->seed, b->seed);
    assert_int_equal(a->epochs, b->epochs);
    assert_int_equal(a->micro_batches, b->micro_batches);
    same_checkpoint(&a->checkpoint, &b->checkpoint);
    assert_int_equal(a->checkpoint_seconds, b->checkpoint_seconds);
    assert_string_equal(a->checkpoint_path, b->checkpoint_path);
}

void same_epoch(const struct wire_epoch *a, const struct wire_epoch *b)
{
    assert_int_equal(a->number, b->number);
    same_double(a->train_loss, b->train_loss);
    same_double(a->train_accuracy, b->train_accuracy);
    same_double(a->validation_loss, b->validation_loss);
    same_double(a->validation_accuracy, b->validation_accuracy);
    same_double(a->seconds, b->seconds);
}

void same_result(const struct wire_result *a, const struct wire_result *b)
{
    assert_int_equal(a->outcome, b->outcome);
    same_double(a->accuracy, b->accuracy);
    same_double(a->loss, b->loss);
    same_double(a->step_time.median_s, b->step_time.median_s);
    same_double(a->step_time.spread_s, b->step_time.spread_s);
    assert_int_equal(a->step_time.blocks, b->step_time.blocks);
    same_double(a->step_time.baseline_s, b->step_time.baseline_s);
    assert_int_equal(a->step_time.contended, b->step_time.contended);
    same_double(a->seconds, b->seconds);
    same_double(a->first_step_s, b->first_step_s);
    assert_int_equal(a->images, b->images);
    assert_int_equal(a->memory_needed_bytes, b->memory_needed_bytes);
    assert_string_equal(a->message, b->message);
}
