/* Commands that another program carries out: `archscout dataset ...` is archscout-dataset, which lies beside this program. The
 * data sets of a machine are the workers' business, of which this program has no part. */
#ifndef CLI_EXTERNAL_H
#define CLI_EXTERNAL_H

#include "cli/command.h"

/* Becomes archscout-NAME with these words; returns only where it cannot. */
enum exit_code external_run(struct cli *cli, const char *name, char *const *words);

#endif
