/* One file on its way to or from the daemon (PUT and GET /worker/v1/artifacts/{sha256}), on the agent's loop.
 *
 * Legal order: a zeroed struct; transfer_send or transfer_fetch where transfer_is_idle; then `done` is called once, from the
 * loop, unless transfer_cancel comes before. */
#ifndef WORKER_AGENT_TRANSFER_H
#define WORKER_AGENT_TRANSFER_H

#include "worker/agent_shared.h"

struct transfer {
    struct agent_shared *shared;
    struct http_call *call; /* NULL = idle */
    int fd;
    uint64_t moved;
    struct wire_checkpoint file;
    struct sha256 sha256;
    char path[WIRE_PATH_SIZE]; /* of a file that is fetched */
    bool fetching;
    void (*done)(void *user, const struct answer *answer);
    void *user;
};

/* `done` gets the daemon's answer as it came; a fetched file whose content is wrong is code -EBADMSG. A file that was not
 * fetched whole is removed. */
bool transfer_is_idle(const struct transfer *transfer);
/* Negative errno where it cannot be begun: -ENOENT and others of the file, -ENOMEM. */
int transfer_send(struct transfer *transfer, const char *path,
                  const struct wire_checkpoint *file) MUST_USE;
int transfer_fetch(struct transfer *transfer, const char *path,
                   const struct wire_checkpoint *file) MUST_USE;
void transfer_cancel(struct transfer *transfer);

#endif
