/* The device of a trainer: which it is, how much of its memory is to be had, and what its clock does. */
#include "worker/trainer_run.h"

#include <stdio.h>

/* What the device's kernels, libraries and context come to take later is left out of what is free now. */
static size_t memory_limit(const struct trainer *trainer, const struct trainer_options *options)
{
    const size_t total = trainer->device.memory_bytes;
    if (total == 0)
        return options->memory_bytes_max;
    const size_t share = total / 10 * 9 / (options->device_trainers ? options->device_trainers : 1);
    const size_t free = engine_memory_free(trainer->engine) / 20 * 19;
    return free > 0 && free < share ? free : share;
}

static void open_clock(struct trainer *trainer, const char *library)
{
    struct error cause = {0};
    if (trainer->device.uuid[0] == '\0')
        return;
    int r = gpu_clock_new(library ? library : GPU_CLOCK_LIBRARY, trainer->device.uuid,
                          &trainer->clock, &cause);
    if (r < 0)
        snprintf(trainer->clock_problem, sizeof trainer->clock_problem, "%s", cause.message);
}

int trainer_open_device(struct trainer *trainer, const struct trainer_options *options,
                        struct error *error)
{
    int r = engine_new_on(options->backend, options->device, &trainer->engine, error);
    if (r == 0)
        r = engine_device(trainer->engine, &trainer->device, error);
    if (r < 0)
        return r;
    engine_limit_memory(trainer->engine, memory_limit(trainer, options));
    open_clock(trainer, options->nvml_library);
    return 0;
}

void trainer_close_device(struct trainer *trainer)
{
    engine_free(trainer->engine);
    gpu_clock_free(trainer->clock);
}

const struct device_info *trainer_device(const struct trainer *trainer)
{
    return &trainer->device;
}

bool trainer_is_broken(const struct trainer *trainer)
{
    return trainer->broken;
}

void run_watch_clock(struct run *run, struct gpu_clock_state *seen)
{
    struct trainer *trainer = run->trainer;
    struct gpu_clock_state now;
    struct error cause = {0};
    if (!trainer->clock)
        return;
    if (gpu_clock_read(trainer->clock, &now, &cause) == 0) {
        gpu_clock_note(seen, &now);
        return;
    }
    snprintf(trainer->clock_problem, sizeof trainer->clock_problem, "%s", cause.message);
    gpu_clock_free(trainer->clock);
    trainer->clock = NULL;
}

void run_note_device(struct run *run)
{
    struct trainer *trainer = run->trainer;
    const enum precision precision = plan_precision(run->plan);
    if (trainer->clock_problem[0]) {
        char note[ERROR_MESSAGE_SIZE + 64];
        snprintf(note, sizeof note, "the clock of %s is not known, nor what holds it down: %.400s",
                 trainer->device.id, trainer->clock_problem);
        run_notify_note(run, note);
        trainer->clock_problem[0] = '\0';
    }
    if (precision == run->task->recipe.precision)
        return;
    run_notify_note(run, precision == PRECISION_BF16
                             ? "training in bf16: the GPU engine has no other precision"
                             : "training in f32: this processor has no instructions for bf16");
}
