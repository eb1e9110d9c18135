#include "worker/agent_options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/exec_dataset.h"

const char *agent_options_usage(void)
{
    return "usage: archscout-worker --server URL [OPTION...]\n"
           "       archscout-worker --plan-check SPACE [--device-description FILE] [--batch N]\n"
           "                        [--image-size N] [--classes N] [--workspace-mib N]\n"
           "\n"
           "Trains candidates for an ArchScout daemon: asks it for tasks and runs a trainer for "
           "each slot.\n"
           "The daemon need not be there yet; the worker goes on asking.\n"
           "\n"
           "  --server URL              the daemon, such as http://127.0.0.1:7700\n"
           "  --slots N                 trainers at a time; default: one a core for cpu, one a GPU "
           "for cuda.\n"
           "                            More slots than GPUs: they go round, and share a GPU's "
           "memory\n"
           "  --device DEVICE           what the trainers use: cpu (default), cuda for all GPUs "
           "that "
           "are\n"
           "                            visible (CUDA_VISIBLE_DEVICES), cuda:N or cuda:GPU-UUID "
           "for "
           "one\n"
           "  --trainer PROGRAM         a program that speaks the frames of "
           "docs/trainer-protocol.md;\n"
           "                            default: archscout-trainer beside this program\n"
           "  --exec COMMAND            a command for /bin/sh that trains a candidate: JSON on "
           "standard input,\n"
           "                            metrics as JSON lines on standard output "
           "(docs/exec-trainer.md)\n"
           "  --exec-dataset DATASET    a data set that COMMAND can train on; repeat it for more. "
           "A "
           "well-known\n"
           "                            name (cifar10, fashion-mnist, ...), or\n"
           "                            NAME:SIZExSIZExCHANNELS:CLASSES:TRAIN[:TEST]\n"
           "  --data DIR                where the trainer finds its data sets; COMMAND is told\n"
           "  --work DIR                where checkpoints are kept while a task runs; default\n"
           "                            $XDG_CACHE_HOME/archscout/work, else "
           "~/.cache/archscout/work\n"
           "  --name NAME               how the daemon lists this worker, [A-Za-z0-9._:-], unique "
           "among workers;\n"
           "                            default: made of the host's name, the process id and "
           "chance\n"
           "  --stall-seconds N         a trainer that makes no step for so long is replaced; "
           "default 60\n"
           "  --first-step-seconds N    the same before its hello and before a task's first step; "
           "default 300\n"
           "  --drain-seconds N         a trainer that is not gone so long after it was killed "
           "(stuck in\n"
           "                            the driver): its GPU gets no more work; default 30\n"
           "  --exit-with-parent        stop when the process that started this one ends\n"
           "  --log-level LEVEL         error, warning, info or debug; default info\n"
           "  --help, --version\n"
           "\n"
           "SIGTERM and SIGINT stop it: its trainers write checkpoints, from which what they were "
           "doing is\ncontinued elsewhere.\n"
           "\n"
           "--plan-check trains nothing and needs no GPU: it makes a cuDNN plan for every dense "
           "convolution\nthat an architecture of SPACE (a preset's name or a JSON file) can need "
           "on the "
           "device described in\nFILE (default: an H200). Exit status: 0 all are there, 1 some are "
           "not, 2 "
           "wrong arguments, 3 it could not be\ndone, 4 this build has no cuDNN.\n"
           "\n"
           "Exit status: 0 stopped by a signal; 1 it could not go on (out of memory, ...); 2 wrong "
           "arguments;\n"
           "3 the trainer cannot be run; 4 no such device: the trainer has no CUDA engine, or the "
           "machine no\nsuch GPU.\n";
}

