#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/artifacts.h"
#include "daemon/config.h"
#include "daemon/coordinator.h"
#include "daemon/listener.h"
#include "daemon/loop.h"
#include "proto/log.h"

enum {
    EXIT_USAGE = 2,
    FILES_WANTED = 4096,
    ARTIFACTS_FREE_BYTES = 16 << 20, /* of the disk, left to the store */
};

static int complain(const struct error *error)
{
    fprintf(stderr, "archscoutd: %s\n", error->message);
    return EXIT_FAILURE;
}

/* Each connection is a file descriptor, and the usual soft limit is below HTTP_CONNECTIONS_MAX plus what else is open. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_coordinator(const struct config *config, struct coordinator **ret_coordinator,
                            struct error *error)
{
    struct timespec monotonic, wall;
    struct coordinator_options options = {.state_directory = config->state,
                                          .lease_seconds = config->lease_seconds,
                                          .checkpoint_seconds = config->checkpoint_seconds};
    if (getrandom(&options.incarnation, sizeof options.incarnation, 0) !=
        (ssize_t)sizeof options.incarnation)
        return error_set(error, -EIO, "", "the system has no random numbers");
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME, &wall);
    options.now.monotonic_ms =
        (uint64_t)monotonic.tv_sec * 1000 + (uint64_t)monotonic.tv_nsec / 1000000;
    options.now.wall_us = wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
    return coordinator_open(&options, ret_coordinator, error);
}

/* Once the coordinator holds the directory's lock. */
static int open_artifacts(const struct config *config, struct artifacts **ret_artifacts,
                          struct error *error)
{
    const struct artifacts_options options = {
        .state_directory = config->state,
        .file_bytes_max = (uint64_t)config->checkpoint_mib_max << 20,
        .total_bytes_max = (uint64_t)config->artifacts_mib_max << 20,
        .free_bytes_min = ARTIFACTS_FREE_BYTES,
    };
    return artifacts_open(&options, ret_artifacts, error);
}

static int serve(const struct config *config, int listen_fd, struct error *error)
{
    const struct log log = {.program = "archscoutd", .level = LOG_INFO, .fd = STDERR_FILENO};
    char address[LISTENER_NAME_SIZE];
    struct coordinator *coordinator = NULL;
    struct artifacts *artifacts = NULL;
    int r = open_coordinator(config, &coordinator, error);
    if (r == 0)
        r = open_artifacts(config, &artifacts, error);
    if (r < 0) {
        coordinator_close(coordinator);
        close(listen_fd);
        return r;
    }
    listener_name(listen_fd, address);
    struct loop_options options = {.coordinator = coordinator,
                                   .artifacts = artifacts,
                                   .artifact_bytes_max = (uint64_t)config->checkpoint_mib_max << 20,
                                   .log = &log,
                                   .version = ARCHSCOUT_VERSION,
                                   .listen_fd = listen_fd,
                                   .address = address,
                                   .state = config->state,
                                   .local_worker = config->local_worker,
                                   .slots = config->slots,
                                   .device = config->device,
                                   .data = config->data};
    r = loop_run(&options, error);
    artifacts_close(artifacts);
    coordinator_close(coordinator);
    if (r == 0)
        log_line(&log, LOG_INFO, "stopped");
    return r;
}

/* The local worker would only say in the log, again and again, that its data sets are not there. */
static int check_data(const char *data, struct error *error)
{
    struct stat status;
    if (!data)
        return 0;
    if (stat(data, &status) < 0)
        return error_set(error, -errno, "", "--data %.300s: %s", data, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return error_set(error, -ENOTDIR, "", "--data %.300s: this is no directory", data);
    return 0;
}

int main(int argc, char **argv)
{
    struct config config;
    struct error error;
    int listen_fd = -1;
    if (config_parse(argc, argv, getenv("HOME"), getenv("XDG_STATE_HOME"), &config, &error) < 0) {
        fprintf(stderr, "archscoutd: %s\nTry 'archscoutd --help'.\n", error.message);
        return EXIT_USAGE;
    }
    if (config.help || config.version) {
        fputs(config.help ? config_help : "archscoutd " ARCHSCOUT_VERSION "\n", stdout);
        return EXIT_SUCCESS;
    }
    raise_file_limit();
    if (check_data(config.data, &error) < 0 || config_make_directory(config.state, &error) < 0 ||
        listener_open(config.listen, &listen_fd, &error) < 0 ||
        serve(&config, listen_fd, &error) < 0)
        return complain(&error);
    return EXIT_SUCCESS;
}
