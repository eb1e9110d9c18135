/* What this machine has for one trainer: processors and memory, as the operating system and its control groups allow. */
#ifndef WORKER_MACHINE_H
#define WORKER_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* Processors that this process may run on; at least 1. */
uint32_t machine_processors(void);

/* Bytes that all trainers of this machine together may use: what is built in or, where that is less, the smallest limit of the
 * control groups (version 2) that this process is in. `proc` and `cgroups` are "/proc/self/cgroup" and "/sys/fs/cgroup". 0 where
 * nothing is known. */
size_t machine_memory_bytes(const char *proc, const char *cgroups);

#endif
