/* The line that `watch` keeps at the foot of a terminal. Pure. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *name; /* of the search */
    const char *state;
    uint64_t budget, finished, running; /* candidates */
    double part_done;                   /* of the running ones, in candidates: 0 .. running */
    double eta_s;                       /* negative = unknown */
    bool best_known;
    uint64_t best; /* candidate */
    double best_accuracy;
};

enum { PROGRESS_SIZE = 512 };

/* One line of at most `width` columns without line end, for example
 * "first-light [======>     ] 12/24, 2 running, 2 min 10 s left, best 86.12 % (#7)". What does not
 * fit is left out, the name first. */
void progress_line(const struct progress *progress, size_t width, char ret_text[PROGRESS_SIZE]);

#endif
