/* What `archscout rehearse` prints: a table for people, or JSON. */
#ifndef CLI_REHEARSAL_REPORT_H
#define CLI_REHEARSAL_REPORT_H

#include "cli/terminal.h"
#include "search/rehearsal_score.h"

#include <stdio.h>

/* The reward, and so regret and `within`, as it is said: in hundredths. */
#define REHEARSAL_POINTS 100.0

struct rehearsed_strategy {
    const char *name;
    struct rehearsal_score *scores; /* one a seed */
};

struct rehearsal_report {
    const char *table_name;
    const struct spec *spec; /* its strategy is not looked at */
    const struct rehearsal_options *options;
    struct rehearsal_truth truth;
    double within; /* of the best reward */
    size_t seed_count;
    const struct rehearsed_strategy *strategies;
    size_t strategy_count;
};

/* -ENOMEM. */
int rehearsal_report_print(const struct rehearsal_report *report, const struct terminal *terminal,
                           FILE *file) MUST_USE;
int rehearsal_report_json(const struct rehearsal_report *report, FILE *file) MUST_USE;

#endif
