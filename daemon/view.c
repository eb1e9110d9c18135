#include "daemon/view.h"

#include <errno.h>

static const char *const search_states[] = {
    [SEARCH_RUNNING] = "running", [SEARCH_PAUSED] = "paused", [SEARCH_CANCELLED] = "cancelled",
    [SEARCH_DONE] = "done",       [SEARCH_FAILED] = "failed",
};

static const char *const candidate_states[] = {
    [CANDIDATE_QUEUED] = "queued", [CANDIDATE_LEASED] = "leased",       [CANDIDATE_DONE] = "done",
    [CANDIDATE_FAILED] = "failed", [CANDIDATE_CANCELLED] = "cancelled",
};

static const char *const event_kinds[] = {
    [EVENT_SEARCH_CREATED] = "search.created",
    [EVENT_SEARCH_PAUSED] = "search.paused",
    [EVENT_SEARCH_RESUMED] = "search.resumed",
    [EVENT_SEARCH_CANCELLED] = "search.cancelled",
    [EVENT_SEARCH_DONE] = "search.done",
    [EVENT_CANDIDATE_LEASED] = "candidate.leased",
    [EVENT_CANDIDATE_EPOCH] = "candidate.epoch",
    [EVENT_CANDIDATE_RETRIED] = "candidate.retried",
    [EVENT_CANDIDATE_FINISHED] = "candidate.finished",
};

static const char *name_at(const char *const *names, size_t count, size_t index)
{
    return index < count && names[index] ? names[index] : "unknown";
}

static int index_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcmp(names[i], name) == 0)
            return (int)i;
    return -EINVAL;
}

const char *search_state_name(enum search_state state)
{
    return name_at(search_states, ARRAY_LENGTH(search_states), state);
}

int search_state_from_name(const char *name, enum search_state *ret_state)
{
    int index = index_of(search_states, ARRAY_LENGTH(search_states), name);
    if (index < 0)
        return index;
    *ret_state = (enum search_state)index;
    return 0;
}

const char *candidate_state_name(enum candidate_state state)
{
    return name_at(candidate_states, ARRAY_LENGTH(candidate_states), state);
}

int candidate_state_from_name(const char *name, enum candidate_state *ret_state)
{
    int index = index_of(candidate_states, ARRAY_LENGTH(candidate_states), name);
    if (index < 0)
        return index;
    *ret_state = (enum candidate_state)index;
    return 0;
}

const char *event_kind_name(enum event_kind kind)
{
    return name_at(event_kinds, ARRAY_LENGTH(event_kinds), kind);
}
