/* archscout-trainer: trains what comes in frames on standard input and answers in frames on standard output
 * (proto/trainer_pipe.h); standard error is its log. SIGTERM in the middle of a task: a checkpoint is written and the task
 * handed back, where there is a directory for checkpoints (TRAINER_ENV_WORK); otherwise it ends the program. */
#include "proto/frame.h"
#include "proto/log.h"
#include "proto/trainer_pipe.h"
#include "worker/data/cache.h"
#include "worker/data/home.h"
#include "worker/device_choice.h"
#include "worker/machine.h"
#include "worker/plan_check.h"
#include "worker/trainer.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_NO_DEVICE = 4, EXIT_DEVICE_FAILED = 5 };
enum { PROGRESS_PERIOD_MS = 200, HOME_PERIOD_MS = 2000 };

static const char SYSTEM_DATASETS[] = "/usr/share/datasets";

static const char USAGE[] =
    "usage: archscout-trainer [OPTION...]\n"
    "       archscout-trainer --plan-check SPACE [OPTION...]     see archscout-worker --help\n"
    "\n"
    "Trains the tasks that an agent sends in frames on standard input and answers in frames on\n"
    "standard output. Started by archscout-worker; by hand it is useful with --list-datasets\n"
    "and --list-devices.\n"
    "\n"
    "  --device DEVICE    cpu (default), cuda, cuda:N or cuda:GPU-UUID     [ARCHSCOUT_DEVICE]\n"
    "  --data DIR         data sets: each sub-directory, and DIR itself    [ARCHSCOUT_DATA]\n"
    "                     (after it those that `archscout dataset add` has made, then\n"
    "                     /usr/share/datasets)\n"
    "  --backend NAME     for cpu onednn (default where it was built) or reference; for cuda cuda\n"
    "  --list-datasets    print the data sets that are found, and end\n"
    "  --list-devices     print a line for each device that --device names, and end: what to call\n"
    "                     it, its UUID, bytes of its own memory, its name\n"
    "  --help, --version\n"
    "\n"
    "Decoded data sets are kept in $ARCHSCOUT_CACHE, else $XDG_CACHE_HOME/archscout/packs, else\n"
    "~/.cache/archscout/packs. Exit status: 0 standard input ended, 1 failure, 2 wrong usage,\n"
    "4 no such device: this build has no CUDA engine, or the machine no such GPU, 5 the device "
    "failed\n"
    "and this process cannot use it any more.\n";

struct settings {
    const char *device, *data, *backend;
    uint32_t slots;        /* trainers of this machine, this one included */
    uint32_t device_slots; /* of them on the device */
    bool list, list_devices;
    char **arguments;          /* of main */
    char home[FILE_PATH_SIZE]; /* of data sets; "" where there is none */
    uint64_t home_mark;        /* from before it was looked at */
};

struct session {
    struct log log;
    int frames; /* what was standard output */
    int terms;  /* a signalfd for SIGTERM; -1: it ends the program */
    bool stop;  /* SIGTERM has come since the task began */
    bool checkpoints;
    struct buffer buffer;
    int64_t progress_sent_ms;
    int broken; /* negative errno once a frame could not be sent */
    const struct settings *settings;
    uint64_t home_mark;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- settings ---- */

enum {
    OPTION_DEVICE = 256,
    OPTION_DATA,
    OPTION_BACKEND,
    OPTION_LIST,
    OPTION_LIST_DEVICES,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"data", required_argument, NULL, OPTION_DATA},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"list-datasets", no_argument, NULL, OPTION_LIST},
    {"list-devices", no_argument, NULL, OPTION_LIST_DEVICES},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && value[0] ? value : otherwise;
}

/* How many trainers share the machine; 1 where nobody says. */
static uint32_t slots_read(const char *text)
{
    char *end;
    const unsigned long count = strtoul(text, &end, 10);
    return end == text || *end != '\0' || count == 0 || count > WIRE_SLOTS_MAX ? 1
                                                                               : (uint32_t)count;
}

enum { SETTINGS_READ, SETTINGS_DONE, SETTINGS_WRONG };

