#include "worker/exec_warden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ORDER_TERMINATE = 'T', ORDER_KILL = 'K' };
enum { REAP_PERIOD_MS = 20 };

enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPE_LIFE, PIPE_STATUS, PIPE_COUNT };

static void close_pipes(int pipes[PIPE_COUNT][2])
{
    for (int i = 0; i < PIPE_COUNT; i++)
        for (int end = 0; end < 2; end++)
            if (pipes[i][end] >= 0)
                close(pipes[i][end]);
}

static int open_pipes(int pipes[PIPE_COUNT][2])
{
    memset(pipes, -1, PIPE_COUNT * sizeof pipes[0]);
    for (int i = 0; i < PIPE_COUNT; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0) {
            int code = -errno;
            close_pipes(pipes);
            return code;
        }
    }
    return 0;
}

/* ---- in the warden ---- */

struct keeper {
    pid_t shell;
    int life_fd, status_fd, child_fd; /* child_fd: a signalfd for SIGCHLD */
    bool shell_ended;
};

/* Between fork and exec. Does not return. */
static void become_command(const char *command, int pipes[PIPE_COUNT][2], pid_t warden)
{
    sigset_t empty;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != warden)
        _exit(127);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    if (dup2(pipes[PIPE_IN][0], 0) >= 0 && dup2(pipes[PIPE_OUT][1], 1) >= 0 &&
        dup2(pipes[PIPE_ERR][1], 2) >= 0) {
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

static void tell_status(struct keeper *keeper, int status)
{
    const int32_t word = status;
    keeper->shell_ended = true;
    ssize_t written = write(keeper->status_fd, &word, sizeof word);
    (void)written; /* nobody reads it where the other process is gone */
}

/* True while there are children. */
static bool reap(struct keeper *keeper)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == keeper->shell)
            tell_status(keeper, status);
    return pid == 0;
}

/* Orphans of the command are this process's children: it is their subreaper. */
static void kill_children(void)
{
    char path[64], word[32];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%31s", word) == 1) {
        const long pid = strtol(word, NULL, 10);
        if (pid > 0)
            kill((pid_t)pid, SIGKILL);
    }
    if (file)
        fclose(file);
}

/* Until nothing is left: what a killed process had started comes here as an orphan. The shell's group is killed as long as its
 * number cannot belong to others: until the shell is reaped, and before that once more. */
static void kill_all(struct keeper *keeper)
{
    if (!keeper->shell_ended)
        kill(-keeper->shell, SIGKILL);
    do {
        struct pollfd child = {.fd = keeper->child_fd, .events = POLLIN};
        struct signalfd_siginfo info;
        kill_children();
        poll(&child, 1, REAP_PERIOD_MS);
        while (read(keeper->child_fd, &info, sizeof info) == (ssize_t)sizeof info)
            ;
    } while (reap(keeper));
}

/* True where the shell has ended; it is not reaped, so that its group's number stays its own. */
static bool shell_has_ended(const struct keeper *keeper)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)keeper->shell, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == keeper->shell;
}

/* Orphans that end meanwhile stay as they are until the shell ends: zombies, which keep nothing. False at the end of the pipe,
 * and where everything is to be killed. */
static bool take_order(const struct keeper *keeper)
{
    char order;
    ssize_t count = read(keeper->life_fd, &order, 1);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN;
    if (count == 0 || order == ORDER_KILL)
        return false;
    kill(-keeper->shell, SIGTERM);
    return true;
}

