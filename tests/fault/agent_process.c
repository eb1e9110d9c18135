#include "tests/fault/agent_process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { POLL_MS = 10, POLLS_MAX = 6000 };

static void pause_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void become_agent(const struct agent_process *agent, char *const *arguments,
                         const char *behaviour)
{
    int fd = open(agent->log_path, O_WRONLY | O_APPEND);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("FAKE_TRAINER", behaviour, 1);
    setenv("FAKE_TRAINER_CHATTY", "1", 1);
    if (fd >= 0 && dup2(fd, 2) >= 0)
        execv(AGENT_PROGRAM, arguments);
    _exit(126);
}

void agent_process_start(struct agent_process *agent, int port, const char *trainer,
                         const char *behaviour, const char *const *arguments)
{
    char server[64];
    snprintf(server, sizeof server, "http://127.0.0.1:%d", port);
    const char *all[AGENT_ARGUMENTS_MAX] = {AGENT_PROGRAM, "--server", server};
    size_t count = 3;
    if (trainer) {
        all[count++] = "--trainer";
        all[count++] = trainer;
    }
    for (size_t i = 0; arguments && arguments[i]; i++) {
        assert_true(count < AGENT_ARGUMENTS_MAX - 1);
        all[count++] = arguments[i];
    }
    snprintf(agent->log_path, sizeof agent->log_path, "/tmp/archscout-agent-XXXXXX");
    int fd = mkostemp(agent->log_path, O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    agent->pid = fork();
    assert_true(agent->pid >= 0);
    if (agent->pid == 0)
        become_agent(agent, (char *const *)all, behaviour);
}

int agent_process_wait(struct agent_process *agent)
{
    int status = 0;
    assert_true(agent->pid > 0);
    for (int i = 0; i < POLLS_MAX; i++) {
        pid_t pid = waitpid(agent->pid, &status, WNOHANG);
        if (pid == agent->pid) {
            agent->pid = 0;
            return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        }
        pause_ms(POLL_MS);
    }
    fail_msg("%s", "the agent does not end");
    return -1;
}

int agent_process_end(struct agent_process *agent, int signal_number)
{
    assert_int_equal(kill(agent->pid, signal_number), 0);
    return agent_process_wait(agent);
}

void agent_process_release(struct agent_process *agent)
{
    if (agent->pid > 0) {
        kill(agent->pid, SIGKILL);
        waitpid(agent->pid, NULL, 0);
        agent->pid = 0;
    }
    if (agent->log_path[0])
        unlink(agent->log_path);
    agent->log_path[0] = '\0';
}

static char *read_log(const struct agent_process *agent)
{
    char *text = calloc(1, AGENT_LOG_MAX);
    assert_non_null(text);
    FILE *file = fopen(agent->log_path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, AGENT_LOG_MAX - 1, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

bool agent_process_logged(const struct agent_process *agent, const char *text)
{
    char *log = read_log(agent);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

int agent_process_log_count(const struct agent_process *agent, const char *text)
{
    char *log = read_log(agent);
    int count = 0;
    for (const char *at = strstr(log, text); at; at = strstr(at + 1, text))
        count++;
    free(log);
    return count;
}

void agent_process_await_log(const struct agent_process *agent, const char *text)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if (agent_process_logged(agent, text))
            return;
        pause_ms(POLL_MS);
    }
    char *log = read_log(agent);
    print_message("%s", log);
    free(log);
    fail_msg("the log does not have \"%s\"", text);
}

pid_t agent_process_trainer(const struct agent_process *agent)
{
    static const char mark[] = ": trainer ";
    agent_process_await_log(agent, " is ready on ");
    char *log = read_log(agent);
    pid_t pid = 0;
    for (const char *at = strstr(log, mark); at; at = strstr(at + 1, mark))
        pid = (pid_t)strtol(at + sizeof mark - 1, NULL, 10);
    free(log);
    assert_true(pid > 1);
    return pid;
}

void await_gone(pid_t pid)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return;
        pause_ms(POLL_MS);
    }
    fail_msg("process %d does not end", (int)pid);
}