static int settings_read(int argc, char **argv, struct settings *ret_settings)
{
    struct settings settings = {.device = environment(TRAINER_ENV_DEVICE, "cpu"),
                                .data = environment(TRAINER_ENV_DATA, NULL),
                                .slots = slots_read(environment(TRAINER_ENV_SLOTS, "")),
                                .device_slots =
                                    slots_read(environment(TRAINER_ENV_DEVICE_SLOTS, ""))};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_DEVICE:
            settings.device = optarg;
            break;
        case OPTION_DATA:
            settings.data = optarg;
            break;
        case OPTION_BACKEND:
            settings.backend = optarg;
            break;
        case OPTION_LIST:
            settings.list = true;
            break;
        case OPTION_LIST_DEVICES:
            settings.list_devices = true;
            break;
        case OPTION_HELP:
            fputs(USAGE, stdout);
            return SETTINGS_DONE;
        case OPTION_VERSION:
            puts("archscout-trainer " ARCHSCOUT_VERSION);
            return SETTINGS_DONE;
        default:
            return SETTINGS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "archscout-trainer: unexpected argument \"%s\"\n", argv[optind]);
        return SETTINGS_WRONG;
    }
    *ret_settings = settings;
    return SETTINGS_READ;
}

/* ---- data sets ---- */

static void catalog_release(struct catalog **catalog)
{
    catalog_free(*catalog);
}

static void note_home(struct settings *settings, char **arguments)
{
    struct error ignored;
    settings->arguments = arguments;
    if (dataset_home(settings->home, &ignored) < 0)
        settings->home[0] = '\0';
    settings->home_mark = settings->home[0] ? dataset_home_mark(settings->home) : 0;
}

/* A directory that was asked for must be there; the system's own need not. */
static int fill_catalog(const struct settings *settings, struct catalog *catalog,
                        const struct log *log)
{
    struct error error = {0};
    int r = settings->data ? catalog_add(catalog, settings->data, &error) : 0;
    if (r == 0)
        r = catalog_add_home(catalog, &error);
    if (r == 0) {
        r = catalog_add(catalog, SYSTEM_DATASETS, &error);
        if (r == -ENOENT)
            r = 0;
    }
    if (r < 0)
        log_line(log, LOG_ERROR, "%s", error.message);
    return r;
}

static void list_datasets(const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_entry *entry = catalog_at(catalog, i);
        const struct dataset *dataset = &entry->dataset;
        if (!entry->usable) {
            printf("%s: cannot be used: %s\n", dataset->name, entry->problem.message);
            continue;
        }
        printf("%s: %u x %u x %u, %u classes, %" PRIu64 " training and %" PRIu64
               " test images, %s in %s\n",
               dataset->name, dataset->image_size, dataset->image_size, dataset->image_channels,
               dataset->classes, dataset->train_images, dataset->test_images,
               source_format_name(entry->source.format), entry->source.directory);
    }
    if (catalog_count(catalog) == 0)
        printf("no data sets found; Debian's package dataset-fashion-mnist has one\n");
}

/* ---- frames ---- */

static void session_release(struct session *session)
{
    buffer_release(&session->buffer);
}

static void session_send(struct session *session, const struct trainer_message *message)
{
    if (session->broken < 0)
        return;
    buffer_consume(&session->buffer, session->buffer.length);
    int r = trainer_message_pack(message, &session->buffer);
    if (r == 0)
        r = frame_write(session->frames, session->buffer.data, session->buffer.length);
    if (r < 0) {
        session->broken = r;
        log_line(&session->log, LOG_ERROR, "cannot write to the agent: %s", strerror(-r));
    }
}

static void send_hello(struct session *session, const struct device_info *device,
                       const struct catalog *catalog)
{
    struct trainer_message message = {.kind = TRAINER_HELLO};
    struct hello *hello = &message.hello;
    hello->protocol = TRAINER_PROTOCOL;
    hello->checkpoints = session->checkpoints;
    device_text(device, hello->device);
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_entry *entry = catalog_at(catalog, i);
        if (!entry->usable)
            log_line(&session->log, LOG_WARNING, "data set \"%s\" cannot be used: %s",
                     entry->dataset.name, entry->problem.message);
        else if (hello->dataset_count == WIRE_DATASETS_MAX)
            log_line(&session->log, LOG_WARNING, "data set \"%s\" is not offered: more than %d",
                     entry->dataset.name, WIRE_DATASETS_MAX);
        else
            hello->datasets[hello->dataset_count++] = entry->dataset;
    }
    session_send(session, &message);
}

static void on_progress(void *context, uint64_t steps_done, uint64_t steps_total)
{
    struct session *session = context;
    int64_t now = now_ms();
    if (session->progress_sent_ms && now - session->progress_sent_ms < PROGRESS_PERIOD_MS)
        return;
    session->progress_sent_ms = now;
    const struct trainer_message message = {.kind = TRAINER_PROGRESS,
                                            .progress = {steps_done, steps_total}};
    session_send(session, &message);
}

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    const struct trainer_message message = {.kind = TRAINER_EPOCH, .epoch = *epoch};
    session_send(context, &message);
}

static void on_note(void *context, const char *text)
{
    const struct session *session = context;
    log_line(&session->log, LOG_INFO, "%s", text);
}