enum option_key {
    OPTION_SERVER = 1,
    OPTION_SLOTS,
    OPTION_DEVICE,
    OPTION_TRAINER,
    OPTION_EXEC,
    OPTION_EXEC_DATASET,
    OPTION_DATA,
    OPTION_WORK,
    OPTION_NAME,
    OPTION_STALL_SECONDS,
    OPTION_FIRST_STEP_SECONDS,
    OPTION_DRAIN_SECONDS,
    OPTION_EXIT_WITH_PARENT,
    OPTION_LOG_LEVEL,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"server", required_argument, NULL, OPTION_SERVER},
    {"slots", required_argument, NULL, OPTION_SLOTS},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"trainer", required_argument, NULL, OPTION_TRAINER},
    {"exec", required_argument, NULL, OPTION_EXEC},
    {"exec-dataset", required_argument, NULL, OPTION_EXEC_DATASET},
    {"data", required_argument, NULL, OPTION_DATA},
    {"work", required_argument, NULL, OPTION_WORK},
    {"name", required_argument, NULL, OPTION_NAME},
    {"stall-seconds", required_argument, NULL, OPTION_STALL_SECONDS},
    {"first-step-seconds", required_argument, NULL, OPTION_FIRST_STEP_SECONDS},
    {"drain-seconds", required_argument, NULL, OPTION_DRAIN_SECONDS},
    {"exit-with-parent", no_argument, NULL, OPTION_EXIT_WITH_PARENT},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int read_number(const char *text, const char *option, uint32_t max, uint32_t *ret_number,
                       struct error *error)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || value < 1 || value > max)
        return error_set(error, -EINVAL, "", "%s must be 1 to %u, not \"%.40s\"", option, max,
                         text);
    *ret_number = (uint32_t)value;
    return 0;
}

bool agent_device_is_good(const char *text)
{
    static const char gpu[] = "GPU-";
    if (strcmp(text, "cpu") == 0 || strcmp(text, "cuda") == 0)
        return true;
    if (strncmp(text, "cuda:", 5) != 0 || strlen(text) >= AGENT_DEVICE_SIZE)
        return false;
    const char *which = text + 5;
    const size_t digits = strspn(which, "0123456789");
    if (strncmp(which, gpu, sizeof gpu - 1) != 0)
        return digits >= 1 && digits <= 3 && which[digits] == '\0';
    const char *uuid = which + sizeof gpu - 1;
    return uuid[0] && uuid[strspn(uuid, "0123456789abcdefABCDEF-")] == '\0';
}

static int read_device(const char *text, const char **ret_device, struct error *error)
{
    if (!agent_device_is_good(text))
        return error_set(error, -EINVAL, "",
                         "--device must be cpu, cuda, cuda:N or cuda:GPU-UUID, not \"%.40s\"",
                         text);
    *ret_device = text;
    return 0;
}

bool agent_options_ask(const struct agent_options *options)
{
    const bool cpu = strcmp(options->device, "cpu") == 0;
    const bool all = strcmp(options->device, "cuda") == 0;
    return all || (!cpu && !options->trainer && !options->exec);
}

void agent_options_use(struct agent_options *options, const struct agent_devices *devices)
{
    assert(devices->count >= 1);
    options->devices = *devices;
    if (!options->slots_given)
        options->slots = devices->count;
}

const char *agent_options_slot_device(const struct agent_options *options, uint32_t slot,
                                      uint32_t *ret_sharing)
{
    const uint32_t count = options->devices.count, device = slot % count;
    *ret_sharing = options->slots / count + (device < options->slots % count);
    return options->devices.names[device];
}

static int read_name(const char *text, char ret_name[WIRE_WORKER_SIZE], struct error *error)
{
    size_t length = strnlen(text, WIRE_WORKER_SIZE);
    bool good = length >= 1 && length < WIRE_WORKER_SIZE;
    for (size_t i = 0; good && i < length; i++)
        good = isalnum((unsigned char)text[i]) || strchr("._:-", text[i]);
    if (!good)
        return error_set(error, -EINVAL, "", "--name must be 1 to %d of A-Z a-z 0-9 . _ : -",
                         WIRE_WORKER_SIZE - 1);
    memcpy(ret_name, text, length + 1);
    return 0;
}

static int read_exec_dataset(const char *text, struct agent_options *options, struct error *error)
{
    struct dataset dataset, before;
    if (options->exec_dataset_count == WIRE_DATASETS_MAX)
        return error_set(error, -EINVAL, "", "--exec-dataset may be given %d times",
                         WIRE_DATASETS_MAX);
    int code = exec_dataset_read(text, &dataset, error);
    for (uint32_t i = 0; i < options->exec_dataset_count && code == 0; i++) {
        code = exec_dataset_read(options->exec_datasets[i], &before, error);
        if (code == 0 && strcmp(before.name, dataset.name) == 0)
            return error_set(error, -EINVAL, "", "--exec-dataset names %.64s twice", dataset.name);
    }
    if (code == 0)
        options->exec_datasets[options->exec_dataset_count++] = text;
    return code;
}

