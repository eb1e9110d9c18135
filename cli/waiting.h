/* Why nothing of a search runs, where a person has to do something about it. */
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

#include "cli/command.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { WAITING_SIZE = 320 };

/* True where the search (as the API describes it) has work to give out and no connected worker could take it: none is
 * there, or none has its data set. One sentence for a person then. False also where the daemon does not answer. */
bool waiting_reason(struct cli *cli, const json_t *search, char ret_reason[WAITING_SIZE]) MUST_USE;

#endif
