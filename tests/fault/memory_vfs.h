/* An SQLite VFS whose files live in memory, that can fail, be killed and lose power.
 *
 * Legal order: memory_vfs_install makes it the default of the process; databases opened from then on use it. Not
 * thread-safe; one connection at a time. */
#ifndef TESTS_FAULT_MEMORY_VFS_H
#define TESTS_FAULT_MEMORY_VFS_H

#include "search/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct memory_vfs;

int memory_vfs_install(struct memory_vfs **ret_vfs) MUST_USE; /* -ENOMEM */
void memory_vfs_remove(struct memory_vfs *vfs);
/* All files are gone. */
void memory_vfs_clear(struct memory_vfs *vfs);

/* Lets `operations` more writes, syncs and truncations succeed, then fails `failures` of them with this errno (EIO or
 * ENOSPC); a failing write has written its first half. */
void memory_vfs_fail(struct memory_vfs *vfs, uint64_t operations, uint64_t failures,
                     int error_number);
/* Failing operations since memory_vfs_fail. */
uint64_t memory_vfs_failed(const struct memory_vfs *vfs);
/* Operations of that kind since memory_vfs_install. */
uint64_t memory_vfs_operations(const struct memory_vfs *vfs);

/* Copies all files aside, and brings the copy back in their place. Without an open connection. */
int memory_vfs_back_up(struct memory_vfs *vfs) MUST_USE; /* -ENOMEM */
int memory_vfs_restore(struct memory_vfs *vfs) MUST_USE; /* -ENOMEM */

/* The process is dead: nothing reaches the files any more. Close the connection, then bring it back. */
void memory_vfs_kill(struct memory_vfs *vfs);
/* After a SIGKILL all that was written is there. */
void memory_vfs_restart(struct memory_vfs *vfs);
/* After a power failure only what was synced is sure to be there; of the rest each sector made it or not, by the seed. */
void memory_vfs_restart_after_power_failure(struct memory_vfs *vfs, uint64_t seed);

#endif
