/* What archscout-dataset shows while it works: a bar on a terminal, nothing elsewhere; and whether a signal asks it to stop.
 *
 * dataset_progress_init blocks SIGINT, SIGTERM and SIGHUP, before any thread is started: from then on they are only
 * noticed by dataset_progress_show. */
#ifndef WORKER_DATASET_PROGRESS_H
#define WORKER_DATASET_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct dataset_progress {
    bool terminal;
    bool drawn;
    int signals; /* a signalfd, -1 where there is none */
    int64_t shown_ms;
};

void dataset_progress_init(struct dataset_progress *progress);
void dataset_progress_release(struct dataset_progress *progress);

/* `unit` is "images" or "MB"; amounts are of it; a total of 0 is not known. Not 0 where a signal has come. */
int dataset_progress_show(struct dataset_progress *progress, const char *what, const char *unit,
                          uint64_t done, uint64_t total);

/* Takes the bar away. */
void dataset_progress_clear(struct dataset_progress *progress);

#endif
