/* Where packs are kept: made once for a machine, shared by its trainers.
 *
 * A data set's pack is NAME-HASH.pack in the cache directory, HASH being of the source directory.
 * It is made under NAME-HASH.tmp, flushed and renamed, by one process at a time (flock on
 * NAME-HASH.lock; the lock goes with its holder, so a killed one leaves nothing behind that the
 * next would not overwrite). A pack that is damaged, of another version or made from other source
 * files is made again. Processes that have the old one mapped keep it. */
#ifndef WORKER_DATA_CACHE_H
#define WORKER_DATA_CACHE_H

#include "worker/data/pack.h"
#include "worker/data/source.h"

#include <stdbool.h>

enum { CACHE_LOCK_WAIT_S = 600 /* longest wait for another process that makes the same pack */ };

/* $ARCHSCOUT_CACHE, else $XDG_CACHE_HOME/archscout/packs, else $HOME/.cache/archscout/packs.
 * -ENOENT where none of them is set. */
int cache_directory(char ret_directory[FILE_PATH_SIZE], struct error *error) MUST_USE;

enum { CACHE_FOUND = 1, CACHE_MADE = 2, CACHE_MADE_AGAIN = 3, CACHE_PRIVATE = 4 };
/* Opens the pack of `source`, making it first where needed; a source that is a pack (SOURCE_PACK) is opened where it is.
 * Returns
 *   CACHE_FOUND       it was there and good
 *   CACHE_MADE        it was not there
 *   CACHE_MADE_AGAIN  what was there could not be used; *ret_reason says why
 *   CACHE_PRIVATE     the cache cannot be written (*ret_reason says why; `directory` may be NULL):
 * the pack is in this process's memory alone or a negative errno: -EBADMSG where the source files
 * are damaged, -ENOMEM, -ETIMEDOUT where another process did not finish within CACHE_LOCK_WAIT_S.
 */
int cache_open(const char *directory, const struct source *source, struct pack **ret_pack,
               struct error *ret_reason, struct error *error) MUST_USE;

#endif
