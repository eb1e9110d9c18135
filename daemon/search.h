/* One search in memory: its spec, its strategy, all its candidates, and what was derived from their results.
 *
 * Layer: may be used by coordinator*.c; may use search/ and the rows of store.h (values only, it calls no store). Knows
 * nothing of workers and leases. Single-threaded.
 *
 * Legal order: search_new; then, for a stored search, search_restore_candidate for all candidates by number,
 * search_restore_result for all results, search_replay; then any order of the rest. The strategy's state is a fold over
 * proposals and accepted results (promise I5), so search_replay brings back exactly what was there. */
#ifndef DAEMON_SEARCH_H
#define DAEMON_SEARCH_H

#include "daemon/store.h"
#include "search/strategy.h"

enum { SEARCH_FRONTS_MAX = 8 }; /* frontiers kept per search, the spec's own included */

struct candidate {
    struct encoding encoding;
    uint64_t hash, params, macs, memory;
    uint64_t seen, parent;
    uint64_t position; /* of the accepted result; RESULT_NOT_COUNTED before */
    int64_t created_us, finished_us;
    enum candidate_state state;
    enum outcome outcome;          /* of the accepted result */
    uint32_t attempts;             /* that the accepted result took */
    struct step_time step_time;    /* NaN where none was measured */
    double accuracy, loss, reward; /* DONE only */
};

/* A frontier that grows with the results. */
struct front {
    enum objective objectives[PARETO_OBJECTIVES_MAX];
    size_t objective_count;
    struct pareto *pareto; /* NULL = unused */
    uint64_t fed;          /* accepted results that it has seen */
    uint64_t used;         /* value of search.front_uses when it was last asked for */
};

struct search {
    uint64_t id;
    enum search_state state;
    bool hand_back; /* PAUSED: what runs is wanted back */
    char problem[ERROR_MESSAGE_SIZE];
    char *text;
    size_t length;
    int32_t priority;
    int64_t created_us, finished_us;
    struct spec *spec;         /* NULL when FAILED */
    struct strategy *strategy; /* NULL in final states */
    struct candidate *candidates;
    uint64_t count, capacity;
    uint64_t *
        accepted; /* candidates in the order in which their results were accepted; room for `capacity` */
    uint64_t accepted_count;
    uint64_t told; /* observations that the strategy has seen */
    uint64_t state_count[CANDIDATE_STATE_COUNT];
    struct spend spend;
    double done_seconds; /* of DONE results, for the ETA */
    bool best_known, exhausted;
    uint64_t best;
    struct front fronts[SEARCH_FRONTS_MAX];
    uint64_t front_uses;
};

/* Reads the row's resolved spec, or its text where there is none yet. -EINVAL and -E2BIG with a pointer into it,
 * -ENOMEM. */
int search_new(const struct search_row *row, const struct spec_datasets *datasets,
               struct search **ret_search, struct error *error) MUST_USE;
/* A search whose stored text or rows cannot be used: FAILED. -ENOMEM. */
int search_new_unreadable(const struct search_row *row, const char *problem,
                          struct search **ret_search) MUST_USE;
void search_free(struct search *search);
/* Lets go of what only a readable search has. */
void search_fail(struct search *search, const char *problem);
bool search_is_final(const struct search *search); /* DONE, CANCELLED or FAILED */

/* True where an objective or the reward is made of step times, so that a result must have one. */
bool search_needs_step_time(const struct search *search);

/* True where its spec names the data set; of a FAILED one, where its text may. */
bool search_names_dataset(const struct search *search, const char *name);

/* -EINVAL for rows that contradict each other or the spec (a damaged store, a preset that has changed), -ENOMEM. */
int search_restore_candidate(struct search *search, const struct candidate_row *row) MUST_USE;
int search_restore_result(struct search *search, const struct result_row *row) MUST_USE;
int search_replay(struct search *search) MUST_USE;

/* Appends the strategy's next proposal as a QUEUED candidate. 0, STRATEGY_EXHAUSTED, -ENOMEM. */
int search_propose(struct search *search, int64_t wall_us, struct candidate_row *ret_row) MUST_USE;

void search_set_candidate_state(struct search *search, uint64_t candidate,
                                enum candidate_state state);
/* All candidates without a result become CANCELLED, and the search too. */
void search_cancel(struct search *search, int64_t wall_us);
void search_finish(struct search *search, int64_t wall_us);

/* The row for a result of an attempt that ended so: position, reward and values that are not of a DONE one resolved.
 * `counted` is false after a cancel. */
struct result_row search_result_row(const struct search *search, uint64_t candidate,
                                    const struct result *result, bool counted);
/* Takes a counted row in, its position being the next one. */
void search_accept(struct search *search, const struct result_row *row);

struct measures candidate_measures(const struct candidate *candidate);
/* The architecture's own values, of a candidate in any state. */
double candidate_objective(const struct candidate *candidate, enum objective objective);

/* The frontier over these objectives, up to date. -EINVAL, -ENOMEM. */
int search_front(struct search *search, const enum objective *objectives, size_t count,
                 struct front **ret_front) MUST_USE;
/* The point that hypervolumes are measured against: the spec's values where it gives them, else its limits, else what is
 * far worse than the baseline. */
void search_reference(const struct search *search, const struct front *front,
                      double ret_reference[PARETO_OBJECTIVES_MAX]);

#endif
