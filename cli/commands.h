/* The commands, each in the file named after it or after its family. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command command_submit;
extern const struct command command_list, command_show;
extern const struct command command_watch;
extern const struct command command_candidates, command_candidate;
extern const struct command command_frontier, command_ranking;
extern const struct command command_export;
extern const struct command command_verify;
extern const struct command command_pause, command_resume, command_cancel;
extern const struct command command_workers, command_datasets;
extern const struct command command_dataset;
extern const struct command command_rehearse;
extern const struct command command_presets, command_model, command_version;

#endif
