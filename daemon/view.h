/* What people see of searches, candidates, attempts, workers, data sets and events: plain values
 * that the coordinator fills and the api renders. Nothing here is stored as it stands.
 *
 * Pointers inside a view belong to the coordinator and stay valid until its next operation. Times
 * ending in _us are wall-clock microseconds since 1970, 0 = not yet. */
#ifndef DAEMON_VIEW_H
#define DAEMON_VIEW_H

#include "daemon/attempt.h"

/* running -> paused -> running; running, paused -> cancelled; running, paused -> done. The last two
 * are final. FAILED: the stored spec cannot be read by this version (`problem` says why); nothing
 * is leased, nothing is lost. The values are stored: fixed for good. */
enum search_state {
    SEARCH_RUNNING = 1,
    SEARCH_PAUSED = 2,
    SEARCH_CANCELLED = 3,
    SEARCH_DONE = 4,  /* the budget is used, or the space has nothing left to propose */
    SEARCH_FAILED = 5 /* never stored */
};
const char *search_state_name(enum search_state state);
int search_state_from_name(const char *name, enum search_state *ret_state) MUST_USE; /* -EINVAL */

/* A candidate is in exactly one of these states (promise I4). */
enum candidate_state {
    CANDIDATE_QUEUED,   /* proposed, or waiting for its next attempt */
    CANDIDATE_LEASED,   /* an attempt is running */
    CANDIDATE_DONE,     /* accepted result with measures */
    CANDIDATE_FAILED,   /* infeasible, failed or quarantined: `outcome` says which */
    CANDIDATE_CANCELLED /* the search was cancelled first */
};
enum { CANDIDATE_STATE_COUNT = 5 };
const char *candidate_state_name(enum candidate_state state);
int candidate_state_from_name(const char *name,
                              enum candidate_state *ret_state) MUST_USE; /* -EINVAL */

struct progress {
    uint64_t budget; /* candidates the spec asks for */
    uint64_t created;
    uint64_t count[CANDIDATE_STATE_COUNT]; /* their sum is `created` */
};

/* Sum over accepted results, failed ones included (promise I4). */
struct spend {
    uint64_t results;
    double seconds; /* of workers' slots */
    uint64_t images;
};

struct search_view {
    uint64_t id;
    enum search_state state;
    const char *problem;     /* "" unless FAILED */
    const struct spec *spec; /* NULL when FAILED */
    const char *text;        /* the spec as submitted, verbatim, not terminated by 0 */
    size_t text_length;
    int64_t created_us, finished_us;
    struct progress progress;
    struct spend spend;
    bool best_known;
    uint64_t best;  /* candidate with the highest reward; the earlier one where equal */
    double eta_s;   /* seconds of work left at the present number of running attempts; negative =
                       unknown */
    bool exhausted; /* the strategy has nothing left to propose */
};

struct candidate_view {
    uint64_t search, number;
    enum candidate_state state;
    enum outcome outcome; /* of the accepted result; NONE before */
    struct encoding encoding;
    uint32_t stage_count; /* choices of the encoding that mean something */
    struct architecture architecture;
    uint64_t hash;
    struct cost cost;           /* as stored; params_with_bn_statistics derived */
    double reward;              /* DONE only; by the exponents asked for, else by the spec's */
    struct measures measures;   /* DONE only */
    struct step_time step_time; /* DONE only */
    uint32_t attempts; /* given out so far; 0 where CANCELLED (coordinator_attempts has them) */
    uint64_t seen;     /* observations that its proposal had seen */
    uint64_t position; /* of the accepted result, in the order of acceptance; UINT64_MAX before */
    uint64_t
        parent; /* candidate that it was mutated from; STRATEGY_NO_PARENT where there is none */
    int64_t created_us, finished_us;
    /* LEASED only */
    const char *worker;
    uint32_t slot;
    uint64_t steps_done, steps_total;
};

