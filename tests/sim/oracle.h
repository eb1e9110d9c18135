/* What the outside world was promised, and the check that the daemon keeps it.
 *
 * The oracle learns only from replies that left (after a commit). oracle_check compares everything that the daemon shows
 * with it and with itself: promises I1 to I4 and I6 to I8 of docs/store.md. A breach prints the seed and aborts. */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include "tests/sim/rig.h"

enum { ORACLE_SEARCHES_MAX = 4, ORACLE_CANDIDATES_MAX = 32, ORACLE_EPOCHS_MAX = 4096 };

struct oracle_candidate {
    enum outcome outcome; /* NONE = no final result was acknowledged */
    double accuracy;
    uint64_t checkpoint_steps; /* of the newest checkpoint whose storing was acknowledged */
    uint64_t renewed_ms;       /* its running lease, when last granted or reported on */
};

struct oracle_search {
    uint64_t id;
    enum search_state state; /* as last acknowledged */
    enum search_state maybe; /* asked for and answered 503: may show after a crash; 0 = nothing */
    uint64_t counted_at_cancel;
    struct oracle_candidate candidates[ORACLE_CANDIDATES_MAX];
};

struct grant {
    uint64_t epoch, attempt, search, candidate;
};

struct oracle {
    uint64_t seed, step;
    uint64_t rebuilt_ms; /* leases have a full term from then */
    bool unwell;         /* the store cannot be written: leases do not end */
    struct oracle_search searches[ORACLE_SEARCHES_MAX];
    size_t search_count;
    struct grant grants[ORACLE_EPOCHS_MAX]; /* all that were ever acknowledged */
    size_t grant_count;
};

_Noreturn void oracle_breach(const struct oracle *oracle, const char *format, ...)
    FORMAT_PRINTF(2, 3);

struct oracle_search *oracle_search(struct oracle *oracle, uint64_t id);
/* A lease left the daemon. */
void oracle_granted(struct oracle *oracle, const struct task *task);
/* A result was acknowledged with this answer (0 or RESULT_KEPT). */
void oracle_accepted(struct oracle *oracle, const struct task *task, const struct result *result,
                     int answer);

/* Between a commit that succeeded and the next tick. */
void oracle_check(struct oracle *oracle, struct rig *rig);
/* A number that stands for everything that is shown of searches and candidates, running attempts included. */
uint64_t oracle_digest(const struct oracle *oracle, struct rig *rig);

#endif
