#include "tests/sim/rig.h"

#include "search/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHECKPOINT_PAGES = 24 }; /* few, so that short runs see many checkpoints */

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "rig: %s\n", what);
    abort();
}

static const struct rig fresh = {.now = {.monotonic_ms = 1000, .wall_us = 1700000000000000},
                                 .incarnation = 1};

void rig_init_on_disk(struct rig *rig, const char *directory)
{
    *rig = fresh;
    must(strlen(directory) < sizeof(rig->directory), "the directory's name is too long");
    snprintf(rig->directory, sizeof(rig->directory), "%s", directory);
}

void rig_init(struct rig *rig)
{
    *rig = fresh;
    /* The lock and the reserve are the only files on a real disk: in memory where there is such a file system. */
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(rig->directory, sizeof(rig->directory), "%s/archscout_rig_XXXXXX", parent);
    must(mkdtemp(rig->directory), "no temporary directory");
    must(memory_vfs_install(&rig->vfs) == 0, "out of memory");
}

static void remove_file(const struct rig *rig, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", rig->directory, name);
    unlink(path);
}

void rig_release(struct rig *rig)
{
    if (!rig->vfs) {
        coordinator_close(rig->coordinator);
        return;
    }
    rig_reset(rig);
    memory_vfs_remove(rig->vfs);
    remove_file(rig, "archscout.lock");
    remove_file(rig, "archscout.reserve");
    rmdir(rig->directory);
}

void rig_reset(struct rig *rig)
{
    if (rig->coordinator)
        rig_kill(rig);
    memory_vfs_fail(rig->vfs, UINT64_MAX, 0, 0);
    memory_vfs_clear(rig->vfs);
}

int rig_start(struct rig *rig)
{
    /* Far apart, so that epochs of two lives differ as random ones do. */
    rig->incarnation = rig->incarnation * 6364136223846793005u + 1442695040888963407u;
    struct coordinator_options options = {.state_directory = rig->directory,
                                          .incarnation = rig->incarnation,
                                          .lease_seconds = RIG_LEASE_SECONDS,
                                          .reserve_bytes = rig->vfs ? 4096 : 0,
                                          .checkpoint_pages = rig->vfs ? CHECKPOINT_PAGES : 0,
                                          .now = rig->now};
    struct error error = {"", ""};
    int r = coordinator_open(&options, &rig->coordinator, &error);
    if (r < 0)
        rig->coordinator = NULL;
    return r;
}

static void close_dead(struct rig *rig)
{
    if (rig->vfs)
        memory_vfs_kill(rig->vfs);
    coordinator_close(rig->coordinator);
    rig->coordinator = NULL;
}

void rig_kill(struct rig *rig)
{
    close_dead(rig);
    if (rig->vfs)
        memory_vfs_restart(rig->vfs);
}

void rig_lose_power(struct rig *rig, uint64_t seed)
{
    close_dead(rig);
    memory_vfs_restart_after_power_failure(rig->vfs, seed);
}

void rig_begin(struct rig *rig, uint64_t passed_ms)
{
    rig->now.monotonic_ms += passed_ms;
    rig->now.wall_us += (int64_t)passed_ms * 1000;
    coordinator_begin(rig->coordinator, rig->now);
}

int rig_commit(struct rig *rig)
{
    return coordinator_commit(rig->coordinator);
}

void rig_spec(char *text, size_t size, uint32_t candidates, uint32_t parallel_max,
              const char *extra)
{
    int length = snprintf(
        text, size,
        "{\"dataset\": {\"name\": \"fashion-mnist\", \"train\": 1000, \"validation\": 500},"
        " \"space\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 32}, \"stages\": ["
        "{\"block\": [\"fused_mbconv\", \"mbconv\"], \"layers\": [1, 2, 3], \"expansion\": [1, 2], "
        "\"channels\": 8},"
        "{\"block\": [\"mbconv\"], \"layers\": [1, 2, 3], \"expansion\": [2, 4], \"kernel\": [3, "
        "5], \"channels\": 16,"
        " \"stride\": 2},"
        "{\"block\": [\"mbconv\", \"conv\", \"identity\"], \"layers\": [1, 2], \"channels\": 24, "
        "\"stride\": 2}]},"
        " %s\"budget\": {\"candidates\": %u, \"epochs\": 2}, \"parallel_max\": %u%s}",
        strstr(extra, "\"strategy\"")
            ? ""
            : "\"strategy\": {\"name\": \"evolution\", \"population\": 4, \"sample\": 2}, ",
        candidates, parallel_max, extra);
    must(length > 0 && (size_t)length < size, "the spec does not fit");
}

uint64_t rig_submit(struct rig *rig, const char *text)
{
    uint64_t search = 0;
    struct error error;
    struct submission submission = {.text = text, .length = strlen(text)};
    if (coordinator_submit(rig->coordinator, &submission, &search, &error) != 0) {
        fprintf(stderr, "rig: %s: %s\n", error.pointer, error.message);
        abort();
    }
    return search;
}

int rig_register(struct rig *rig, const char *worker, uint32_t slots)
{
    const char *devices[WORKER_SLOTS_MAX];
    for (uint32_t i = 0; i < slots; i++)
        devices[i] = "cpu";
    struct registration registration = {.worker = worker,
                                        .host = "here",
                                        .version = "1",
                                        .devices = devices,
                                        .slot_count = slots,
                                        .datasets = dataset_known("fashion-mnist"),
                                        .dataset_count = 1};
    struct terms terms;
    struct error error;
    return coordinator_register(rig->coordinator, &registration, &terms, &error);
}

struct result rig_result(const struct task *task)
{
    struct random_stream random =
        random_stream_of(architecture_hash(&task->architecture), 0, RANDOM_WEIGHTS);
    struct result result = {.outcome = OUTCOME_DONE,
                            .accuracy = 0.5 + 0.4 * random_unit(&random),
                            .loss = 1 + random_unit(&random),
                            .step_time = {.median_s = 0.01 + 0.1 * random_unit(&random),
                                          .spread_s = 0.001,
                                          .blocks = 5,
                                          .baseline_s = 0.05},
                            .seconds = 2,
                            .first_step_s = 0.1,
                            .images = 2000};
    if (random_below(&random, 10) == 0)
        result.outcome = OUTCOME_DIVERGED;
    return result;
}
