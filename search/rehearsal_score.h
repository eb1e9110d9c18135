/* How good a rehearsal was, after 25, 50, 100, ... results, against the best that the table has. Whatever the strategy was
 * told, it is scored by the table's true values. Pure. */
#ifndef SEARCH_REHEARSAL_SCORE_H
#define SEARCH_REHEARSAL_SCORE_H

#include "search/rehearsal.h"

enum { REHEARSAL_MARKS_MAX = 24 };

/* 25, 50, 100, ... below the budget, and the budget itself. Returns how many. */
size_t rehearsal_marks(uint32_t budget, uint32_t ret_marks[REHEARSAL_MARKS_MAX]);

/* The table's architectures that meet the limits, at their best. */
struct rehearsal_truth {
    const struct result_entry *best; /* by reward */
    double reward;                   /* of it */
    size_t front_count;              /* on the Pareto front over the spec's objectives */
    double hypervolume;              /* of that front against spec_reference */
};

/* The spec must pass rehearsal_check. -ENOMEM. */
int rehearsal_truth_of(const struct spec *spec, const struct result_table *table,
                       struct rehearsal_truth *ret_truth) MUST_USE;

/* After `mark` results, or at the end of a rehearsal that had fewer. NaN where no result was usable. */
struct rehearsal_standing {
    double accuracy,
        reward; /* true ones of the candidate with the best observed reward, the first of equals */
    double regret;      /* the truth's reward - reward */
    double hypervolume; /* share of the truth's; NaN where that is 0 */
    double clock;
};

struct rehearsal_score {
    struct rehearsal_standing standings[REHEARSAL_MARKS_MAX];
    uint64_t
        reached; /* results until one's true reward was within `within` of the truth's; 0 = never */
};

/* -ENOMEM. */
int rehearsal_score_of(const struct spec *spec, const struct rehearsal *rehearsal,
                       const struct rehearsal_truth *truth, double within,
                       struct rehearsal_score *ret_score) MUST_USE;

/* A mean over seeds with its 95 % confidence interval (Student's t): mean +- half_width, NaN from a single value. Values
 * that are NaN do not count; of none the mean is NaN. */
struct rehearsal_mean {
    double mean, half_width;
    size_t count;
};
struct rehearsal_mean rehearsal_mean_of(const double *values, size_t count);

#endif
