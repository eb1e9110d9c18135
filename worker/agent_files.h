/* The agent's own directory, with one for each slot, in which checkpoints lie while a task runs.
 *
 * It is ROOT/agent-NAME and locked as long as the agent lives, so that the next agent can tell what a killed one has left
 * behind and remove it. Nothing here is of use after the agent's end. */
#ifndef WORKER_AGENT_FILES_H
#define WORKER_AGENT_FILES_H

#include <limits.h>
#include <stdint.h>

#include "search/error.h"

struct agent_files {
    int lock_fd; /* -1 = there is no directory */
    char directory[PATH_MAX];
};

/* $XDG_CACHE_HOME/archscout/work, else $HOME/.cache/archscout/work. -ENOENT where neither is set. */
int agent_files_root(char ret_root[PATH_MAX]) MUST_USE;

/* Removes what ended agents have left in `root`, and makes the directory for the agent `name`. Negative errno with a message;
 * *ret_files has no directory then. */
int agent_files_open(const char *root, const char *name, struct agent_files *ret_files,
                     struct error *error) MUST_USE;
/* Removes it with all that is in it. */
void agent_files_close(struct agent_files *files);

/* Makes a slot's directory. */
int agent_files_slot(const struct agent_files *files, uint32_t slot,
                     char ret_directory[PATH_MAX]) MUST_USE;
/* Removes the files in a slot's directory. */
void agent_files_clear(const char *directory);

#endif
