#include "daemon/attempt.h"

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = {
        [OUTCOME_NONE] = "running",      [OUTCOME_DONE] = "done",
        [OUTCOME_DIVERGED] = "diverged", [OUTCOME_OUT_OF_MEMORY] = "out_of_memory",
        [OUTCOME_LOST] = "lost",         [OUTCOME_FAILED] = "failed",
        [OUTCOME_RETURNED] = "returned", [OUTCOME_CANCELLED] = "cancelled",
    };
    return (size_t)outcome < ARRAY_LENGTH(names) ? names[outcome] : "unknown";
}