/* SIGTERM as a descriptor: it is looked at between steps, and wakes whoever waits for a task. */
static int open_terms(void)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static bool should_stop(void *context)
{
    struct session *session = context;
    struct signalfd_siginfo info;
    while (read(session->terms, &info, sizeof info) == (ssize_t)sizeof info)
        session->stop = true;
    return session->stop;
}

static void on_checkpoint(void *context, const struct wire_checkpoint_written *checkpoint)
{
    const struct trainer_message message = {.kind = TRAINER_CHECKPOINT, .checkpoint = *checkpoint};
    session_send(context, &message);
}

static void carry_out(struct session *session, struct trainer *trainer,
                      const struct wire_task *task)
{
    const struct trainer_events events = {.context = session,
                                          .on_progress = on_progress,
                                          .on_epoch = on_epoch,
                                          .on_note = on_note,
                                          .should_stop = should_stop,
                                          .on_checkpoint = on_checkpoint};
    struct trainer_message message = {.kind = TRAINER_RESULT};
    session->progress_sent_ms = 0;
    trainer_run(trainer, task, &events, &message.result);
    const struct wire_result *result = &message.result;
    log_line(&session->log, LOG_INFO,
             "candidate %" PRIu64 " attempt %" PRIu64 ": %s, accuracy %.4f, %.1f s, first step "
             "after %.3f s, %.4f s a step%s%s",
             task->candidate, task->attempt, wire_outcome_name(result->outcome), result->accuracy,
             result->seconds, result->first_step_s, result->step_time.median_s,
             result->message[0] ? ": " : "", result->message);
    session_send(session, &message);
}

/* Becomes this program anew, with the same pipes; returns where that cannot be. */
static void start_anew(struct session *session)
{
    log_line(&session->log, LOG_INFO, "the data sets in %s have changed", session->settings->home);
    if (dup2(session->frames, STDOUT_FILENO) >= 0)
        execv("/proc/self/exe", session->settings->arguments);
    log_line(&session->log, LOG_ERROR, "cannot start anew: %s", strerror(errno));
    dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* Waits for input; false where SIGTERM comes first. Data sets that are added or removed meanwhile are offered in a new
 * hello. */
static bool wait_for_task(struct session *session)
{
    struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = session->terms, .events = POLLIN}};
    const int period_ms = session->settings->home[0] ? HOME_PERIOD_MS : -1;
    int ready;
    session->stop = false;
    while ((ready = poll(both, ARRAY_LENGTH(both), period_ms)) <= 0) {
        uint64_t mark = ready == 0 ? dataset_home_mark(session->settings->home) : 0;
        if (ready < 0 || mark == session->home_mark)
            continue; /* poll fails for want of memory alone */
        session->home_mark = mark;
        start_anew(session);
    }
    return both[1].revents == 0 || !should_stop(session);
}

/* Tasks until the end of standard input, or a SIGTERM without a task. */
static int serve(struct session *session, struct trainer *trainer)
{
    for (;;) {
        if (!wait_for_task(session))
            return EXIT_SUCCESS;
        int r = frame_read(STDIN_FILENO, &session->buffer);
        if (r == FRAME_END)
            return EXIT_SUCCESS;
        if (r < 0) {
            log_line(&session->log, LOG_ERROR, "cannot read a frame from the agent: %s",
                     r == -EPIPE      ? "it ends too early"
                     : r == -EMSGSIZE ? "too long, or not a frame at all"
                                      : strerror(-r));
            return EXIT_FAILURE;
        }
        struct wire_task task;
        struct error error = {0};
        r = trainer_task_unpack(session->buffer.data, session->buffer.length, &task, &error);
        if (r < 0) {
            log_line(&session->log, LOG_ERROR, "not a task that can be understood: %s%s%s",
                     error.pointer, error.pointer[0] ? ": " : "", error.message);
            return EXIT_FAILURE;
        }
        carry_out(session, trainer, &task);
        if (session->broken < 0)
            return EXIT_FAILURE;
        if (trainer_is_broken(trainer)) {
            log_line(&session->log, LOG_ERROR, "the device has failed; another trainer can use it");
            return EXIT_DEVICE_FAILED;
        }
    }
}

/* ---- the program ---- */

/* oneDNN's threads are OpenMP's, which reads this variable before main: a trainer is single-threaded. */
static void ensure_one_thread(char **argv)
{
    if (getenv("OMP_NUM_THREADS"))
        return;
    if (setenv("OMP_NUM_THREADS", "1", 1) == 0)
        execv("/proc/self/exe", argv);
}

