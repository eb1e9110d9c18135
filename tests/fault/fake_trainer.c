/* A trainer that trains nothing: it speaks the frames, answers at once, and misbehaves when asked to.
 *
 * What it measures is a function of the architecture, the baseline and the seed alone, so that searches can be compared;
 * accuracy grows with the network's cost and carries noise, so that a search has something to find.
 *
 * Environment
 *   FAKE_TRAINER          a behaviour, default "ok"; @N is the step after which it shows, default 1
 *     ok                  every task is done
 *     hang@N              stops for good after step N
 *     segv@N exit3@N      ends by a segmentation fault, or with status 3
 *     garbage@N           prints text to standard output
 *     oversize@N          announces a frame of 2 GB
 *     badfield@N          reports more steps done than there are
 *     truncated@N         ends with status 0 in the middle of a frame
 *     devicelost@N        says LOST, as a trainer whose GPU failed, and goes on living
 *     nan                 reports epochs that are not finite, then DIVERGED
 *     nandone             says DONE with an accuracy that is not a number
 *     oom                 OUT_OF_MEMORY unless the batch is in two parts
 *     oomalways           OUT_OF_MEMORY
 *     fail                FAILED
 *     mixed               by the architecture's hash: nan or oom now and then; by the attempt: hang, segv, exit3, garbage
 *     mute wronghello protocol2 earlyexit earlysegv   what goes wrong before or instead of the hello
 *     idleexit            says hello and ends
 *   FAKE_TRAINER_STEP_MS  sleep a step, default 1
 *   FAKE_TRAINER_STEPS    steps an epoch, default 4
 *   FAKE_TRAINER_ONCE     a directory: hang, segv, exit3, garbage, oversize, badfield, truncated and devicelost show once a candidate
 *   FAKE_TRAINER_CHECKPOINTS  steps between checkpoints (in the first half of a task), each a text of FAKE_TRAINER_CHECKPOINT_BYTES (default 100) in which
 *                         the step is written; on SIGTERM one more, and the task is handed back. Unset: none
 *   FAKE_TRAINER_DEVICES  what it prints for --list-devices; unset: an error, and status 4
 *   FAKE_TRAINER_CHATTY   set: writes to standard error what it does */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/trainer_pipe.h"
#include "search/cost.h"

enum behaviour {
    OK,
    HANG,
    SEGV,
    EXIT3,
    GARBAGE,
    OVERSIZE,
    BADFIELD,
    TRUNCATED,
    DEVICE_LOST,
    NAN_EPOCHS,
    NAN_DONE,
    OOM,
    OOM_ALWAYS,
    FAIL,
    MIXED,
    MUTE,
    WRONG_HELLO,
    PROTOCOL_2,
    EARLY_EXIT,
    EARLY_SEGV,
    IDLE_EXIT,
    BEHAVIOUR_COUNT
};

static const char *const behaviour_names[BEHAVIOUR_COUNT] = {
    [OK] = "ok",
    [HANG] = "hang",
    [SEGV] = "segv",
    [EXIT3] = "exit3",
    [GARBAGE] = "garbage",
    [OVERSIZE] = "oversize",
    [BADFIELD] = "badfield",
    [TRUNCATED] = "truncated",
    [DEVICE_LOST] = "devicelost",
    [NAN_EPOCHS] = "nan",
    [NAN_DONE] = "nandone",
    [OOM] = "oom",
    [OOM_ALWAYS] = "oomalways",
    [FAIL] = "fail",
    [MIXED] = "mixed",
    [MUTE] = "mute",
    [WRONG_HELLO] = "wronghello",
    [PROTOCOL_2] = "protocol2",
    [EARLY_EXIT] = "earlyexit",
    [EARLY_SEGV] = "earlysegv",
    [IDLE_EXIT] = "idleexit",
};

struct settings {
    enum behaviour behaviour;
    uint64_t at_step;
    long step_ms;
    uint64_t steps_per_epoch;
    const char *once_directory;
    const char *work; /* NULL: no checkpoints */
    uint64_t checkpoint_steps;
    size_t checkpoint_bytes;
    bool chatty;
};

static volatile sig_atomic_t told_to_stop;

static void on_term(int number)
{
    (void)number;
    told_to_stop = 1;
}

static long number_of(const char *variable, long fallback)
{
    const char *text = getenv(variable);
    return text ? strtol(text, NULL, 10) : fallback;
}

