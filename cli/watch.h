/* Follows a search until it has ended. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli/command.h"

/* Prints a line for each candidate that finishes (with --json each event as the daemon sends it,
 * one a line), and keeps a progress line at the foot of a terminal. Survives a daemon that is
 * restarted meanwhile. Ends with EXIT_CODE_OK for a search that is done, EXIT_CODE_SEARCH_LOST for
 * one that was cancelled or failed, EXIT_CODE_UNREACHABLE where the daemon stays away. */
enum exit_code watch_search(struct cli *cli, const char *id) MUST_USE;

#endif
