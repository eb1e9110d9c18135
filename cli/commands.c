#include "cli/commands.h"

const struct command *const commands[] = {
    &command_submit,  &command_list,    &command_show,       &command_watch,     &command_pause,
    &command_resume,  &command_cancel,  &command_candidates, &command_candidate, &command_frontier,
    &command_ranking, &command_export,  &command_verify,     &command_workers,   &command_datasets,
    &command_dataset, &command_presets, &command_model,      &command_rehearse,  &command_version,
};

size_t command_count(void)
{
    return ARRAY_LENGTH(commands);
}
