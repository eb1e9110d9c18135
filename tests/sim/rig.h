/* A daemon without HTTP for tests: the production coordinator, scheduler and store on a memory VFS, with a clock that the
 * test moves. One rig at a time. */
#ifndef TESTS_SIM_RIG_H
#define TESTS_SIM_RIG_H

#include "daemon/coordinator.h"
#include "tests/fault/memory_vfs.h"

enum { RIG_LEASE_SECONDS = 30, RIG_LEASE_MS = 1000 * RIG_LEASE_SECONDS };

struct rig {
    char directory[64];
    struct memory_vfs *vfs;          /* NULL: the real disk */
    struct coordinator *coordinator; /* NULL while it is down */
    struct moment now;
    uint64_t incarnation; /* of the next start */
};

void rig_init(struct rig *rig);
/* On the real disk, in a directory that exists; faults and power failures are then not to be had. */
void rig_init_on_disk(struct rig *rig, const char *directory);
void rig_release(struct rig *rig);
/* Down, and nothing left of the store. */
void rig_reset(struct rig *rig);

/* 0 or what coordinator_open returns. */
int rig_start(struct rig *rig) MUST_USE;
/* Drops what is not committed, as SIGKILL does. */
void rig_kill(struct rig *rig);
/* As rig_kill, and what was not synced may be gone. */
void rig_lose_power(struct rig *rig, uint64_t seed);

void rig_begin(struct rig *rig, uint64_t passed_ms);
int rig_commit(struct rig *rig) MUST_USE;

/* A spec over a small space (864 encodings) on fashion-mnist. `extra` is spliced in: ", \"key\": value". The
 * strategy is evolution unless it is among them. */
void rig_spec(char *text, size_t size, uint32_t candidates, uint32_t parallel_max,
              const char *extra);
/* Must succeed. */
uint64_t rig_submit(struct rig *rig, const char *text);
/* Registers a worker that has fashion-mnist. */
int rig_register(struct rig *rig, const char *worker, uint32_t slots) MUST_USE;
/* What training would find: a function of the architecture only. */
struct result rig_result(const struct task *task);

#endif
