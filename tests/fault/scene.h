/* What each test of the agent begins with: a fake daemon that listens, and an agent not started yet. */
#ifndef TESTS_FAULT_SCENE_H
#define TESTS_FAULT_SCENE_H

#include "tests/fault/agent_process.h"
#include "tests/fault/fake_daemon.h"

struct scene {
    struct fake_daemon daemon;
    struct agent_process agent;
};

int scene_set_up(void **state);
int scene_tear_down(void **state);
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)

/* An agent with one slot and a fake trainer; stalled means a second without a step. */
void scene_start(struct scene *scene, const char *behaviour);
/* Queues a task of two short epochs; the attempt. */
uint64_t scene_push(struct scene *scene, uint64_t candidate);
/* Queues a task that runs for minutes unless it is ended; the attempt. */
uint64_t scene_push_long(struct scene *scene, uint64_t candidate);
/* SIGTERM, and the agent ends with status 0. */
void scene_end(struct scene *scene);

/* Fails the test where `text` does not have `part`. */
void scene_has(const char *text, const char *part);

#endif
