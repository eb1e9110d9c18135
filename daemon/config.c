#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/coordinator.h"

enum {
    DIRECTORY_MODE = 0700,
    DIGITS_MAX = 9,
    CHECKPOINT_SECONDS_DEFAULT = 60,
    CHECKPOINT_SECONDS_MAX = 86400,
    CHECKPOINT_MIB_DEFAULT = 1024,
    ARTIFACTS_MIB_DEFAULT = 16384,
    MIB_MAX = 1 << 20,
};

const char config_help[] =
    "Usage: archscoutd [OPTION]...\n"
    "Runs neural architecture searches: keeps the queue, gives work to archscout-worker, answers\n"
    "the archscout command and anything else that speaks HTTP and JSON.\n"
    "\n"
    "  --state DIR            where everything is kept (default: $XDG_STATE_HOME/archscout,\n"
    "                         else ~/.local/state/archscout); made if missing\n"
    "  --listen ADDRESS:PORT  loopback address to listen on (default: 127.0.0.1:7700);\n"
    "                         [::1]:7700 works too, port 0 takes a free one\n"
    "  --local-worker         start an archscout-worker on this machine, too\n"
    "  --device DEVICE        what it trains on: cpu (default), cuda for all GPUs, cuda:N or\n"
    "                         cuda:GPU-UUID for one\n"
    "  --slots N              candidates that it trains at a time (default: one a core or GPU)\n"
    "  --data DIR             directory with its data sets\n"
    "  --lease-seconds N      a worker that is silent for so long loses its work (default: 30)\n"
    "  --checkpoint-seconds N how often trainers write checkpoints (default: 60; 0: never)\n"
    "  --checkpoint-mib N     largest checkpoint that is kept, in MiB (default: 1024)\n"
    "  --checkpoints-mib N    room for all of them (default: 16384)\n"
    "  --version              print the version and exit\n"
    "  --help                 print this and exit\n"
    "\n"
    "Exit status: 0 after SIGTERM or SIGINT, 1 when it can't start or go on, 2 for a wrong\n"
    "command line.\n";

static int parse_number(const char *name, const char *text, const uint32_t range[2],
                        uint32_t *ret_number, struct error *error)
{
    size_t length = strlen(text);
    unsigned long number = 0;
    const bool good = length > 0 && length <= DIGITS_MAX && strspn(text, "0123456789") == length;
    if (good)
        number = strtoul(text, NULL, 10);
    if (!good || number < range[0] || number > range[1])
        return error_set(error, -EINVAL, "",
                         "--%s must be a whole number from %u to %u, not '%.40s'", name, range[0],
                         range[1], text);
    *ret_number = (uint32_t)number;
    return 0;
}

static int set_state(const char *given, const char *home, const char *state_home,
                     struct config *config, struct error *error)
{
    int length = 0;
    if (given)
        length = snprintf(config->state, sizeof config->state, "%s", given);
    else if (state_home && *state_home == '/')
        length = snprintf(config->state, sizeof config->state, "%s/archscout", state_home);
    else if (home && *home)
        length = snprintf(config->state, sizeof config->state, "%s/.local/state/archscout", home);
    if (length == 0)
        return error_set(error, -EINVAL, "",
                         "no place to keep state: give --state DIR, or set XDG_STATE_HOME or HOME");
    if ((size_t)length >= sizeof config->state)
        return error_set(error, -ENAMETOOLONG, "", "the state directory's name is too long");
    return 0;
}

