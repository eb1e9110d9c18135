/* The trainer: carries out one task after another on one device, keeping warm what tasks share: the engine, mapped packs
 * (their images on the device, where that makes the batches) and the baselines' step times.
 *
 * Legal order: trainer_new; trainer_run any number of times; trainer_free. One thread.
 *
 * A task trains the candidate for all epochs, evaluates it on the held-out images after each, and ends with a result;
 * nothing that goes wrong with a task is an error of trainer_run. A task with a checkpoint goes on where that was written, and
 * ends with the same weights as if it had never been interrupted (on the same backend).
 *
 * Step time, at the recipe's image size, is on a processor the processor time of the one thread that makes the step: what it
 * takes with a processor to itself, however many others want it now. On a device with a clock of its own (plan_has_clock) it is
 * what that clock says between the step's begin and its end on the device, in groups of at least TRAINER_GROUP_SECONDS and
 * TRAINER_GROUPS_MIN of them: a step of a fraction of a millisecond is no measurement. Every training step is timed by itself:
 * plan_step on a batch that is already in the plan's buffers, so that loading is not part of it. The first TRAINER_WARMUP_STEPS
 * steps do not count; struct step_clock sums the others up. This costs nothing and counts many steps. Where the spread is above
 * TRAINER_SPREAD_LIMIT of the median, there were too few steps, or the device was throttled (gpu_clock.h), up to TRAINER_ROUNDS
 * rounds of further steps (learning rate 0, after the last evaluation) are timed; the best is reported, and said to be contended
 * where even that was throttled or its spread is above the limit: memory and caches are shared. The baseline is timed by such
 * rounds after the first task that names it, and again only where something else makes its steps longer or shorter (struct
 * baseline_key): it costs no candidate its first step.
 *
 * A device that failed (-EIO of the engine) ends the task as LOST with what the device said, and the trainer is broken: its
 * process should end, for CUDA forgets no such error. */
#ifndef WORKER_TRAINER_H
#define WORKER_TRAINER_H

#include "proto/wire_result.h"
#include "proto/wire_task.h"
#include "worker/data/catalog.h"
#include "worker/engine/engine.h"

enum {
    TRAINER_WARMUP_STEPS = 2,
    TRAINER_ROUNDS = 3,
    TRAINER_ROUND_STEPS = 15,
    TRAINER_ROUND_STEPS_MIN = 5,
    TRAINER_ROUND_SECONDS_MAX = 5, /* a round ends early after so long, once it has its minimum */
    TRAINER_TIMING_CHECKPOINT_S =
        5, /* training that is not saved for longer is saved before timing */
};
#define TRAINER_ROUND_SECONDS_MIN 0.3 /* short steps: more of them */
#define TRAINER_SPREAD_LIMIT 0.05
#define TRAINER_PART_SECONDS 1.0
/* of a device's own clock */
#define TRAINER_GROUP_SECONDS 0.02
enum { TRAINER_GROUPS_MIN = 20 };

struct trainer;

struct trainer_options {
    const struct backend *backend;
    const char *device;            /* engine_new_on's; NULL: the backend's own */
    uint32_t device_trainers;      /* that share the device, this one included; 0: 1 */
    const char *nvml_library;      /* NULL: GPU_CLOCK_LIBRARY */
    const struct catalog *catalog; /* outlives the trainer */
    const char *cache_directory;   /* of packs; NULL: packs are not shared */
    size_t
        memory_bytes_max; /* of the machine's that a plan may need, where the device has none; 0 = no limit */
    const char *checkpoint_directory; /* NULL: no checkpoints are written */
    /* Make the next batch while a step runs: for processors to spare. Not where the device makes the batches. */
    bool prefetch;
};

/* Calls from inside trainer_run; any may be NULL. */
struct trainer_events {
    void *context;
    /* After every step of any kind: training steps, batches of held-out images, timed steps, and each TRAINER_PART_SECONDS while a
     * plan is built part by part. How many of the latter two there are is not known beforehand: the total grows with them. */
    void (*on_progress)(void *context, uint64_t steps_done, uint64_t steps_total);
    void (*on_epoch)(void *context, const struct wire_epoch *epoch);
    void (*on_note)(void *context, const char *text); /* for the log */
    /* Asked at every step boundary. True: write a checkpoint, where that can be done, and end with RETURNED. */
    bool (*should_stop)(void *context);
    /* A checkpoint is durable; the one before it is removed afterwards. */
    void (*on_checkpoint)(void *context, const struct wire_checkpoint_written *checkpoint);
};

/* A device with memory of its own gives a plan at most its share of nine tenths, and no more than is free now.
 * -ENOMEM, or what the engine said. */
int trainer_new(const struct trainer_options *options, struct trainer **ret_trainer,
                struct error *error) MUST_USE;
void trainer_free(struct trainer *trainer);
const struct device_info *trainer_device(const struct trainer *trainer);
/* True once the device has failed. */
bool trainer_is_broken(const struct trainer *trainer);

/* The task has been validated. Always writes a valid result. */
void trainer_run(struct trainer *trainer, const struct wire_task *task,
                 const struct trainer_events *events, struct wire_result *ret_result);

#endif
