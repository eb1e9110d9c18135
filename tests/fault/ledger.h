/* A worker in a process of its own that keeps a ledger: what it was handed, and which of its results the daemon has
 * acknowledged. It trains nothing, works as fast as it is answered, and goes on whatever becomes of the daemon.
 *
 * The ledger lies in memory that the test shares, so that the test knows at any moment what must not be lost. Some results
 * are handed in twice (the same answer is expected) and some with a fencing number that is not theirs (409 is expected).
 *
 * It announces one data set, LEDGER_DATASET, so that it gets the searches on that one and no other worker does. */
#ifndef TESTS_FAULT_LEDGER_H
#define TESTS_FAULT_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LEDGER_DATASET "ledger-images"
enum { LEDGER_ENTRIES_MAX = 1 << 17, LEDGER_TEXT_SIZE = 256, LEDGER_IMAGES = 800 };

struct ledger_entry {
    uint64_t search, candidate, attempt, epoch;
    double accuracy,
        seconds; /* what its result says: functions of the attempt that are exact as binary fractions */
    atomic_bool acknowledged; /* a 2xx has come */
};

struct ledger {
    atomic_bool stop;
    atomic_bool registered;            /* once: its data set is known from then on */
    atomic_uint_fast32_t count;        /* of entries */
    atomic_uint_fast32_t acknowledged; /* results */
    atomic_uint_fast32_t repeated;     /* results handed in again and taken again */
    atomic_uint_fast32_t stale;        /* results refused as they should be */
    atomic_uint_fast32_t unavailable;  /* answers 503 */
    atomic_bool wrong;                 /* the daemon said what it must not: */
    char text[LEDGER_TEXT_SIZE];
    struct ledger_entry entries[LEDGER_ENTRIES_MAX];
};

struct ledger_worker {
    pid_t pid; /* 0 = not running */
    struct ledger *ledger;
};

/* Starts a worker with this name and one slot; it ends with the test program. */
void ledger_worker_start(struct ledger_worker *worker, int port, const char *name);
/* Waits until it has registered, so that a spec may name its data set. */
void ledger_worker_await(const struct ledger_worker *worker);
/* Lets it end between two requests. */
void ledger_worker_stop(struct ledger_worker *worker);
/* Kills it where it runs and frees the ledger. */
void ledger_worker_release(struct ledger_worker *worker);

#endif
