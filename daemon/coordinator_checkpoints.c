/* Checkpoints: which candidate continues from which file. The files themselves are somebody else's (artifacts.h). */
#include "daemon/coordinator_internal.h"

#include <errno.h>

int coordinator_find_checkpoint(struct coordinator *coordinator, uint64_t search,
                                uint64_t candidate, struct checkpoint *ret_checkpoint)
{
    *ret_checkpoint = (struct checkpoint){.bytes = 0};
    int r = store_find_checkpoint(coordinator->store, search, candidate, 0, ret_checkpoint);
    return r == -ENOENT ? 0 : r;
}

int coordinator_keep_checkpoint(struct coordinator *coordinator, uint64_t search,
                                const struct job *job, const struct checkpoint *checkpoint)
{
    const struct checkpoint_row row = {.search = search,
                                       .candidate = job->candidate,
                                       .attempt = job->attempt,
                                       .checkpoint = *checkpoint,
                                       .stored_us = coordinator->now.wall_us};
    coordinator->dropped = true; /* the one before it */
    return store_put_checkpoint(coordinator->store, &row);
}

int coordinator_drop_checkpoints(struct coordinator *coordinator, uint64_t search,
                                 uint64_t candidate)
{
    int r = candidate == UINT64_MAX ? store_drop_checkpoints(coordinator->store, search)
                                    : store_drop_checkpoint(coordinator->store, search, candidate);
    if (r > 0)
        coordinator->dropped = true;
    return r < 0 ? r : 0;
}

bool coordinator_wants_artifact(struct coordinator *coordinator, const uint8_t sha256[SHA256_SIZE])
{
    return coordinator->failure || store_has_checkpoint(coordinator->store, sha256) != 0;
}

bool coordinator_take_garbage(struct coordinator *coordinator)
{
    bool garbage = coordinator->garbage;
    coordinator->garbage = false;
    return garbage;
}