struct attempt_view {
    uint64_t attempt;
    uint32_t rung;
    char worker[WORKER_NAME_SIZE];
    uint32_t slot;
    uint32_t micro_batches;
    int64_t started_us, ended_us;
    struct result
        result; /* outcome NONE while running; message says why it ended otherwise than DONE */
    const struct epoch_metrics *epochs; /* in order */
    size_t epoch_count;
};

enum candidate_sort {
    CANDIDATE_SORT_NUMBER,
    CANDIDATE_SORT_REWARD,   /* this and the following leave out candidates that are not DONE, */
    CANDIDATE_SORT_OBJECTIVE /* except objectives known without training: params, macs, memory */
};

/* Where a page starts: after this candidate in the order asked for. The api makes a token of it. */
struct candidate_cursor {
    bool set;
    double value;
    uint64_t number;
};

enum { PAGE_ITEMS_MAX = 1000 };

struct candidate_query {
    unsigned states; /* bit 1 << enum candidate_state; 0 = all */
    enum candidate_sort sort;
    enum objective objective; /* for CANDIDATE_SORT_OBJECTIVE */
    bool worst_first;         /* default is best first: by objective_sign; number: ascending */
    /* With SORT_REWARD: NULL = the spec's, else re-scored, nothing retrained (GET ranking). */
    const struct reward *reward;
    struct candidate_cursor after;
    uint32_t limit; /* 1 .. PAGE_ITEMS_MAX */
};

struct frontier_view {
    enum objective objectives[PARETO_OBJECTIVES_MAX];
    size_t objective_count;
    const struct pareto_point *points; /* best first by the first objective */
    size_t point_count;
    double reference[PARETO_OBJECTIVES_MAX]; /* stated point that the hypervolume is measured
                                                against */
    double hypervolume;                      /* in the objectives' own units */
    double hypervolume_fraction; /* of the box between the reference and the ideal (accuracy 1, all
                                    else 0) */
};

struct slot_view {
    const char *device;
    bool busy;
    uint64_t search, candidate, attempt; /* when busy */
    uint64_t steps_done, steps_total;
    double baseline_s; /* the latest one measured there; 0 = none yet */
};

struct worker_view {
    const char *name, *host, *version;
    int64_t registered_us;
    uint64_t seen_ms_ago;
    uint64_t results; /* since it registered */
    struct slot_view slots[WORKER_SLOTS_MAX];
    uint32_t slot_count;
    const struct dataset *datasets[WORKER_DATASETS_MAX];
    uint32_t dataset_count;
};

struct dataset_view {
    const struct dataset *dataset;
    bool well_known;  /* built in; else announced by a worker at some time */
    uint32_t workers; /* connected ones that have it */
};

/* Values are stored: fixed for good. */
enum event_kind {
    EVENT_SEARCH_CREATED = 1,
    EVENT_SEARCH_PAUSED = 2,
    EVENT_SEARCH_RESUMED = 3,
    EVENT_SEARCH_CANCELLED = 4,
    EVENT_SEARCH_DONE = 5,
    EVENT_CANDIDATE_LEASED = 6, /* an attempt was given out */
    EVENT_CANDIDATE_EPOCH = 7,  /* an epoch was reported: epoch, accuracy, loss (held-out images) */
    EVENT_CANDIDATE_RETRIED = 8, /* an attempt ended and another one will be given out: outcome */
    EVENT_CANDIDATE_FINISHED = 9 /* DONE or FAILED: outcome; accuracy, loss when DONE */
};
const char *event_kind_name(enum event_kind kind); /* "search.created", "candidate.leased", ... */

struct event_view {
    uint64_t id; /* grows; never reused */
    enum event_kind kind;
    int64_t at_us;
    uint64_t search;
    uint64_t candidate, attempt; /* EVENT_CANDIDATE_* only; attempts start at 1 */
    uint32_t epoch;
    enum outcome outcome;
    double accuracy, loss; /* NaN where not given */
};

#endif
