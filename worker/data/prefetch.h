/* One background thread that does one piece of work ahead: what is asked for is done while the caller is busy elsewhere.
 *
 * Legal order: prefetch_new; prefetch_ask and prefetch_take as often as wanted, at most one asked for at a time;
 * prefetch_free. The caller's side is one thread. Between prefetch_ask and the prefetch_take or prefetch_drop that follows,
 * what the work reads and writes belongs to the background thread; otherwise to the caller. */
#ifndef WORKER_DATA_PREFETCH_H
#define WORKER_DATA_PREFETCH_H

#include "search/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A batch: of an epoch's training (epoch, index), or of the held-out images (index). */
struct prefetch_work {
    bool training;
    uint32_t epoch;
    uint64_t index;
};

struct prefetch;

/* `run` cannot fail. Starts the thread, with all signals blocked: -EAGAIN where there can be none, -ENOMEM. */
int prefetch_new(void (*run)(void *context, const struct prefetch_work *work), void *context,
                 struct prefetch **ret_prefetch, struct error *error) MUST_USE;
/* Waits for what is under way, and for the thread. */
void prefetch_free(struct prefetch *prefetch);

void prefetch_ask(struct prefetch *prefetch, const struct prefetch_work *work);
/* True where this was asked for and has been done; waits where it is under way. Otherwise false, and nothing is asked for any
 * more: what had not been begun never will be. */
bool prefetch_take(struct prefetch *prefetch, const struct prefetch_work *work);
/* Nothing is asked for any more; waits where it is under way. */
void prefetch_drop(struct prefetch *prefetch);

#endif
