#include "worker/agent_environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_set_here(const char *entry, const struct variable *variables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(variables[i].name);
        if (strncmp(entry, variables[i].name, length) == 0 && entry[length] == '=')
            return true;
    }
    return false;
}

static char *assignment(const struct variable *variable)
{
    size_t size = strlen(variable->name) + strlen(variable->value) + 2;
    char *entry = malloc(size);
    if (entry)
        snprintf(entry, size, "%s=%s", variable->name, variable->value);
    return entry;
}

static int fill(char **environment, char *const *base, const struct variable *variables,
                size_t count)
{
    size_t used = 0;
    for (size_t i = 0; base[i]; i++) {
        if (is_set_here(base[i], variables, count))
            continue;
        environment[used] = strdup(base[i]);
        if (!environment[used++])
            return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (!variables[i].value)
            continue;
        environment[used] = assignment(&variables[i]);
        if (!environment[used++])
            return -ENOMEM;
    }
    return 0;
}

int environment_new(char *const *base, const struct variable *variables, size_t count,
                    char ***ret_environment)
{
    size_t base_count = 0;
    while (base[base_count])
        base_count++;
    char **environment = calloc(base_count + count + 1, sizeof *environment);
    if (!environment)
        return -ENOMEM;
    int code = fill(environment, base, variables, count);
    if (code < 0) {
        environment_free(environment);
        return code;
    }
    *ret_environment = environment;
    return 0;
}

void environment_free(char **environment)
{
    if (!environment)
        return;
    for (size_t i = 0; environment[i]; i++)
        free(environment[i]);
    free(environment);
}
