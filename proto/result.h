/* What training reports: epochs while it runs, a result at the end. Plain values. */
#ifndef PROTO_RESULT_H
#define PROTO_RESULT_H

#include "search/error.h"

#include <stdint.h>

/* How an attempt ended. Values are those of worker.proto. */
enum outcome {
    OUTCOME_DONE = 1,
    OUTCOME_DIVERGED = 2,      /* NaN or infinite loss: the candidate's own fault, never retried */
    OUTCOME_OUT_OF_MEMORY = 3, /* retried once with the batch in two parts */
    OUTCOME_LOST =
        4, /* the trainer or its machine died, hung or talked garbage: retried elsewhere */
    OUTCOME_FAILED = 5, /* the trainer refused the task; the message says why */
};

struct epoch_metrics {
    uint32_t number; /* 1-based */
    double train_loss, train_accuracy;
    double validation_loss, validation_accuracy;
    double seconds;
};

struct step_time {
    double median_s;
    double spread_s; /* median absolute deviation of the blocks */
    uint32_t blocks;
    double baseline_s; /* the baseline's median on the same device and shape */
};

enum { RESULT_MESSAGE_SIZE = 2048 };

struct task_result {
    enum outcome outcome;
    double accuracy;              /* on the held-out images */
    double loss;                  /* on the held-out images */
    struct step_time step_time;   /* all 0 where it was not measured; always measured when DONE */
    double seconds;               /* wall time of the attempt */
    double first_step_s;          /* from receiving the task to the end of the first step */
    uint64_t images;              /* trained on, all epochs */
    uint64_t memory_needed_bytes; /* OUT_OF_MEMORY only */
    char message[RESULT_MESSAGE_SIZE]; /* UTF-8, for a person, when outcome is not DONE */
};

/* "done", "diverged", "out_of_memory", "lost", "failed" */
const char *outcome_name(enum outcome outcome);

/* -EDOM where a measured value is NaN or infinite (the network diverged), -EINVAL where a value is
 * out of its range. */
int epoch_metrics_validate(const struct epoch_metrics *metrics, struct error *error) MUST_USE;
int task_result_validate(const struct task_result *result, struct error *error) MUST_USE;

#endif
