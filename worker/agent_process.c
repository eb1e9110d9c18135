#include "worker/agent_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0, -ENOENT, -EACCES */
static int check_program(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return errno == EACCES ? -EACCES : -ENOENT;
    return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

static int find_in_path(const char *program, char ret_path[PATH_MAX])
{
    const char *directories = getenv("PATH");
    const char *start = directories ? directories : "/usr/local/bin:/usr/bin:/bin";
    int worst = -ENOENT;
    while (true) {
        size_t length = strcspn(start, ":");
        char path[PATH_MAX];
        int wanted = snprintf(path, sizeof path, "%.*s/%s", length ? (int)length : 1,
                              length ? start : ".", program);
        int code = wanted > 0 && wanted < PATH_MAX ? check_program(path) : -ENOENT;
        if (code == 0) {
            memcpy(ret_path, path, sizeof path);
            return 0;
        }
        if (code == -EACCES)
            worst = -EACCES;
        if (start[length] == '\0')
            return worst;
        start += length + 1;
    }
}

int process_find(const char *program, char ret_path[PATH_MAX], struct error *error)
{
    int code = -ENOENT;
    if (!strchr(program, '/')) {
        code = program[0] ? find_in_path(program, ret_path) : -ENOENT;
    } else if (strlen(program) < PATH_MAX) {
        code = check_program(program);
        if (code == 0)
            snprintf(ret_path, PATH_MAX, "%s", program);
    }
    if (code < 0)
        return error_set(error, code, "", "cannot run trainer \"%.300s\": %s", program,
                         code == -EACCES ? "not an executable file" : "no such program");
    return 0;
}

/* Both ends of the four pipes of a start; -1 = closed. */
struct start_pipes {
    int in[2], out[2], err[2];
    int failure[2]; /* the child writes errno here when exec fails; exec closes it */
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

static void close_pipes(struct start_pipes *pipes)
{
    close_pair(pipes->in);
    close_pair(pipes->out);
    close_pair(pipes->err);
    close_pair(pipes->failure);
}

static int open_pipes(struct start_pipes *pipes)
{
    *pipes = (struct start_pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(pipes->in, O_CLOEXEC) < 0 || pipe2(pipes->out, O_CLOEXEC) < 0 ||
        pipe2(pipes->err, O_CLOEXEC) < 0 || pipe2(pipes->failure, O_CLOEXEC) < 0) {
        int code = -errno;
        close_pipes(pipes);
        return code;
    }
    return 0;
}

/* In the child, between fork and exec: only calls that are safe there. Does not return. */
static void become(const char *path, char *const *arguments, char *const *environment,
                   const struct start_pipes *pipes, pid_t parent)
{
    char *const alone[] = {(char *)path, NULL};
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(pipes->in[0], 0) >= 0 && dup2(pipes->out[1], 1) >= 0 && dup2(pipes->err[1], 2) >= 0) {
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        execve(path, arguments ? arguments : alone, environment);
    }
    int32_t failure = errno;
    ssize_t written = write(pipes->failure[1], &failure, sizeof failure);
    (void)written; /* without it the agent sees status 127 */
    _exit(127);
}

/* 0 once the child has become the program, else its negative errno; the child is reaped then. */
static int await_exec(pid_t pid, int failure_fd)
{
    int32_t failure = 0;
    ssize_t count;
    do {
        count = read(failure_fd, &failure, sizeof failure);
    } while (count < 0 && errno == EINTR);
    if (count != (ssize_t)sizeof failure)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return -failure;
}

int process_spawn(const char *path, char *const *arguments, char *const *environment,
                  struct process *ret_process, struct error *error)
{
    struct start_pipes pipes;
    pid_t parent = getpid();
    int code = open_pipes(&pipes);
    pid_t pid = code == 0 ? fork() : -1;
    if (pid == 0)
        become(path, arguments, environment, &pipes, parent);
    if (code == 0 && pid < 0)
        code = -errno;
    if (code == 0) {
        setpgid(pid, pid); /* here too: whoever comes first */
        close(pipes.failure[1]);
        pipes.failure[1] = -1;
        code = await_exec(pid, pipes.failure[0]);
    }
    if (code < 0) {
        close_pipes(&pipes);
        return error_set(error, code, "", "cannot run trainer \"%.300s\": %s", path,
                         strerror(-code));
    }
    *ret_process = (struct process){pid, pipes.in[1], pipes.out[0], pipes.err[0]};
    pipes.in[1] = pipes.out[0] = pipes.err[0] = -1;
    close_pipes(&pipes);
    return 0;
}

void process_terminate(pid_t pid)
{
    kill(pid, SIGTERM);
}

void process_kill(pid_t pid)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
}

int process_reap(pid_t pid, int *ret_status)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != pid)
        return 0;
    process_kill(pid); /* before it is reaped: until then nobody else can get its number */
    return waitpid(pid, ret_status, 0) == pid ? 1 : 0;
}

void process_describe(int status, char *ret_text, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(ret_text, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(ret_text, size, "exited with status %d", WEXITSTATUS(status));
}
