/* Attempts as the daemon sees them: what a worker is asked to do, what it reports, how it ends.
 *
 * Plain values, free of protobuf and SQL; the api converts them from and to messages, the store
 * from and to rows. Wall-clock times are microseconds since 1970 and for display only. */
#ifndef DAEMON_ATTEMPT_H
#define DAEMON_ATTEMPT_H

#include "proto/sha256.h"
#include "search/spec.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORKER_NAME_SIZE = 64,
    WORKER_TEXT_SIZE = 96, /* host, version, device */
    WORKER_SLOTS_MAX = 256,
    WORKER_DATASETS_MAX = 64,
    DATASET_PROBLEM_SIZE = 512,
    REPORT_EPOCHS_MAX = 1024, /* in one report */
    RESULT_MESSAGE_SIZE = 480
};

/* How an attempt ended. Values are stored: fixed for good, and equal to those of
 * proto/worker.proto. */
enum outcome {
    OUTCOME_NONE = 0, /* still running */
    OUTCOME_DONE = 1,
    OUTCOME_DIVERGED = 2,      /* NaN or infinite loss: infeasible, never retried */
    OUTCOME_OUT_OF_MEMORY = 3, /* one retry with the batch in two parts, then infeasible */
    OUTCOME_LOST =
        4, /* machine or process: retried elsewhere; the third one quarantines the candidate */
    OUTCOME_FAILED = 5, /* the trainer refused the task: retried once on another worker */
    OUTCOME_RETURNED =
        6, /* handed back, at a shutdown or a pause: retried, counted against nobody */
    OUTCOME_CANCELLED = 7 /* the search was cancelled while the attempt ran */
};

/* "running", "done", "diverged", "out_of_memory", "lost", "failed", "returned",
 * "cancelled" */
const char *outcome_name(enum outcome outcome);

/* Why an attempt ended. Values are stored. */
enum attempt_cause {
    CAUSE_NONE = 0,     /* it runs */
    CAUSE_RESULT = 1,   /* its worker delivered a result that counts */
    CAUSE_KEPT = 2,     /* its worker delivered a result after the search was cancelled */
    CAUSE_EXPIRED = 3,  /* its lease ran out */
    CAUSE_ABANDONED = 4 /* its worker asked for other work after the search was cancelled */
};

/* Where a candidate's training can be continued from: a file, by its content. */
struct checkpoint {
    uint8_t sha256[SHA256_SIZE];
    uint64_t bytes; /* 0: there is none */
    uint64_t steps_done;
};

/* One attempt at training one candidate at one rung. Pointers stay valid until the next
 * coordinator_begin. */
struct task {
    uint64_t search, candidate;
    uint32_t rung;
    uint64_t attempt; /* unique in this store */
    uint64_t epoch;   /* fencing number, never 0 */
    struct architecture architecture;
    const struct spec
        *spec; /* baseline, recipe, data set, images held out, passes over the training images */
    uint64_t split_seed;          /* the same for all candidates of a search */
    uint64_t seed;                /* the candidate's own */
    uint32_t micro_batches;       /* the batch in this many parts */
    struct checkpoint checkpoint; /* to continue from */
    uint32_t checkpoint_seconds;  /* write one so often; 0: never */
};

/* One finished pass over the training images. */
struct epoch_metrics {
    uint32_t number; /* 1-based */
    double train_loss, train_accuracy;
    double validation_loss, validation_accuracy;
    double seconds;
};

struct report {
    const char *worker;
    uint64_t attempt, epoch;
    uint64_t steps_done, steps_total;
    const struct epoch_metrics *epochs; /* repeating one is harmless */
    uint32_t epoch_count;               /* up to REPORT_EPOCHS_MAX */
    struct checkpoint
        checkpoint; /* the attempt's newest whose file is here; repeating it is harmless */
};

struct step_time { /* NaN where none was measured */
    double median_s;
    double spread_s; /* median absolute deviation of the blocks */
    uint32_t blocks;
    double baseline_s; /* the baseline's median on the same device and shape */
    bool contended;    /* the spread stayed above the limit however often it was measured */
};

struct result {
    enum outcome outcome; /* DONE .. FAILED */
    double accuracy, loss;
    struct step_time step_time;
    double seconds;               /* wall time of the attempt */
    double first_step_s;          /* from receiving the task to the end of the first step */
    uint64_t images;              /* trained on, all epochs */
    uint64_t memory_needed_bytes; /* OUT_OF_MEMORY only */
    char message[RESULT_MESSAGE_SIZE];
};

/* What a worker says of itself when it registers. */
struct registration {
    const char *worker; /* chosen by the agent, unique to its process: [A-Za-z0-9._:-]{1,63} */
    const char *host, *version;
    const char *const *devices; /* one a slot */
    uint32_t slot_count;        /* 1 .. WORKER_SLOTS_MAX */
    const struct dataset *datasets;
    uint32_t dataset_count; /* up to WORKER_DATASETS_MAX; names are distinct */
};

#endif
