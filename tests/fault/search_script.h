/* A client's side of one whole search: it does one thing a tick, repeats what got 503, and remembers what was acknowledged.
 * Faults of any kind are put under it; whatever they are, the search has to end in the same candidates. */
#ifndef TESTS_FAULT_SEARCH_SCRIPT_H
#define TESTS_FAULT_SEARCH_SCRIPT_H

#include "tests/sim/rig.h"

enum { SCRIPT_CANDIDATES = 4 };

struct script;

/* A kind of fault: every operation of some sort is counted, and some of them can be made to fail. */
struct fault_kind {
    void (*arm)(struct script *script, uint64_t after, uint64_t failures);
    uint64_t (*operations)(const struct script *script);
    uint64_t (*failed)(const struct script *script); /* since it was armed */
    bool power_fails; /* after the first tick that failed, instead of going on */
};

struct script {
    struct rig rig;
    const struct fault_kind *kind;
    uint64_t search; /* 0 = not acknowledged yet */
    bool registered;
    struct task task; /* attempt 0 = idle */
    struct result result;
    double accuracy[SCRIPT_CANDIDATES]; /* of acknowledged results; negative = diverged; 0 = none */
    unsigned failed_ticks;
};

/* Starts the daemon, again and again where a fault keeps it from starting. */
void script_start(struct script *script);
/* One tick with the next thing to do; what succeeded is remembered. True where the reply was a success. */
bool script_tick(struct script *script);
/* Everything from an empty store to the end, `failures` failing operations after `after` of them. Returns the operations
 * that it took. */
uint64_t script_run(struct script *script, uint64_t after, uint64_t failures);
/* script_run with the faults at every operation in turn: each time nothing acknowledged is lost and the search ends as it
 * does without faults. Returns how many of the runs met a fault. */
unsigned script_sweep(struct script *script, uint64_t failures);

#endif
