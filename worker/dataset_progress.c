#include "worker/dataset_progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_PERIOD_MS = 100, PROGRESS_BAR_WIDTH = 30 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void dataset_progress_init(struct dataset_progress *progress)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *progress =
        (struct dataset_progress){.terminal = isatty(STDERR_FILENO) == 1,
                                  .signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
}

void dataset_progress_release(struct dataset_progress *progress)
{
    if (progress->signals >= 0)
        close(progress->signals);
    progress->signals = -1;
}

static void draw(const char *what, const char *unit, uint64_t done, uint64_t total)
{
    char bar[PROGRESS_BAR_WIDTH + 1];
    uint64_t filled = total ? done * PROGRESS_BAR_WIDTH / total : 0;
    for (uint64_t i = 0; i < PROGRESS_BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[PROGRESS_BAR_WIDTH] = '\0';
    if (total)
        fprintf(stderr, "\r\033[K%s [%s] %" PRIu64 " of %" PRIu64 " %s", what, bar, done, total,
                unit);
    else
        fprintf(stderr, "\r\033[K%s %" PRIu64 " %s", what, done, unit);
    fflush(stderr);
}

int dataset_progress_show(struct dataset_progress *progress, const char *what, const char *unit,
                          uint64_t done, uint64_t total)
{
    int64_t now = now_ms();
    if (progress->shown_ms && now - progress->shown_ms < PROGRESS_PERIOD_MS)
        return 0;
    progress->shown_ms = now;
    if (progress->terminal)
        draw(what, unit, done < total || !total ? done : total, total);
    progress->drawn = progress->terminal;
    struct signalfd_siginfo signal;
    return progress->signals >= 0 &&
           read(progress->signals, &signal, sizeof signal) == (ssize_t)sizeof signal;
}

void dataset_progress_clear(struct dataset_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
