/* The program archscout-trainer over real pipes. */
#include "proto/frame.h"
#include "proto/trainer_pipe.h"
#include "tests/unit/worker/task.h"
#include "worker/data/pack.h"
#include "worker/engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

struct process {
    pid_t pid;
    int input, output; /* ours to write, ours to read */
    char log[FILE_PATH_SIZE];
    struct buffer buffer;
};

static void child_exec(const struct fixture *fixture, const struct process *process, int input,
                       int output)
{
    int log = open(process->log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (log < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    setenv("ARCHSCOUT_DATA", fixture->directory, 1);
    setenv("ARCHSCOUT_CACHE", fixture->directory, 1);
    char home[FILE_PATH_SIZE];
    snprintf(home, sizeof home, "%s/home", fixture->directory);
    setenv("ARCHSCOUT_DATASETS", home, 1);
    setenv("ARCHSCOUT_DEVICE", "cpu", 1);
    setenv("ARCHSCOUT_SLOT", "0", 1);
    execl(TRAINER_PROGRAM, "archscout-trainer", (char *)NULL);
    _exit(127);
}

static void process_start(const struct fixture *fixture, struct process *process)
{
    int input[2], output[2];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    *process = (struct process){.input = input[1], .output = output[0]};
    fixture_path(fixture, "log", process->log);
    buffer_init(&process->buffer, FRAME_BODY_MAX);
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0)
        child_exec(fixture, process, input[0], output[1]);
    close(input[0]);
    close(output[1]);
}

/* Closes its input and returns its wait status. */
static int process_end(struct process *process)
{
    int status;
    if (process->input >= 0)
        close(process->input);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    close(process->output);
    buffer_release(&process->buffer);
    return status;
}

static void assert_log_says(const struct process *process, const char *text)
{
    size_t length;
    char *log = (char *)fixture_read(process->log, &length);
    log[length] = '\0';
    if (!strstr(log, text))
        fail_msg("the log lacks \"%s\":\n%s", text, log);
    free(log);
}

static void process_read(struct process *process, struct trainer_message *ret_message)
{
    assert_int_equal(frame_read(process->output, &process->buffer), FRAME_READY);
    struct error error = {0};
    if (trainer_message_unpack(process->buffer.data, process->buffer.length, ret_message, &error))
        fail_msg("%s %s", error.pointer, error.message);
}

static void process_send(struct process *process, const struct wire_task *task)
{
    struct buffer bytes;
    buffer_init(&bytes, FRAME_BODY_MAX);
    assert_int_equal(trainer_task_pack(task, &bytes), 0);
    assert_int_equal(frame_write(process->input, bytes.data, bytes.length), 0);
    buffer_release(&bytes);
}

static bool hello_offers(const struct hello *hello, const char *name)
{
    for (uint32_t i = 0; i < hello->dataset_count; i++)
        if (strcmp(hello->datasets[i].name, name) == 0)
            return true;
    return false;
}

static void expect_hello(struct process *process)
{
    static struct trainer_message message;
    process_read(process, &message);
    assert_int_equal(message.kind, TRAINER_HELLO);
    assert_int_equal(message.hello.protocol, TRAINER_PROTOCOL);
    assert_string_equal(message.hello.device, "cpu");
    assert_true(hello_offers(&message.hello, "bars"));
}

/* Reads up to the task's result: progress first, then epochs in order. */
static struct wire_result expect_result(struct process *process, uint32_t expected_epochs)
{
    static struct trainer_message message;
    uint32_t epochs = 0, progress = 0;
    for (;;) {
        process_read(process, &message);
        if (message.kind == TRAINER_RESULT)
            break;
        if (message.kind == TRAINER_EPOCH)
            assert_int_equal(message.epoch.number, ++epochs);
        else
            assert_int_equal(message.kind, TRAINER_PROGRESS);
        progress += message.kind == TRAINER_PROGRESS;
    }
    assert_int_equal(epochs, expected_epochs);
    assert_true(expected_epochs == 0 || progress > 0);
    return message.result;
}

static void test_tasks_are_answered_and_the_end_of_input_is_the_end(void **state)
{
    fixture_write_synthetic(*state, "bars", &task_images);
    struct process process;
    process_start(*state, &process);
    expect_hello(&process);
    struct wire_task task = small_task();
    process_send(&process, &task);
    struct wire_result first = expect_result(&process, 3);
    assert_int_equal(first.outcome, WIRE_OUTCOME_DONE);
    assert_true(first.accuracy > 0.6);
    process_send(&process, &task);
    struct wire_result second = expect_result(&process, 3);
    assert_true(first.accuracy == second.accuracy && first.loss == second.loss);
    memcpy(task.dataset.name, "gone", sizeof "gone");
    process_send(&process, &task);
    assert_int_equal(expect_result(&process, 0).outcome, WIRE_OUTCOME_FAILED);
    close(process.input);
    process.input = -1;
    assert_int_equal(frame_read(process.output, &process.buffer), FRAME_END);
    int status = process_end(&process);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Puts data set `name` into the home as `archscout dataset add` does: whole at once. */
static void add_to_home(const struct fixture *fixture, const char *name)
{
    char made[FILE_PATH_SIZE], path[FILE_PATH_SIZE], file_name[64];
    struct source source = fixture_source(fixture, name, &task_images);
    fixture_path(fixture, "made", made);
    snprintf(file_name, sizeof file_name, "home/%s.pack", name);
    fixture_path(fixture, file_name, path);
    int fd = open(made, O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(pack_write(fd, made, &source, NULL), 0);
    close(fd);
    assert_int_equal(rename(made, path), 0);
}

static void test_a_data_set_that_is_added_meanwhile_is_offered(void **state)
{
    static struct trainer_message message;
    fixture_write_synthetic(*state, "bars", &task_images);
    fixture_make_directory(*state, "home");
    struct process process;
    process_start(*state, &process);
    expect_hello(&process);
    add_to_home(*state, "flowers");
    process_read(&process, &message);
    assert_int_equal(message.kind, TRAINER_HELLO);
    assert_true(hello_offers(&message.hello, "flowers"));
    assert_true(hello_offers(&message.hello, "bars"));
    struct wire_task task = small_task();
    memcpy(task.dataset.name, "flowers", sizeof "flowers");
    process_send(&process, &task);
    assert_int_equal(expect_result(&process, 3).outcome, WIRE_OUTCOME_DONE);
    int status = process_end(&process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_another_process_gives_the_same_numbers(void **state)
{
    fixture_write_synthetic(*state, "bars", &task_images);
    struct wire_task task = small_task();
    struct wire_result results[2];
    task.recipe.flip = true;
    for (int i = 0; i < 2; i++) {
        struct process process;
        process_start(*state, &process);
        expect_hello(&process);
        process_send(&process, &task);
        results[i] = expect_result(&process, 3);
        process_end(&process);
    }
    assert_int_equal(results[0].outcome, WIRE_OUTCOME_DONE);
    assert_true(results[0].accuracy == results[1].accuracy);
    assert_true(results[0].loss == results[1].loss);
}

static void test_a_task_sent_before_the_end_of_input_is_finished(void **state)
{
    fixture_write_synthetic(*state, "bars", &task_images);
    struct process process;
    process_start(*state, &process);
    struct wire_task task = small_task();
    process_send(&process, &task);
    close(process.input);
    process.input = -1;
    expect_hello(&process);
    assert_int_equal(expect_result(&process, 3).outcome, WIRE_OUTCOME_DONE);
    int status = process_end(&process);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_refuses_input(void **state, const void *bytes, size_t length, const char *said)
{
    struct process process;
    process_start(*state, &process);
    assert_int_equal(write(process.input, bytes, length), length);
    int status = process_end(&process);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_log_says(&process, said);
}

static void test_garbage_on_standard_input_is_refused(void **state)
{
    fixture_write_synthetic(*state, "bars", &task_images);
    assert_refuses_input(state, "hello, trainer\n", 15, "too long, or not a frame");
    assert_refuses_input(state, "\x09\0\0\0garbage!!", 13, "not a task");
    assert_refuses_input(state, "\x02\0\0\0\x0a\x00", 6, "not a task");
    assert_refuses_input(state, "\x09\0\0\0gar", 7, "ends too early");
}

static void test_an_agent_that_left_ends_the_trainer(void **state)
{
    fixture_write_synthetic(*state, "bars", &task_images);
    struct process process;
    process_start(*state, &process);
    expect_hello(&process);
    struct wire_task task = small_task();
    process_send(&process, &task);
    close(process.output);
    int status;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_log_says(&process, "cannot write to the agent");
    close(process.input);
    buffer_release(&process.buffer);
}

static void test_sigterm_ends_it_amid_a_task(void **state)
{
    fixture_write_synthetic(*state, "bars", &task_images);
    struct process process;
    process_start(*state, &process);
    expect_hello(&process);
    struct wire_task task = small_task();
    task.epochs = 10000;
    process_send(&process, &task);
    static struct trainer_message message;
    process_read(&process, &message);
    assert_int_equal(message.kind, TRAINER_PROGRESS);
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    int status = process_end(&process);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

/* Reads up to the task's result; the last checkpoint that was announced. */
static struct wire_result expect_checkpoint(struct process *process,
                                            struct wire_checkpoint_written *ret_written)
{
    static struct trainer_message message;
    do {
        process_read(process, &message);
        if (message.kind == TRAINER_CHECKPOINT)
            *ret_written = message.checkpoint;
    } while (message.kind != TRAINER_RESULT);
    return message.result;
}

static void test_sigterm_hands_the_task_back_with_a_checkpoint(void **state)
{
    const struct fixture *fixture = *state;
    fixture_write_synthetic(fixture, "bars", &task_images);
    struct process process;
    struct wire_checkpoint_written written = {.path = ""};
    struct wire_task task = small_task();
    setenv("ARCHSCOUT_WORK", fixture->directory, 1);
    process_start(fixture, &process);
    expect_hello(&process);
    task.epochs = 200;
    process_send(&process, &task);
    static struct trainer_message message;
    process_read(&process, &message);
    assert_int_equal(message.kind, TRAINER_PROGRESS);
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    struct wire_result result = expect_checkpoint(&process, &written);
    assert_int_equal(result.outcome, WIRE_OUTCOME_RETURNED);
    assert_true(written.path[0] != '\0' && access(written.path, R_OK) == 0);
    assert_true(written.checkpoint.steps_done < 2000);
    task.attempt++;
    task.checkpoint = written.checkpoint;
    snprintf(task.checkpoint_path, sizeof task.checkpoint_path, "%s", written.path);
    process_send(&process, &task); /* it is still there, for another task */
    assert_int_equal(expect_result(&process, 200).outcome, WIRE_OUTCOME_DONE);
    assert_int_equal(kill(process.pid, SIGTERM), 0); /* without a task */
    int status = process_end(&process);
    unsetenv("ARCHSCOUT_WORK");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_log_says(&process, "continu");
}

/* Runs the trainer with arguments and no input; its exit status, with what it said. */
static int run_trainer(const char *const *arguments, char *ret_said, size_t size)
{
    int said[2];
    size_t length = 0;
    assert_int_equal(pipe2(said, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(said[1], 1) >= 0 && dup2(said[1], 2) >= 0)
            execv(TRAINER_PROGRAM, (char *const *)arguments);
        _exit(127);
    }
    close(said[1]);
    for (ssize_t got; (got = read(said[0], ret_said + length, size - 1 - length)) > 0;)
        length += (size_t)got;
    ret_said[length] = '\0';
    close(said[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_devices_are_listed_or_said_to_be_missing(void **state)
{
    (void)state;
    char said[4096];
    const char *arguments[] = {"archscout-trainer", "--list-devices", "--device", "cpu", NULL};
    assert_int_equal(run_trainer(arguments, said, sizeof said), 0);
    assert_string_equal(said, "cpu - 0 -\n");
    arguments[3] = "tpu";
    assert_int_equal(run_trainer(arguments, said, sizeof said), 2);
    assert_non_null(strstr(said, "cuda:GPU-UUID"));
    arguments[3] = "cuda:GPU-none-such"; /* no machine has it, with or without the engine */
    assert_int_equal(run_trainer(arguments, said, sizeof said), 4);
    assert_non_null(strstr(said, backend_find("cuda") ? "nvidia-smi" : "no CUDA engine"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_tasks_are_answered_and_the_end_of_input_is_the_end),
        FIXTURE_TEST(test_a_data_set_that_is_added_meanwhile_is_offered),
        FIXTURE_TEST(test_another_process_gives_the_same_numbers),
        FIXTURE_TEST(test_a_task_sent_before_the_end_of_input_is_finished),
        FIXTURE_TEST(test_garbage_on_standard_input_is_refused),
        FIXTURE_TEST(test_an_agent_that_left_ends_the_trainer),
        FIXTURE_TEST(test_sigterm_ends_it_amid_a_task),
        FIXTURE_TEST(test_sigterm_hands_the_task_back_with_a_checkpoint),
        cmocka_unit_test(test_devices_are_listed_or_said_to_be_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