enum option_code {
    OPTION_STATE = 1,
    OPTION_LISTEN,
    OPTION_WORKER,
    OPTION_DEVICE,
    OPTION_SLOTS,
    OPTION_DATA,
    OPTION_LEASE,
    OPTION_CHECKPOINT_SECONDS,
    OPTION_CHECKPOINT_MIB,
    OPTION_CHECKPOINTS_MIB,
    OPTION_VERSION,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"state", required_argument, NULL, OPTION_STATE},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"local-worker", no_argument, NULL, OPTION_WORKER},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"slots", required_argument, NULL, OPTION_SLOTS},
    {"data", required_argument, NULL, OPTION_DATA},
    {"lease-seconds", required_argument, NULL, OPTION_LEASE},
    {"checkpoint-seconds", required_argument, NULL, OPTION_CHECKPOINT_SECONDS},
    {"checkpoint-mib", required_argument, NULL, OPTION_CHECKPOINT_MIB},
    {"checkpoints-mib", required_argument, NULL, OPTION_CHECKPOINTS_MIB},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static int set_number(int option, const char *value, struct config *config, struct error *error)
{
    static const uint32_t slots[] = {1, WORKER_SLOTS_MAX}, lease[] = {1, LEASE_SECONDS_MAX};
    static const uint32_t seconds[] = {0, CHECKPOINT_SECONDS_MAX}, mib[] = {1, MIB_MAX};
    switch (option) {
    case OPTION_SLOTS:
        return parse_number("slots", value, slots, &config->slots, error);
    case OPTION_LEASE:
        return parse_number("lease-seconds", value, lease, &config->lease_seconds, error);
    case OPTION_CHECKPOINT_SECONDS:
        return parse_number("checkpoint-seconds", value, seconds, &config->checkpoint_seconds,
                            error);
    case OPTION_CHECKPOINT_MIB:
        return parse_number("checkpoint-mib", value, mib, &config->checkpoint_mib_max, error);
    case OPTION_CHECKPOINTS_MIB:
        return parse_number("checkpoints-mib", value, mib, &config->artifacts_mib_max, error);
    default:
        return error_set(error, -EINVAL, "", "unknown option");
    }
}

/* 0, or -EINVAL. */
static int set_option(int option, const char *value, struct config *config, const char **state,
                      struct error *error)
{
    switch (option) {
    case OPTION_STATE:
        *state = value;
        return 0;
    case OPTION_LISTEN:
        config->listen = value;
        return 0;
    case OPTION_WORKER:
        config->local_worker = true;
        return 0;
    case OPTION_DEVICE:
        config->device = value;
        return 0;
    case OPTION_DATA:
        config->data = value;
        return 0;
    case OPTION_VERSION:
        config->version = true;
        return 0;
    case OPTION_HELP:
        config->help = true;
        return 0;
    default:
        return set_number(option, value, config, error);
    }
}

int config_parse(int argc, char *const *argv, const char *home, const char *state_home,
                 struct config *ret_config, struct error *error)
{
    struct config config = {.listen = "127.0.0.1:7700",
                            .checkpoint_seconds = CHECKPOINT_SECONDS_DEFAULT,
                            .checkpoint_mib_max = CHECKPOINT_MIB_DEFAULT,
                            .artifacts_mib_max = ARTIFACTS_MIB_DEFAULT};
    const char *state = NULL;
    int option = 0;
    optind = 0; /* glibc: start anew */
    while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (option == ':')
            return error_set(error, -EINVAL, "", "%s needs a value", argv[optind - 1]);
        if (option == '?')
            return error_set(error, -EINVAL, "", "unknown option %s", argv[optind - 1]);
        int r = set_option(option, optarg, &config, &state, error);
        if (r < 0)
            return r;
    }
    if (config.help || config.version) {
        *ret_config = config;
        return 0;
    }
    if (optind < argc)
        return error_set(error, -EINVAL, "", "unexpected argument '%.80s'", argv[optind]);
    if (!config.local_worker && (config.device || config.slots || config.data))
        return error_set(error, -EINVAL, "", "--device, --slots and --data go with --local-worker");
    int r = set_state(state, home, state_home, &config, error);
    if (r == 0)
        *ret_config = config;
    return r;
}

int config_make_directory(const char *path, struct error *error)
{
    char prefix[PATH_MAX];
    struct stat status;
    for (size_t i = 1; path[i - 1]; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(prefix, sizeof prefix, "%.*s", (int)i, path);
        if (mkdir(prefix, DIRECTORY_MODE) < 0 && errno != EEXIST)
            return error_set(error, -errno, "", "cannot make the directory %s: %s", prefix,
                             strerror(errno));
    }
    if (stat(path, &status) < 0)
        return error_set(error, -errno, "", "cannot use the directory %s: %s", path,
                         strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return error_set(error, -ENOTDIR, "", "%s is not a directory", path);
    return 0;
}