/* Keeps standard output for frames alone: whatever a library prints goes to standard error. */
static int take_standard_output(void)
{
    int frames = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (frames < 0)
        return -errno;
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        int code = -errno;
        close(frames);
        return code;
    }
    return frames;
}

/* A trainer's equal share of the machine's memory, a tenth left to others; 0 where nothing is known. */
static size_t memory_limit(uint32_t slots)
{
    return machine_memory_bytes("/proc/self/cgroup", "/sys/fs/cgroup") / 10 * 9 / slots;
}

static int open_session(struct session *session, bool checkpoints)
{
    session->checkpoints = checkpoints;
    session->frames = take_standard_output();
    if (session->frames < 0)
        return session->frames;
    session->terms = checkpoints ? open_terms() : -1;
    return checkpoints && session->terms < 0 ? session->terms : 0;
}

/* Says why there is no engine to train with; the exit status. */
static int no_device(const struct settings *settings, const struct log *log, int code,
                     struct error *error)
{
    if (code == -ENODEV)
        device_advise(getenv("CUDA_VISIBLE_DEVICES"), error);
    log_line(log, LOG_ERROR, "cannot start on %s: %s", settings->device, error->message);
    return code == -ENODEV ? EXIT_NO_DEVICE : code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

static int list_devices(const struct settings *settings, const struct log *log,
                        const struct backend *backend)
{
    struct device_info devices[WIRE_SLOTS_MAX];
    struct error error = {0};
    int count = backend_devices(backend, settings->device, devices, WIRE_SLOTS_MAX, &error);
    if (count < 0)
        return no_device(settings, log, count, &error);
    for (int i = 0; i < count; i++) {
        char line[DEVICE_LINE_SIZE];
        device_line(&devices[i], line);
        puts(line);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_session(const struct settings *settings, const struct log *log,
                       const struct backend *backend, const struct catalog *catalog)
{
    CLEANUP(session_release)
    struct session session = {.log = *log, .settings = settings, .home_mark = settings->home_mark};
    buffer_init(&session.buffer, FRAME_BODY_MAX);
    struct error error = {0};
    char cache[FILE_PATH_SIZE];
    bool has_cache = cache_directory(cache, &error) == 0;
    const char *work = environment(TRAINER_ENV_WORK, NULL);
    struct trainer_options trainer_options = {.backend = backend,
                                              .device = settings->device,
                                              .device_trainers = settings->device_slots,
                                              .catalog = catalog,
                                              .cache_directory = has_cache ? cache : NULL,
                                              .memory_bytes_max = memory_limit(settings->slots),
                                              .prefetch = settings->slots < machine_processors(),
                                              .checkpoint_directory = work};
    struct trainer *trainer;
    int r = trainer_new(&trainer_options, &trainer, &error);
    if (r < 0)
        return no_device(settings, log, r, &error);
    r = open_session(&session, work != NULL);
    if (r < 0) {
        log_line(log, LOG_ERROR, "standard output and signals: %s", strerror(-r));
        trainer_free(trainer);
        return EXIT_FAILURE;
    }
    send_hello(&session, trainer_device(trainer), catalog);
    int status = session.broken < 0 ? EXIT_FAILURE : serve(&session, trainer);
    trainer_free(trainer);
    close(session.frames);
    if (session.terms >= 0)
        close(session.terms);
    return status;
}

int main(int argc, char **argv)
{
    const struct log log = {"archscout-trainer", LOG_INFO, STDERR_FILENO};
    struct settings settings;
    if (argc > 1 && strcmp(argv[1], "--plan-check") == 0)
        return plan_check_main(argc, argv);
    switch (settings_read(argc, argv, &settings)) {
    case SETTINGS_DONE:
        return EXIT_SUCCESS;
    case SETTINGS_WRONG:
        fputs(USAGE, stderr);
        return EXIT_USAGE;
    default:
        break;
    }
    ensure_one_thread(argv);
    signal(SIGPIPE, SIG_IGN);
    const struct backend *backend;
    struct error error = {0};
    int r = device_choose(settings.device, settings.backend, &backend, &error);
    if (r < 0) {
        log_line(&log, LOG_ERROR, "%s", error.message);
        return r == -ENODEV ? EXIT_NO_DEVICE : EXIT_USAGE;
    }
    if (settings.list_devices)
        return list_devices(&settings, &log, backend);
    note_home(&settings, argv);
    CLEANUP(catalog_release) struct catalog *catalog = NULL;
    if (catalog_new(&catalog) < 0 || fill_catalog(&settings, catalog, &log) < 0)
        return EXIT_FAILURE;
    if (settings.list) {
        list_datasets(catalog);
        return EXIT_SUCCESS;
    }
    return run_session(&settings, &log, backend, catalog);
}