/* The options that say who trains. Positive: it is another one. */
static int read_trainer_option(int key, const char *value, struct agent_options *options,
                               struct error *error)
{
    switch (key) {
    case OPTION_TRAINER:
        options->trainer = value;
        return 0;
    case OPTION_EXEC:
        options->exec = value;
        return value[0] ? 0 : error_set(error, -EINVAL, "", "--exec needs a command");
    case OPTION_EXEC_DATASET:
        return read_exec_dataset(value, options, error);
    default:
        return 1;
    }
}

/* `word` is what stands on the command line, `value` the option's value. */
static int read_option(int key, const char *word, const char *value, struct agent_options *options,
                       struct error *error)
{
    int code = read_trainer_option(key, value, options, error);
    if (code <= 0)
        return code;
    switch (key) {
    case OPTION_SERVER:
        options->server = value;
        return 0;
    case OPTION_SLOTS:
        options->slots_given = true;
        return read_number(value, "--slots", WIRE_SLOTS_MAX, &options->slots, error);
    case OPTION_DEVICE:
        return read_device(value, &options->device, error);
    case OPTION_DATA:
        options->data = value;
        return 0;
    case OPTION_WORK:
        options->work = value;
        return 0;
    case OPTION_NAME:
        return read_name(value, options->name, error);
    case OPTION_STALL_SECONDS:
        return read_number(value, "--stall-seconds", LIMIT_SECONDS_MAX, &options->stall_seconds,
                           error);
    case OPTION_FIRST_STEP_SECONDS:
        return read_number(value, "--first-step-seconds", LIMIT_SECONDS_MAX,
                           &options->first_step_seconds, error);
    case OPTION_DRAIN_SECONDS:
        return read_number(value, "--drain-seconds", LIMIT_SECONDS_MAX, &options->drain_seconds,
                           error);
    case OPTION_EXIT_WITH_PARENT:
        options->exit_with_parent = true;
        return 0;
    case OPTION_LOG_LEVEL:
        if (log_level_from_name(value, &options->log_level) < 0)
            return error_set(error, -EINVAL, "",
                             "--log-level must be error, warning, info or debug");
        return 0;
    case OPTION_HELP:
        return AGENT_OPTIONS_HELP;
    case OPTION_VERSION:
        return AGENT_OPTIONS_VERSION;
    default:
        return error_set(error, -EINVAL, "", "an option is unknown or lacks its value: %.80s",
                         word);
    }
}

static int check_exec(const struct agent_options *options, struct error *error)
{
    if (options->exec && options->trainer)
        return error_set(error, -EINVAL, "", "--exec and --trainer exclude each other");
    if (options->exec && options->exec_dataset_count == 0)
        return error_set(error, -EINVAL, "",
                         "--exec needs --exec-dataset: which data sets the command can train on");
    if (!options->exec && options->exec_dataset_count > 0)
        return error_set(error, -EINVAL, "", "--exec-dataset needs --exec");
    return 0;
}

static int complete(struct agent_options *options, uint32_t core_count, struct error *error)
{
    bool cpu = strcmp(options->device, "cpu") == 0;
    if (!options->server)
        return error_set(error, -EINVAL, "", "--server is missing");
    options->devices.count = 1;
    snprintf(options->devices.names[0], AGENT_DEVICE_SIZE, "%s", options->device);
    if (!options->slots_given)
        options->slots = cpu ? core_count : 1;
    if (options->slots > WIRE_SLOTS_MAX)
        options->slots = WIRE_SLOTS_MAX;
    return check_exec(options, error);
}

int agent_options_parse(int argc, char *const *argv, uint32_t core_count,
                        struct agent_options *ret_options, struct error *error)
{
    struct agent_options options = {
        .device = "cpu",
        .stall_seconds = STALL_SECONDS_DEFAULT,
        .first_step_seconds = FIRST_STEP_SECONDS_DEFAULT,
        .drain_seconds = DRAIN_SECONDS_DEFAULT,
        .log_level = LOG_INFO,
    };
    optind = 0; /* getopt starts anew, so that this function may be called again */
    opterr = 0;
    int key;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int code = read_option(key, argv[optind - 1], optarg, &options, error);
        if (code != 0)
            return code;
    }
    if (optind < argc)
        return error_set(error, -EINVAL, "", "\"%.40s\" is not an option", argv[optind]);
    int code = complete(&options, core_count, error);
    if (code == 0)
        *ret_options = options;
    return code;
}
