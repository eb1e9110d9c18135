/* A task: one attempt at training a candidate at a rung, with everything that a trainer needs. A
 * plain value. */
#ifndef PROTO_WIRE_TASK_H
#define PROTO_WIRE_TASK_H

#include "proto/wire_checkpoint.h"
#include "search/architecture.h"
#include "search/dataset.h"
#include "search/recipe.h"

enum { WIRE_SEARCH_SIZE = 64 };

struct wire_task {
    char search[WIRE_SEARCH_SIZE]; /* the search's id, printable ASCII */
    uint64_t candidate;
    uint32_t rung;
    uint64_t attempt; /* unique in the daemon's life, not 0 */
    uint64_t epoch;   /* fencing number, not 0; goes back with every report and result */
    struct architecture architecture;
    struct architecture baseline; /* timed once per device and shape */
    struct recipe recipe;
    struct dataset dataset;
    uint64_t train_images, validation_images; /* both from the training split */
    uint64_t split_seed;                      /* which images are held out */
    uint64_t seed;                            /* weights, shuffling, augmentation */
    uint32_t epochs;                          /* passes over the training images */
    uint32_t micro_batches;                   /* divides recipe.batch; 1 normally */
    struct wire_checkpoint checkpoint;        /* to continue from; bytes 0: from the beginning */
    uint32_t checkpoint_seconds;              /* write one so often; 0: never */
    char checkpoint_path
        [WIRE_PATH_SIZE]; /* agent to trainer: its file; "" where it could not be had */
};

/* What the task's networks are used for: the recipe's image size, or the data set's own where that
 * is 0. */
struct problem wire_task_problem(const struct wire_task *task);

/* Checks every field, and those that depend on each other. -EINVAL with a pointer such as
 * "/recipe/batch". */
int wire_task_validate(const struct wire_task *task, struct error *error) MUST_USE;

#endif
