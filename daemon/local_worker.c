#include "daemon/local_worker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGUMENTS_MAX = 10,
    DEVICE_SIZE = 64,
    NUMBER_SIZE = 16,
    EXIT_CANNOT_RUN = 127,
    FIRST_INHERITED_FD = 3
};

struct local_worker {
    struct local_worker_options options;
    char program[PATH_MAX];
    char server[128];
    char slots[NUMBER_SIZE]; /* "": the worker's own default */
    char device[DEVICE_SIZE];
    char data[PATH_MAX];
    const char *arguments[ARGUMENTS_MAX];
    pid_t pid; /* 0 = not running */
    uint64_t started_ms, backoff_ms;
    uv_signal_t child;
    uv_timer_t timer; /* next start, or the end of patience while stopping */
    unsigned handles_open;
    bool stopping;
    void (*stopped)(void *context);
    void *stopped_context;
};

/* archscout-worker in the directory of this program. */
static int find_program(char ret_program[PATH_MAX], struct error *error)
{
    static const char name[] = "archscout-worker";
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return error_set(error, -errno, "", "cannot read /proc/self/exe: %s", strerror(errno));
    own[length] = '\0';
    char *slash = strrchr(own, '/');
    if (!slash)
        return error_set(error, -ENOENT, "", "/proc/self/exe names no directory");
    slash[1] = '\0';
    if (snprintf(ret_program, PATH_MAX, "%s%s", own, name) >= PATH_MAX)
        return error_set(error, -ENAMETOOLONG, "", "the path of %s is too long", name);
    if (access(ret_program, X_OK) < 0)
        return error_set(error, -errno, "", "cannot run the local worker %s: %s", ret_program,
                         strerror(errno));
    return 0;
}

static void set_arguments(struct local_worker *worker)
{
    size_t count = 0;
    const char **arguments = worker->arguments;
    arguments[count++] = worker->program;
    arguments[count++] = "--server";
    arguments[count++] = worker->server;
    if (worker->slots[0]) {
        arguments[count++] = "--slots";
        arguments[count++] = worker->slots;
    }
    arguments[count++] = "--device";
    arguments[count++] = worker->device;
    if (worker->data[0]) {
        arguments[count++] = "--data";
        arguments[count++] = worker->data;
    }
    arguments[count] = NULL;
}

/* In the child: what comes after fork must be safe there. */
static void become_worker(struct local_worker *worker, pid_t parent)
{
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_CANNOT_RUN); /* the daemon died before the line above */
    close_range(FIRST_INHERITED_FD, ~0U, 0);
    execv(worker->program, (char *const *)worker->arguments);
    _exit(EXIT_CANNOT_RUN);
}

static void on_timer(uv_timer_t *timer);

static void try_later(struct local_worker *worker)
{
    uv_timer_start(&worker->timer, on_timer, worker->backoff_ms, 0);
    worker->backoff_ms *= 2;
    if (worker->backoff_ms > LOCAL_WORKER_BACKOFF_MS_MAX)
        worker->backoff_ms = LOCAL_WORKER_BACKOFF_MS_MAX;
}

static void start(struct local_worker *worker)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become_worker(worker, parent);
    if (pid < 0) {
        log_line(worker->options.log, LOG_ERROR, "cannot start the local worker: %s",
                 strerror(errno));
        try_later(worker);
        return;
    }
    worker->pid = pid;
    worker->started_ms = uv_now(worker->options.loop);
    log_line(worker->options.log, LOG_INFO, "local worker started: pid %ld, %s%son %s", (long)pid,
             worker->slots, worker->slots[0] ? " slots " : "", worker->device);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct local_worker *worker = handle->data;
    if (--worker->handles_open > 0)
        return;
    void (*stopped)(void *context) = worker->stopped;
    void *context = worker->stopped_context;
    free(worker);
    if (stopped)
        stopped(context);
}

static void close_handles(struct local_worker *worker)
{
    uv_close((uv_handle_t *)&worker->child, on_handle_closed);
    uv_close((uv_handle_t *)&worker->timer, on_handle_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct local_worker *worker = timer->data;
    if (!worker->stopping) {
        start(worker);
        return;
    }
    log_line(worker->options.log, LOG_WARNING, "local worker does not stop: killing it");
    kill(worker->pid, SIGKILL);
}

static void say_end(const struct local_worker *worker, int status)
{
    if (WIFSIGNALED(status))
        log_line(worker->options.log, LOG_WARNING, "local worker was ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        log_line(worker->options.log, LOG_WARNING, "local worker ended with exit status %d",
                 WEXITSTATUS(status));
}

static void on_child(uv_signal_t *handle, int signal_number)
{
    (void)signal_number;
    struct local_worker *worker = handle->data;
    int status = 0;
    if (worker->pid == 0 || waitpid(worker->pid, &status, WNOHANG) != worker->pid)
        return;
    worker->pid = 0;
    if (worker->stopping) {
        close_handles(worker);
        return;
    }
    say_end(worker, status);
    if (uv_now(worker->options.loop) - worker->started_ms >= LOCAL_WORKER_SETTLED_MS)
        worker->backoff_ms = LOCAL_WORKER_BACKOFF_MS_MIN;
    try_later(worker);
}

int local_worker_start(const struct local_worker_options *options, struct local_worker **ret_worker,
                       struct error *error)
{
    struct local_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = find_program(worker->program, error);
    if (r < 0) {
        free(worker);
        return r;
    }
    worker->options = *options;
    worker->backoff_ms = LOCAL_WORKER_BACKOFF_MS_MIN;
    snprintf(worker->server, sizeof worker->server, "%s", options->server);
    const char *device = options->device ? options->device : "cpu";
    const uint32_t cores = strcmp(device, "cpu") == 0 ? uv_available_parallelism() : 0;
    const uint32_t slots = options->slots ? options->slots : cores;
    snprintf(worker->device, sizeof worker->device, "%s", device);
    if (slots > 0)
        snprintf(worker->slots, sizeof worker->slots, "%u", slots);
    snprintf(worker->data, sizeof worker->data, "%s", options->data ? options->data : "");
    set_arguments(worker);
    r = uv_signal_init(options->loop, &worker->child);
    if (r < 0) {
        free(worker);
        return error_set(error, r, "", "cannot watch for the local worker's end: %s",
                         uv_strerror(r));
    }
    uv_timer_init(options->loop, &worker->timer);
    worker->handles_open = 2;
    worker->child.data = worker->timer.data = worker;
    r = uv_signal_start(&worker->child, on_child, SIGCHLD);
    if (r < 0) {
        close_handles(worker);
        return error_set(error, r, "", "cannot watch for the local worker's end: %s",
                         uv_strerror(r));
    }
    start(worker);
    *ret_worker = worker;
    return 0;
}

void local_worker_stop(struct local_worker *worker, void (*stopped)(void *context), void *context)
{
    worker->stopping = true;
    worker->stopped = stopped;
    worker->stopped_context = context;
    uv_timer_stop(&worker->timer);
    if (worker->pid == 0) {
        close_handles(worker);
        return;
    }
    kill(worker->pid, SIGTERM);
    uv_timer_start(&worker->timer, on_timer, LOCAL_WORKER_STOP_MS_MAX, 0);
}