static void keep(struct keeper *keeper)
{
    bool go_on = true;
    while (go_on && !shell_has_ended(keeper)) {
        struct pollfd both[] = {{.fd = keeper->life_fd, .events = POLLIN},
                                {.fd = keeper->child_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        if (poll(both, ARRAY_LENGTH(both), -1) < 0)
            continue;
        if (both[1].revents)
            while (read(keeper->child_fd, &info, sizeof info) == (ssize_t)sizeof info)
                ;
        if (both[0].revents)
            go_on = take_order(keeper);
    }
    kill_all(keeper);
}

static int compare(const void *a, const void *b)
{
    const int first = *(const int *)a, second = *(const int *)b;
    return first < second ? -1 : first > second;
}

/* All other descriptors are closed: others wait for the end of what they lead to. */
static void keep_only(int *fds, size_t count)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    unsigned first = 3;
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    qsort(fds, count, sizeof fds[0], compare);
    for (size_t i = 0; i < count; i++) {
        if (fds[i] < (int)first)
            continue;
        if ((unsigned)fds[i] > first)
            close_range(first, (unsigned)fds[i] - 1, 0);
        first = (unsigned)fds[i] + 1;
    }
    close_range(first, ~0U, 0);
}

static int open_child_fd(void)
{
    sigset_t all, child;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Does not return. */
static void become_warden(const char *command, int pipes[PIPE_COUNT][2], int kept_fd)
{
    struct keeper keeper = {.life_fd = pipes[PIPE_LIFE][0], .status_fd = pipes[PIPE_STATUS][1]};
    const pid_t self = getpid();
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    keeper.child_fd = open_child_fd();
    keeper.shell = keeper.child_fd < 0 ? -1 : fork();
    if (keeper.shell == 0)
        become_command(command, pipes, self);
    if (keeper.shell < 0)
        _exit(127);
    setpgid(keeper.shell, keeper.shell);
    int kept[] = {keeper.life_fd, keeper.status_fd, keeper.child_fd, kept_fd};
    keep_only(kept, ARRAY_LENGTH(kept));
    keep(&keeper);
    _exit(0);
}

/* ---- in the process that wants the command run ---- */

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int warden_start(const char *command, int kept_fd, struct warden *ret_warden, struct error *error)
{
    int pipes[PIPE_COUNT][2];
    int code = open_pipes(pipes);
    for (int i = PIPE_IN; i <= PIPE_ERR && code == 0; i++)
        code = set_nonblocking(pipes[i][i == PIPE_IN ? 1 : 0]);
    pid_t pid = code == 0 ? fork() : -1;
    if (pid == 0)
        become_warden(command, pipes, kept_fd);
    if (code == 0 && pid < 0)
        code = -errno;
    if (code < 0) {
        close_pipes(pipes);
        return error_set(error, code, "", "cannot start the command: %s", strerror(-code));
    }
    *ret_warden = (struct warden){.pid = pid,
                                  .life_fd = pipes[PIPE_LIFE][1],
                                  .status_fd = pipes[PIPE_STATUS][0],
                                  .in_fd = pipes[PIPE_IN][1],
                                  .out_fd = pipes[PIPE_OUT][0],
                                  .err_fd = pipes[PIPE_ERR][0]};
    pipes[PIPE_LIFE][1] = pipes[PIPE_STATUS][0] = pipes[PIPE_IN][1] = -1;
    pipes[PIPE_OUT][0] = pipes[PIPE_ERR][0] = -1;
    close_pipes(pipes);
    return 0;
}

static void give_order(const struct warden *warden, char order)
{
    ssize_t written = write(warden->life_fd, &order, 1);
    (void)written; /* a warden that is gone has left nothing */
}

void warden_terminate(struct warden *warden)
{
    give_order(warden, ORDER_TERMINATE);
}

void warden_kill(struct warden *warden)
{
    give_order(warden, ORDER_KILL);
}

int warden_status(struct warden *warden, int *ret_status)
{
    int32_t word;
    ssize_t count;
    do {
        count = read(warden->status_fd, &word, sizeof word);
    } while (count < 0 && errno == EINTR);
    if (count != (ssize_t)sizeof word)
        return 0;
    *ret_status = word;
    return 1;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool warden_release(struct warden *warden)
{
    struct pollfd status = {.fd = warden->status_fd, .events = POLLIN};
    int32_t word;
    close_fd(&warden->life_fd);
    close_fd(&warden->in_fd);
    close_fd(&warden->out_fd);
    close_fd(&warden->err_fd);
    bool gone = false;
    while (!gone && poll(&status, 1, WARDEN_WAIT_MS) > 0)
        gone = read(warden->status_fd, &word, sizeof word) <= 0;
    close_fd(&warden->status_fd);
    while (gone && waitpid(warden->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return gone;
}
