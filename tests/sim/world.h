/* A random world around the daemon: workers that crash, hang, answer late and twice, people who steer, a daemon that is
 * killed, loses power or meets a failing disk. Everything follows from the seed. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "search/random.h"
#include "tests/sim/oracle.h"

enum { WORLD_WORKERS = 3, WORLD_SLOTS = 2, TICK_REPLIES_MAX = 16 };

struct world_slot {
    bool waiting; /* for a reply of this tick */
    bool working;
    struct task task; /* its spec pointer is not used */
    struct result result;
    uint64_t checkpoint_steps; /* of the newest checkpoint that it has written */
    uint64_t renewed_ms;       /* the lease, as the daemon has seen it */
    bool over;                 /* the lease has run out in a tick that was committed */
    bool tried;                /* to deliver: the result may have been taken though no reply came */
    bool delivered;            /* the last task's result was acknowledged, with `answer` */
    int answer;
};

struct world_worker {
    char name[16];
    unsigned life; /* part of the name: a new process has a new one */
    bool registered;
    uint64_t silent_until_ms;
    struct world_slot slots[WORLD_SLOTS];
};

/* A reply that waits for the commit. */
struct reply {
    enum reply_kind {
        REPLY_TO_NOBODY, /* its worker has crashed */
        REPLY_REGISTERED,
        REPLY_LEASE,
        REPLY_REPORT,
        REPLY_RESULT,
        REPLY_SUBMITTED, /* this and the next are to people */
        REPLY_STEERED
    } kind;
    size_t worker, slot;
    int answer;
    struct task task;
    uint64_t checkpoint_steps; /* 0: the report named none */
    uint64_t search;
    enum search_state state;
};

struct world {
    struct rig rig;
    struct oracle oracle;
    struct random_stream random;
    struct world_worker workers[WORLD_WORKERS];
    struct reply replies[TICK_REPLIES_MAX];
    size_t reply_count;
    uint64_t rebuilds; /* that the daemon has counted */
    bool tracing;      /* kept over world_run */
    bool unwell;       /* the latest tick failed */
    bool calm;         /* nothing fails any more */
};

void world_init(struct world *world);
void world_release(struct world *world);
/* One random life, from an empty store to the end of all searches. */
void world_run(struct world *world, uint64_t seed, unsigned steps);

#endif
