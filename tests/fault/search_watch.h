/* What must hold of a search whatever was killed: looked at through the API, and in the store once no daemon runs. */
#ifndef TESTS_FAULT_SEARCH_WATCH_H
#define TESTS_FAULT_SEARCH_WATCH_H

#include "tests/e2e/daemon_process.h"
#include "tests/fault/ledger.h"

struct watched_spec {
    const char *dataset; /* "fashion-mnist", LEDGER_DATASET */
    int candidates, parallel_max;
    bool deterministic;
};
/* Submits it. The search's id. */
int64_t watch_submit(const struct daemon_process *process, const struct watched_spec *spec);

/* GET, which must give 200. On a disk that fails, a read that shares its transaction with a write is refused together with
 * it; it may be refused a few times, not for as long as the disk fails. */
struct answer watch_get(const struct daemon_process *process, const char *path);

struct watch_progress {
    bool done;
    int64_t created, finished; /* candidates; finished ones are done or failed */
    int64_t failed;
    int64_t results;
    double seconds;
};
/* The search's figures, after checking that every candidate is in one state, that what was spent is what the accepted
 * results have cost, and that a search which is done has nothing left over (promise I4). */
struct watch_progress watch_search(const struct daemon_process *process, int64_t search);
/* Polls until the search is done. */
struct watch_progress watch_until_done(const struct daemon_process *process, int64_t search);

/* A line for each candidate: number, hash, how many observations its proposal had seen, parent, outcome, reward. Free it. */
char *watch_list(const struct daemon_process *process, int64_t search);

/* Every result that the ledger has as acknowledged is the candidate's (one search). Returns how many there were. */
uint64_t watch_ledger(const struct daemon_process *process, int64_t search,
                      const struct ledger *ledger);

/* The database itself, once the daemon is gone: integrity, foreign keys, at most one accepted attempt a candidate, order
 * of acceptance without gaps, fencing numbers all different. Returns the number of attempts. */
int64_t watch_store(const struct daemon_process *process);
/* Every attempt of the ledger is there with its fencing number, and every acknowledged result is counted, once. */
void watch_store_ledger(const struct daemon_process *process, const struct ledger *ledger);

#endif
