/* archscout-worker: the agent's program. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/http_client.h"
#include "search/text.h"
#include "worker/agent.h"
#include "worker/agent_devices.h"
#include "worker/agent_files.h"
#include "worker/agent_process.h"
#include "worker/exec_environment.h"

enum { EXEC_DATASETS_BYTES_MAX = 65536 };
enum { EXIT_USAGE = 2, EXIT_NO_TRAINER = 3, EXIT_NO_DEVICE = 4 };

/* Pipes must not land on 0, 1 or 2. */
static int open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= 2);
    return fd < 0 ? -errno : close(fd);
}

static uint32_t core_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > WIRE_SLOTS_MAX ? WIRE_SLOTS_MAX : (uint32_t)count;
}

/* A program beside this one. */
static int find_beside(const char *program, char ret_path[PATH_MAX], struct error *error)
{
    char self[PATH_MAX];
    char path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return error_set(error, -errno, "", "cannot read /proc/self/exe");
    self[length] = '\0';
    snprintf(path, sizeof path, "%s/%s", dirname(self), program);
    return process_find(path, ret_path, error);
}

/* The program that runs the trainers: the one asked for, the one that runs commands, or archscout-trainer. */
static int find_trainer(const struct agent_options *options, char ret_path[PATH_MAX],
                        struct error *error)
{
    if (options->trainer)
        return process_find(options->trainer, ret_path, error);
    return find_beside(options->exec ? "archscout-exec-trainer" : "archscout-trainer", ret_path,
                       error);
}

/* Where the command's candidates have their directories. */
static int set_exec_work(const char *work)
{
    CLEANUP(text_release) struct text directory = {.length_max = 0};
    text_init(&directory, PATH_MAX);
    text_format(&directory, "%s/exec", work);
    return text_status(&directory) < 0 || setenv(EXEC_ENV_WORK, text_string(&directory), 1) < 0
               ? -ENOMEM
               : 0;
}

/* Trainers inherit the environment. Before any thread is started. */
static int tell_exec(const struct agent_options *options)
{
    CLEANUP(text_release) struct text datasets = {.length_max = 0};
    char root[PATH_MAX];
    if (!options->exec)
        return 0;
    text_init(&datasets, EXEC_DATASETS_BYTES_MAX);
    for (uint32_t i = 0; i < options->exec_dataset_count; i++)
        text_format(&datasets, "%s%s", i ? " " : "", options->exec_datasets[i]);
    if (text_status(&datasets) < 0 || setenv(EXEC_ENV_COMMAND, options->exec, 1) < 0 ||
        setenv(EXEC_ENV_DATASETS, text_string(&datasets), 1) < 0)
        return -ENOMEM;
    if (options->work)
        return set_exec_work(options->work);
    return agent_files_root(root) == 0 ? set_exec_work(root) : unsetenv(EXEC_ENV_WORK);
}

/* Asks to be stopped when the parent ends. 0, or -ESRCH where it has ended already. */
static int follow_parent(void)
{
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return getppid() == parent ? 0 : -ESRCH;
}

/* Which devices --device means, where the trainer must say: this build's own for a command, which knows of none. The exit
 * status. */
static int choose_devices(struct agent_options *options, const char *trainer, const struct log *log)
{
    struct agent_devices devices;
    char own[PATH_MAX];
    struct error error;
    if (!agent_options_ask(options))
        return EXIT_SUCCESS;
    int code = options->exec ? find_beside("archscout-trainer", own, &error) : 0;
    if (code == 0)
        code = agent_devices_ask(options->exec ? own : trainer, options->device, DEVICES_ASK_MS,
                                 &devices, &error);
    if (code < 0) {
        log_line(log, LOG_ERROR, "%s", error.message);
        return code == -ENODEV ? EXIT_NO_DEVICE : EXIT_FAILURE;
    }
    agent_options_use(options, &devices);
    if (options->slots < devices.count)
        log_line(log, LOG_WARNING, "%u of %u GPUs are used: --slots %u", options->slots,
                 devices.count, options->slots);
    return EXIT_SUCCESS;
}

static int run(struct agent_options *options)
{
    const struct log log = {.program = "archscout-worker", .level = options->log_level, .fd = 2};
    char trainer[PATH_MAX];
    struct error error;
    if (find_trainer(options, trainer, &error) < 0) {
        log_line(&log, LOG_ERROR, "%s", error.message);
        return EXIT_NO_TRAINER;
    }
    if (options->exit_with_parent && follow_parent() < 0)
        return EXIT_SUCCESS;
    if (open_standard_descriptors() < 0 || tell_exec(options) < 0 || http_startup() < 0) {
        log_line(&log, LOG_ERROR, "cannot start: out of memory or descriptors");
        return EXIT_FAILURE;
    }
    int status = choose_devices(options, trainer, &log);
    if (status != EXIT_SUCCESS)
        return status;
    log_line(&log, LOG_INFO, "version %s, %u slots on %s, trainer %s, server %s", ARCHSCOUT_VERSION,
             options->slots, options->device, trainer, options->server);
    int code = agent_run(options, trainer, &log, &error);
    if (code < 0)
        log_line(&log, LOG_ERROR, "%s", error.message);
    http_shutdown();
    return code == 0 ? EXIT_SUCCESS : code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

/* The engine is the trainer's, so the trainer beside this program does the work. */
static int run_plan_check(char **argv)
{
    const struct agent_options options = {0};
    char trainer[PATH_MAX];
    struct error error;
    if (find_trainer(&options, trainer, &error) == 0) {
        execv(trainer, argv);
        error_set(&error, -errno, "", "cannot run %.300s", trainer);
    }
    fprintf(stderr, "archscout-worker: %s\n", error.message);
    return EXIT_NO_TRAINER;
}

int main(int argc, char **argv)
{
    struct agent_options options;
    struct error error;
    if (argc > 1 && strcmp(argv[1], "--plan-check") == 0)
        return run_plan_check(argv);
    int outcome = agent_options_parse(argc, argv, core_count(), &options, &error);
    switch (outcome) {
    case 0:
        return run(&options);
    case AGENT_OPTIONS_HELP:
        fputs(agent_options_usage(), stdout);
        return EXIT_SUCCESS;
    case AGENT_OPTIONS_VERSION:
        puts("archscout-worker " ARCHSCOUT_VERSION);
        return EXIT_SUCCESS;
    default:
        fprintf(stderr, "archscout-worker: %s\nTry archscout-worker --help.\n", error.message);
        return EXIT_USAGE;
    }
}
