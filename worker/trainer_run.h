/* One task under way: what the trainer's files share. Private to worker/trainer*.c. */
#ifndef WORKER_TRAINER_RUN_H
#define WORKER_TRAINER_RUN_H

#include "worker/baseline_table.h"
#include "worker/checkpoint.h"
#include "worker/data/loader.h"
#include "worker/gpu_clock.h"
#include "worker/pack_shelf.h"
#include "worker/step_clock.h"
#include "worker/trainer.h"

enum { STAGE_NONE = UINT32_MAX };

struct trainer {
    struct engine *engine;
    struct pack_shelf *shelf;
    const struct pack *held; /* whose images the engine holds; the one used last. NULL: none */
    struct baseline_table baselines;
    struct device_info device;
    struct gpu_clock *clock;                /* NULL: not known, or it is no GPU */
    char clock_problem[ERROR_MESSAGE_SIZE]; /* why not; to be said once */
    bool broken;
    char checkpoint_directory[FILE_PATH_SIZE]; /* "": none are written */
    bool prefetch;
};

struct run {
    struct trainer *trainer;
    const struct wire_task *task;
    const struct trainer_events *events;
    struct problem problem; /* at the recipe's image size */
    double start_s;
    const struct pack *pack;
    struct split split;
    struct loader *loader;
    struct plan *plan;
    uint32_t stage; /* of the recipe, that plan and loader are at */
    struct step_clock clock;
    struct gpu_clock_state gpu;           /* seen while the steps of `clock` were made */
    uint64_t steps_total;                 /* training steps */
    uint64_t done, total;                 /* steps of any kind */
    double part_s;                        /* when progress with a plan was last told */
    struct checkpoint progress;           /* how far training has come */
    double checkpoint_s;                  /* when the last one was written, or training began */
    char checkpoint_path[FILE_PATH_SIZE]; /* of the last one written; "" where there is none */
    bool out_of_memory;                   /* the candidate's plan did not fit */
    bool device_failed;
    struct wire_result result; /* as far as it is known */
};

double trainer_now_s(void);
/* One more step of any kind is done. */
void run_notify_progress(struct run *run);
void run_notify_note(const struct run *run, const char *text);
/* True where somebody wants the task back. */
bool run_should_stop(const struct run *run);
/* Sets -ECANCELED: the task is handed back. */
int run_stopped(const struct run *run, struct error *error);

/* A plan for an architecture of the task, at the recipe's image size. */
int run_build_plan(struct run *run, const struct architecture *architecture,
                   struct error *error) MUST_USE;
/* One training step on what is in the plan's buffers; ret_seconds is its time by the device's clock or, where that has none,
 * the step's processor time. -EDOM. */
int run_timed_step(struct run *run, double learning_rate, struct batch_result *ret_result,
                   double *ret_seconds) MUST_USE;

/* Notes in the run what a code of the engine says of memory and the device; gives it back. */
int run_engine_said(struct run *run, int code);

/* trainer_batch.c: whether batches are transforms, which the device makes images of, and not floats. */
bool run_device_makes_images(const struct run *run);
/* Straight after the shelf has given the run's pack: no other is held any more. */
int run_drop_images(struct run *run, struct error *error) MUST_USE;
/* The loader's images, once for all tasks in a row on one data set, where the device makes the batches. */
int run_hold_images(struct run *run, struct error *error) MUST_USE;
/* A batch into the plan's buffers. */
void run_load_training(struct run *run, uint64_t step);
/* The number of images in it. */
uint32_t run_load_validation(struct run *run, uint64_t index);

/* trainer_device.c: opens the engine and what is known of its device's clock; sets the limit of memory. */
int trainer_open_device(struct trainer *trainer, const struct trainer_options *options,
                        struct error *error) MUST_USE;
void trainer_close_device(struct trainer *trainer);
/* Adds what the GPU's clock does now to what was seen; nothing where it is not known. */
void run_watch_clock(struct run *run, struct gpu_clock_state *seen);
/* Says once why the clock is not known, and in what the plan trains where that is not what the recipe asks. */
void run_note_device(struct run *run);

/* trainer_training.c: trains and evaluates all epochs, from wherever the task's checkpoint is. -ECANCELED after
 * run_should_stop: a checkpoint was written, where one could be. */
int run_train(struct run *run, struct error *error) MUST_USE;

/* trainer_timing.c: a clock for the steps of the run's plan. */
void run_clock_init(const struct run *run, struct step_clock *ret_clock);
/* Step time of the candidate and of the baseline, into the result. Frees the plan. */
int run_measure(struct run *run, struct error *error) MUST_USE;

#endif
