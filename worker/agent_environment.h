/* The environment of a trainer: the agent's own with some variables set. */
#ifndef WORKER_AGENT_ENVIRONMENT_H
#define WORKER_AGENT_ENVIRONMENT_H

#include <stddef.h>

#include "search/attributes.h"

struct variable {
    const char *name;
    const char *value; /* NULL = not in the environment */
};

/* A NULL-terminated vector like `base`, in which the variables have the given values; freed with environment_free. -ENOMEM. */
int environment_new(char *const *base, const struct variable *variables, size_t count,
                    char ***ret_environment) MUST_USE;
void environment_free(char **environment);

#endif
