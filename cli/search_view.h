/* A search as the API describes it, read once: what list, show and watch share. */
#ifndef CLI_SEARCH_VIEW_H
#define CLI_SEARCH_VIEW_H

#include "cli/command.h"

#include <jansson.h>
#include <stdint.h>

struct search_view {
    uint64_t id;
    const char *name, *state;
    bool is_final;         /* done, cancelled or failed: nothing will change any more */
    uint64_t budget;       /* candidates asked for */
    uint64_t finished;     /* done, failed or cancelled */
    uint64_t done, failed; /* candidates */
    uint64_t running;
    double eta_s;       /* negative = unknown */
    const json_t *best; /* a candidate; NULL before the first result */
};

/* Points into `search`. */
struct search_view search_view_of(const json_t *search);

/* A page for a person. `waiting`: why nothing runs, or "". */
void search_view_print(const struct cli *cli, const json_t *search, const char *waiting);

#endif
