/* Runs the program archscout-worker for a test and reads its log. */
#ifndef TESTS_FAULT_AGENT_PROCESS_H
#define TESTS_FAULT_AGENT_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum { AGENT_ARGUMENTS_MAX = 24, AGENT_LOG_MAX = 1 << 20 };

struct agent_process {
    pid_t pid; /* 0 = not running */
    char log_path[PATH_MAX];
};

/* Starts it with --server http://127.0.0.1:PORT, --trainer TRAINER (NULL: without) and the NULL-terminated `arguments`, with FAKE_TRAINER set
 * to `behaviour`. It ends with the test program. */
void agent_process_start(struct agent_process *agent, int port, const char *trainer,
                         const char *behaviour, const char *const *arguments);
/* Sends the signal, waits for the end, and returns the exit status, or minus the signal that ended it. */
int agent_process_end(struct agent_process *agent, int signal_number);
/* Waits for the end: as agent_process_end. */
int agent_process_wait(struct agent_process *agent);
/* Ends it if it runs, removes the log. */
void agent_process_release(struct agent_process *agent);

/* True where the log has the text. */
bool agent_process_logged(const struct agent_process *agent, const char *text);
/* How often it has it. */
int agent_process_log_count(const struct agent_process *agent, const char *text);
/* Waits until the log has the text; fails the test after a minute. */
void agent_process_await_log(const struct agent_process *agent, const char *text);
/* The id of the trainer that the log last said to be ready. */
pid_t agent_process_trainer(const struct agent_process *agent);
/* Waits until the process is gone; fails the test after a minute. */
void await_gone(pid_t pid);

#endif
