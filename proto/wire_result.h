/* What training reports: epochs while it runs, a result at the end. Plain values, checked.
 *
 * Names begin with wire_: these are the values as they travel between programs, not what a program makes of them. */
#ifndef PROTO_WIRE_RESULT_H
#define PROTO_WIRE_RESULT_H

#include "search/error.h"

#include <stdbool.h>
#include <stdint.h>

/* How an attempt ended. Values are those of worker.proto. */
enum wire_outcome {
    WIRE_OUTCOME_DONE = 1,
    WIRE_OUTCOME_DIVERGED = 2, /* NaN or infinite loss: the candidate's own fault, never retried */
    WIRE_OUTCOME_OUT_OF_MEMORY = 3, /* retried once with the batch in two parts */
    WIRE_OUTCOME_LOST = 4, /* trainer or machine died, hung or talked garbage: retried elsewhere */
    WIRE_OUTCOME_FAILED = 5,   /* the trainer refused the task; the message says why */
    WIRE_OUTCOME_RETURNED = 6, /* handed back: the worker shuts down, or the search was paused */
};

struct wire_epoch {
    uint32_t number; /* 1-based */
    double train_loss, train_accuracy;
    double validation_loss, validation_accuracy;
    double seconds;
};

struct wire_step_time {
    double median_s;
    double spread_s; /* median absolute deviation of the blocks */
    uint32_t blocks;
    double baseline_s; /* the baseline's median on the same device and shape */
    bool contended;    /* the spread stayed above the limit however often it was measured */
};

enum { WIRE_MESSAGE_SIZE = 480 };

struct wire_result {
    enum wire_outcome outcome;
    double accuracy;                 /* on the held-out images; 0 unless DONE */
    double loss;                     /* on the held-out images; 0 unless DONE */
    struct wire_step_time step_time; /* all 0 unless DONE; then, too, where none was measured */
    double seconds;                  /* wall time of the attempt */
    double first_step_s;             /* from receiving the task to the end of the first step */
    uint64_t images;                 /* trained on, all epochs */
    uint64_t memory_needed_bytes;    /* OUT_OF_MEMORY only */
    char message[WIRE_MESSAGE_SIZE]; /* UTF-8, for a person, when outcome is not DONE */
};

/* "done", "diverged", "out_of_memory", "lost", "failed" */
const char *wire_outcome_name(enum wire_outcome outcome);

/* -EDOM where a measured value is NaN or infinite (the network diverged), -EINVAL where a value is
 * out of its range. */
int wire_epoch_validate(const struct wire_epoch *metrics, struct error *error) MUST_USE;
int wire_result_validate(const struct wire_result *result, struct error *error) MUST_USE;

#endif