static struct settings read_settings(void)
{
    const char *text = getenv("FAKE_TRAINER");
    struct settings settings = {
        .at_step = 1,
        .step_ms = number_of("FAKE_TRAINER_STEP_MS", 1),
        .steps_per_epoch = (uint64_t)number_of("FAKE_TRAINER_STEPS", 4),
        .once_directory = getenv("FAKE_TRAINER_ONCE"),
        .checkpoint_steps = (uint64_t)number_of("FAKE_TRAINER_CHECKPOINTS", 0),
        .checkpoint_bytes = (size_t)number_of("FAKE_TRAINER_CHECKPOINT_BYTES", 100),
        .chatty = getenv("FAKE_TRAINER_CHATTY") != NULL,
    };
    settings.work = settings.checkpoint_steps ? getenv(TRAINER_ENV_WORK) : NULL;
    if (settings.work)
        signal(SIGTERM, on_term);
    if (!text)
        return settings;
    size_t length = strcspn(text, "@");
    if (text[length] == '@')
        settings.at_step = strtoull(text + length + 1, NULL, 10);
    for (int i = 0; i < BEHAVIOUR_COUNT; i++) {
        if (strlen(behaviour_names[i]) == length &&
            strncmp(text, behaviour_names[i], length) == 0) {
            settings.behaviour = (enum behaviour)i;
            return settings;
        }
    }
    fprintf(stderr, "FAKE_TRAINER=%s is no behaviour\n", text);
    exit(2);
}

/* ---- speaking ---- */

static void say(const struct trainer_message *message)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    int code = trainer_message_pack(message, &body);
    if (code == 0)
        code = frame_write(STDOUT_FILENO, body.data, body.length);
    buffer_release(&body);
    if (code < 0) {
        fprintf(stderr, "cannot speak: %s\n", strerror(-code));
        exit(1);
    }
}

static void say_progress(uint64_t done, uint64_t total)
{
    say(&(struct trainer_message){.kind = TRAINER_PROGRESS, .progress = {done, total}});
}

static void say_hello(const struct settings *settings, uint32_t protocol)
{
    struct trainer_message message = {
        .kind = TRAINER_HELLO,
        .hello = {.protocol = protocol, .checkpoints = settings->work != NULL}};
    struct hello *hello = &message.hello;
    const char *device = getenv(TRAINER_ENV_DEVICE);
    snprintf(hello->device, sizeof hello->device, "%s", device ? device : "cpu");
    const struct dataset *dataset;
    while ((dataset = dataset_known_at(hello->dataset_count)) != NULL)
        hello->datasets[hello->dataset_count++] = *dataset;
    say(&message);
}

static void raw(const void *bytes, size_t length)
{
    if (write(STDOUT_FILENO, bytes, length) != (ssize_t)length)
        exit(1);
}

static void end_with(enum wire_outcome outcome, const char *text)
{
    struct trainer_message message = {.kind = TRAINER_RESULT, .result = {.outcome = outcome}};
    snprintf(message.result.message, sizeof message.result.message, "%s", text);
    if (outcome == WIRE_OUTCOME_OUT_OF_MEMORY)
        message.result.memory_needed_bytes = UINT64_C(5) << 30;
    say(&message);
}

/* ---- what goes wrong ---- */

static void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static void crash(void)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would turn it into an exit status */
    fprintf(stderr, "about to crash\n");
    raise(SIGSEGV);
}

static void hang(void)
{
    while (true)
        sleep_ms(1000);
}

/* Shows what the behaviour is like in the middle of a task; most do not return. */
static void misbehave(enum behaviour behaviour)
{
    static const char text[] = "Epoch 1/10 loss 2.3026 accuracy 0.1000\n";
    static const uint8_t half[] = {200, 0, 0, 0, 'h', 'a', 'l', 'f'};
    static const uint8_t huge[] = {0, 0, 0, 128};
    switch (behaviour) {
    case HANG:
        hang();
        break;
    case SEGV:
        crash();
        break;
    case EXIT3:
        fprintf(stderr, "giving up\nwith status 3\n");
        exit(3);
    case GARBAGE:
        raw(text, sizeof text - 1);
        break;
    case OVERSIZE:
        raw(huge, sizeof huge);
        break;
    case BADFIELD:
        say_progress(11, 10);
        break;
    case TRUNCATED:
        raw(half, sizeof half);
        exit(0);
    case DEVICE_LOST:
        end_with(WIRE_OUTCOME_LOST, "cuda:0 failed: it has fallen off the bus");
        hang();
        break;
    default:
        break;
    }
}

static bool is_fault(enum behaviour behaviour)
{
    return behaviour >= HANG && behaviour <= DEVICE_LOST;
}

