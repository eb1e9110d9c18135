/* The daemon's command line. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "search/error.h"

struct config {
    char state[PATH_MAX]; /* directory */
    const char *listen;   /* "127.0.0.1:7700" */
    bool local_worker;
    uint32_t slots;              /* of the local worker; 0 = one a core or GPU */
    const char *device;          /* that it trains on, as its --device takes it; NULL = cpu */
    const char *data;            /* directory for the local worker; NULL = its own default */
    uint32_t lease_seconds;      /* 0 = the coordinator's default */
    uint32_t checkpoint_seconds; /* 0 = never */
    uint32_t checkpoint_mib_max, artifacts_mib_max; /* of one file, of all */
    bool help, version;                             /* asked for; the rest is not to be used then */
};

/* The text of --help. */
extern const char config_help[];

/* Reads the command line; texts point into argv. `home` and `state_home` are the values of HOME and XDG_STATE_HOME, NULL
 * where unset. -EINVAL with a message, -ENAMETOOLONG. */
int config_parse(int argc, char *const *argv, const char *home, const char *state_home,
                 struct config *ret_config, struct error *error) MUST_USE;

/* Makes a directory and those above it, readable by its owner alone, where they don't exist yet. Negative errno with a
 * message. */
int config_make_directory(const char *path, struct error *error) MUST_USE;

#endif
