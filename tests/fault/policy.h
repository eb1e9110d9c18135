/* The failure policy (DESIGN, section 5), as a reader of the API sees it kept. */
#ifndef TESTS_FAULT_POLICY_H
#define TESTS_FAULT_POLICY_H

#include "tests/e2e/daemon_process.h"

struct policy_tally {
    int candidates, attempts;
    int done, diverged, out_of_memory, lost, failed; /* candidates, by how they ended */
    int halved; /* done in two parts after running out of memory */
    int losses; /* attempts */
    int stayed; /* attempts on the worker that had lost or refused the one before */
};
/* Goes through all attempts of a search that is done. Not a number ends a candidate at once; running out of memory earns
 * one attempt with the batch in two parts; the third loss and the second refusal end it; nothing follows an end; and only
 * the last attempt counts. */
struct policy_tally policy_check(const struct daemon_process *process, int64_t search);

/* Fails the test unless attempt `index` of the candidate ended so ("lost") ... */
void policy_outcome_is(const struct daemon_process *process, int64_t search, int candidate,
                       int index, const char *outcome);

#endif
