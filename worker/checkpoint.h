/* Checkpoints: a candidate's training, stopped at a step boundary, in a safetensors file.
 *
 * The file holds the plan's state (plan_state_count) under its own names, the reports of the finished epochs as one F64 tensor
 * "checkpoint:epochs" (epochs, 6), and texts under __metadata__: whose training it is, and how far it has come. Loading
 * refuses the checkpoint of another task and names what differs. Files are written atomically, carry a checksum, and have
 * at most CHECKPOINT_BYTES_MAX bytes.
 *
 * Legal order: checkpoint_init; checkpoint_load at most once, into a plan that was just made; then, at any step boundary,
 * checkpoint_write; checkpoint_release. One thread. */
#ifndef WORKER_CHECKPOINT_H
#define WORKER_CHECKPOINT_H

#include "proto/wire_result.h"
#include "proto/wire_task.h"
#include "worker/engine/engine.h"

enum { CHECKPOINT_BYTES_MAX = 1 << 30 };

/* How far training has come. */
struct checkpoint {
    uint64_t steps_done;              /* training steps, all epochs */
    uint32_t epoch;                   /* the one under way, from 0 */
    uint64_t epoch_steps;             /* of it; when these are all, its evaluation is next */
    double epoch_loss, epoch_correct; /* sums over the images of epoch_steps */
    double epoch_seconds;             /* that they took */
    uint64_t images;                  /* trained on, all epochs */
    uint32_t finished_count;          /* epochs that are over; equals `epoch` */
    struct wire_epoch *finished;      /* what was reported of them; room for all of the task's */
};

/* The beginning. -ENOMEM. */
int checkpoint_init(struct checkpoint *ret_checkpoint, const struct wire_task *task) MUST_USE;
void checkpoint_release(struct checkpoint *checkpoint);

/* Makes DIRECTORY/attempt-A-step-S.safetensors and says what a `checkpoint written` message says. Negative errno: nothing
 * is left behind. */
int checkpoint_write(const char *directory, const struct checkpoint *checkpoint,
                     const struct wire_task *task, struct plan *plan,
                     struct wire_checkpoint_written *ret_written, struct error *error) MUST_USE;

/* Puts plan and *checkpoint where the file was written. -EINVAL for another task's, -EBADMSG for one that is damaged, not a
 * checkpoint, or says what no training of this task can have come to: both are then as before. Other errors, and -EIO, may leave tensors written: make the plan anew. */
int checkpoint_load(const char *path, const struct wire_task *task, struct plan *plan,
                    struct checkpoint *checkpoint, struct error *error) MUST_USE;

#endif
