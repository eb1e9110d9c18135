/* A worker without a trainer: says what a test wants said. */
#ifndef TESTS_E2E_FAKE_WORKER_H
#define TESTS_E2E_FAKE_WORKER_H

#include "proto/worker_api.h"
#include "tests/e2e/daemon_process.h"

/* Registers a worker that has Fashion-MNIST; fails unless it is taken. */
void fake_worker_register(const struct daemon_process *process, const char *name, uint32_t slots);

/* Asks for work. The status; *ret_response is filled for 200. */
int fake_worker_lease(const struct daemon_process *process, const char *name, uint32_t slot,
                      uint32_t wait_seconds, struct lease_response *ret_response);
/* The same, and there must be a task. */
struct wire_task fake_worker_task(const struct daemon_process *process, const char *name,
                                  uint32_t slot);

/* Reports one epoch. The status; *ret_stop is filled for 200. */
int fake_worker_report(const struct daemon_process *process, const char *name,
                       const struct wire_task *task, uint32_t epoch, bool *ret_stop);

/* A result that could have been measured, a function of the task's architecture. */
struct wire_result fake_result(const struct wire_task *task);
/* The status; *ret_accepted is filled for 200. */
int fake_worker_result(const struct daemon_process *process, const char *name,
                       const struct wire_task *task, const struct wire_result *result,
                       bool *ret_accepted);

/* Trains `count` candidates: lease, report, result. */
void fake_worker_train(const struct daemon_process *process, const char *name, int count);

/* POST of raw bytes to /worker/v1/NAME. */
struct answer fake_worker_post(const struct daemon_process *process, const char *route,
                               const void *bytes, size_t length);

#endif