/* True the first time that the candidate comes, where faults are to show once. */
static bool is_first(const struct settings *settings, const struct wire_task *task)
{
    char path[512];
    if (!settings->once_directory)
        return true;
    snprintf(path, sizeof path, "%s/%s.%" PRIu64, settings->once_directory, task->search,
             task->candidate);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= UINT64_C(0xff51afd7ed558ccd);
    value ^= value >> 33;
    value *= UINT64_C(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

static enum behaviour behaviour_for(const struct settings *settings, const struct wire_task *task)
{
    enum behaviour behaviour = settings->behaviour;
    if (behaviour == MIXED) {
        static const enum behaviour by_hash[16] = {NAN_EPOCHS, OOM, OOM_ALWAYS};
        static const enum behaviour by_attempt[16] = {HANG, SEGV, EXIT3, GARBAGE};
        behaviour = by_hash[mix(architecture_hash(&task->architecture)) % 16];
        if (behaviour == OK)
            behaviour = by_attempt[mix(task->attempt) % 16];
    }
    return is_fault(behaviour) && !is_first(settings, task) ? OK : behaviour;
}

/* ---- a task ---- */

static struct wire_epoch epoch_of(const struct wire_task *task, uint32_t number)
{
    double part = (double)number / task->epochs;
    return (struct wire_epoch){
        .number = number,
        .train_loss = 2.3 - part,
        .train_accuracy = 0.1 + 0.5 * part,
        .validation_loss = 2.3 - 0.9 * part,
        .validation_accuracy = 0.1 + 0.4 * part,
        .seconds = 0.5,
    };
}

static struct wire_result result_of(const struct wire_task *task)
{
    const struct problem problem = wire_task_problem(task);
    const struct cost cost = cost_of(&task->architecture, &problem);
    const struct cost baseline = cost_of(&task->baseline, &problem);
    double size = (double)cost.params / ((double)cost.params + 100000.0);
    double noise = (double)(mix(architecture_hash(&task->architecture) ^ task->seed) % 10000) / 1e4;
    return (struct wire_result){
        .outcome = WIRE_OUTCOME_DONE,
        .accuracy = 0.5 + 0.4 * size + 0.05 * noise,
        .loss = 1.5 - size,
        .step_time = {.median_s = 1e-3 + 1e-9 * (double)cost.macs,
                      .spread_s = 1e-5,
                      .blocks = 5,
                      .baseline_s = 1e-3 + 1e-9 * (double)baseline.macs},
        .seconds = 0.5 * task->epochs,
        .first_step_s = 0.01,
        .images = task->train_images * task->epochs,
    };
}

/* ---- checkpoints ---- */

/* The first 20 bytes are the step. */
static void write_checkpoint(const struct settings *settings, const struct wire_task *task,
                             uint64_t step)
{
    struct trainer_message message = {.kind = TRAINER_CHECKPOINT};
    struct wire_checkpoint_written *written = &message.checkpoint;
    char *bytes = calloc(1, settings->checkpoint_bytes + 1);
    struct sha256 sha256;
    snprintf(written->path, sizeof written->path, "%s/%" PRIu64 "-%" PRIu64, settings->work,
             task->attempt, step);
    FILE *file = fopen(written->path, "w");
    if (!bytes || !file)
        exit(1);
    memset(bytes, 'x', settings->checkpoint_bytes);
    snprintf(bytes, 21, "%20" PRIu64, step);
    bytes[20] = (char)('a' + task->candidate % 26); /* each candidate's differs */
    fwrite(bytes, 1, settings->checkpoint_bytes, file);
    fclose(file);
    sha256_init(&sha256);
    sha256_add(&sha256, bytes, settings->checkpoint_bytes);
    sha256_finish(&sha256, written->checkpoint.sha256);
    written->checkpoint.bytes = settings->checkpoint_bytes;
    written->checkpoint.steps_done = step;
    free(bytes);
    say(&message);
}

/* The step to go on after. */
static uint64_t read_checkpoint(const struct wire_task *task)
{
    char text[21] = "";
    FILE *file = task->checkpoint_path[0] ? fopen(task->checkpoint_path, "r") : NULL;
    if (task->checkpoint.bytes && !file)
        fprintf(stderr, "no checkpoint: starting from the beginning\n");
    if (!file)
        return 0;
    size_t length = fread(text, 1, 20, file);
    fclose(file);
    fprintf(stderr, "candidate %" PRIu64 " continues after step %" PRIu64 "\n", task->candidate,
            length == 20 ? (uint64_t)strtoull(text, NULL, 10) : 0);
    return length == 20 ? strtoull(text, NULL, 10) : 0;
}

/* True where the task was handed back. */
static bool train(const struct settings *settings, const struct wire_task *task,
                  enum behaviour behaviour)
{
    uint64_t total = settings->steps_per_epoch * task->epochs;
    uint64_t first = settings->work ? read_checkpoint(task) : 0;
    say_progress(first, total);
    for (uint64_t step = first + 1; step <= total; step++) {
        sleep_ms(settings->step_ms);
        say_progress(step, total);
        const bool due =
            settings->work && step % settings->checkpoint_steps == 0 && 2 * step <= total;
        if (settings->work && (told_to_stop || due))
            write_checkpoint(settings, task, step);
        if (told_to_stop)
            return true;
        if (step == settings->at_step)
            misbehave(behaviour);
        if (step % settings->steps_per_epoch)
            continue;
        struct trainer_message message = {.kind = TRAINER_EPOCH};
        message.epoch = epoch_of(task, (uint32_t)(step / settings->steps_per_epoch));
        if (behaviour == NAN_EPOCHS)
            message.epoch.train_loss = message.epoch.validation_loss = NAN;
        say(&message);
    }
    return false;
}

static void run_task(const struct settings *settings, const struct wire_task *task)
{
    enum behaviour behaviour = behaviour_for(settings, task);
    if (settings->chatty)
        fprintf(stderr, "attempt %" PRIu64 ": %s\n", task->attempt, behaviour_names[behaviour]);
    if (behaviour == OOM_ALWAYS || (behaviour == OOM && task->micro_batches == 1)) {
        end_with(WIRE_OUTCOME_OUT_OF_MEMORY, "5 GiB needed");
        return;
    }
    if (behaviour == FAIL) {
        end_with(WIRE_OUTCOME_FAILED, "the data set is damaged");
        return;
    }
    told_to_stop = 0;
    if (train(settings, task, behaviour)) {
        end_with(WIRE_OUTCOME_RETURNED, "told to stop");
        return;
    }
    if (behaviour == NAN_EPOCHS) {
        end_with(WIRE_OUTCOME_DIVERGED, "the loss is not finite");
        return;
    }
    struct trainer_message message = {.kind = TRAINER_RESULT, .result = result_of(task)};
    if (behaviour == NAN_DONE)
        message.result.accuracy = NAN;
    say(&message);
}

static void begin(const struct settings *settings)
{
    const enum behaviour behaviour = settings->behaviour;
    switch (behaviour) {
    case MUTE:
        hang();
        break;
    case EARLY_EXIT:
        fprintf(stderr, "no device\n");
        exit(4);
    case EARLY_SEGV:
        crash();
        break;
    case WRONG_HELLO:
        raw("hello\n", 6);
        break;
    default:
        say_hello(settings, behaviour == PROTOCOL_2 ? 2 : TRAINER_PROTOCOL);
    }
    if (behaviour == IDLE_EXIT)
        exit(0);
}

static const char *or_unset(const char *text)
{
    return text ? text : "unset";
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void introduce(void)
{
    fprintf(stderr, "device %s data %s slot %s threads %s descriptors %d sharing %s\n",
            or_unset(getenv(TRAINER_ENV_DEVICE)), or_unset(getenv(TRAINER_ENV_DATA)),
            or_unset(getenv(TRAINER_ENV_SLOT)), or_unset(getenv("OMP_NUM_THREADS")),
            open_descriptors(), or_unset(getenv(TRAINER_ENV_DEVICE_SLOTS)));
}

static int list_devices(void)
{
    const char *devices = getenv("FAKE_TRAINER_DEVICES");
    if (!devices) {
        fprintf(stderr, "2026-01-01T00:00:00.000Z error archscout-trainer: %s: no such device\n",
                or_unset(getenv(TRAINER_ENV_DEVICE)));
        return 4;
    }
    fputs(devices, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--list-devices") == 0)
        return list_devices();
    const struct settings settings = read_settings();
    if (settings.chatty)
        introduce();
    begin(&settings);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    int code;
    while ((code = frame_read(STDIN_FILENO, &body)) == FRAME_READY) {
        struct wire_task task;
        struct error error;
        code = trainer_task_unpack(body.data, body.length, &task, &error);
        if (code < 0) {
            fprintf(stderr, "task: %s %s\n", error.pointer, error.message);
            return 1;
        }
        run_task(&settings, &task);
    }
    buffer_release(&body);
    return code == FRAME_END ? 0 : 1;
}
