/* Checkpoints through the real daemon: uploads, downloads, what a lease says, and what a restart leaves. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

enum { LARGE_BYTES = 3 << 20 };

static struct wire_checkpoint describe(const void *bytes, size_t length, uint64_t steps)
{
    struct wire_checkpoint checkpoint = {.bytes = length, .steps_done = steps};
    struct sha256 sha256;
    sha256_init(&sha256);
    sha256_add(&sha256, bytes, length);
    sha256_finish(&sha256, checkpoint.sha256);
    return checkpoint;
}

static void path_of(const struct wire_checkpoint *checkpoint, char ret_path[128])
{
    char digest[SHA256_TEXT_SIZE];
    sha256_text(checkpoint->sha256, digest);
    snprintf(ret_path, 128, "/worker/v1/artifacts/%s", digest);
}

static struct answer put(const struct daemon_process *process,
                         const struct wire_checkpoint *checkpoint, const void *bytes, size_t length)
{
    char path[128];
    path_of(checkpoint, path);
    return call(process,
                &(struct call){.method = "PUT", .path = path, .body = bytes, .body_bytes = length});
}

static int put_status(const struct daemon_process *process,
                      const struct wire_checkpoint *checkpoint, const void *bytes, size_t length)
{
    struct answer answer = put(process, checkpoint, bytes, length);
    int status = answer.status;
    answer_release(&answer);
    return status;
}

/* True where exactly these bytes are there. */
static bool is_there(const struct daemon_process *process, const struct wire_checkpoint *checkpoint,
                     const void *bytes)
{
    char path[128];
    path_of(checkpoint, path);
    struct answer answer = get(process, "%s", path);
    bool same = answer.status == 200 && answer.body_bytes == checkpoint->bytes &&
                memcmp(answer.body, bytes, checkpoint->bytes) == 0;
    assert_true(same || answer.status == 404);
    answer_release(&answer);
    return same;
}

static size_t files_of(const struct daemon_process *process)
{
    char path[DAEMON_PATH_SIZE + 32];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/state/artifacts", process->directory);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *item = readdir(directory); item; item = readdir(directory))
        count += item->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* Files go when the reply is on its way already. */
static bool files_become(const struct daemon_process *process, size_t count)
{
    for (int i = 0; i < 2000 && files_of(process) != count; i++)
        usleep(5000);
    return files_of(process) == count;
}

static struct report_response report(const struct daemon_process *process,
                                     const struct wire_task *task,
                                     const struct wire_checkpoint *checkpoint)
{
    struct report_request request = {
        .worker = "w", .attempt = task->attempt, .epoch = task->epoch, .checkpoint = *checkpoint};
    struct report_response response;
    struct buffer bytes;
    struct error error;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(report_request_pack(&request, &bytes), 0);
    struct answer answer = fake_worker_post(process, "report", bytes.data, bytes.length);
    buffer_release(&bytes);
    assert_int_equal(answer.status, 200);
    assert_int_equal(report_response_unpack(answer.body, answer.body_bytes, &response, &error), 0);
    answer_release(&answer);
    return response;
}

static char *large_bytes(void)
{
    char *bytes = malloc(LARGE_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    return bytes;
}

static void test_large_files_arrive_whole(void **state)
{
    struct daemon_process *process = *state;
    char *bytes = large_bytes();
    struct wire_checkpoint checkpoint = describe(bytes, LARGE_BYTES, 1);
    assert_false(is_there(process, &checkpoint, bytes));
    assert_int_equal(put_status(process, &checkpoint, bytes, LARGE_BYTES), 204);
    assert_true(is_there(process, &checkpoint, bytes));
    assert_int_equal(put_status(process, &checkpoint, bytes, LARGE_BYTES), 204);
    assert_true(files_become(process, 1));
    free(bytes);
}

static void test_wrong_uploads_are_refused_and_leave_nothing(void **state)
{
    struct daemon_process *process = *state;
    struct wire_checkpoint checkpoint = describe("content", 7, 1);
    struct answer answer = put(process, &checkpoint, "contenT", 7);
    assert_problem(&answer, 422, "content-mismatch");
    answer_release(&answer);
    answer = put(process, &checkpoint, "", 0);
    assert_problem(&answer, 422, "content-mismatch");
    answer_release(&answer);
    answer = call(process, &(struct call){.method = "PUT",
                                          .path = "/worker/v1/artifacts/1234",
                                          .body = "content",
                                          .body_bytes = 7});
    assert_problem(&answer, 404, "not-found");
    answer_release(&answer);
    answer = post(process, "/worker/v1/artifacts/1234", "{}");
    assert_problem(&answer, 405, "method-not-allowed");
    answer_release(&answer);
    assert_true(files_become(process, 0));
}

/* What is sent to the artifacts' route; the answer's status, 0 where the connection was closed without one. */
static int send_head(const struct daemon_process *process, const char *headers, const char *body)
{
    struct answer answer;
    char head[256], path[128];
    struct wire_checkpoint checkpoint = describe("content", 7, 1);
    path_of(&checkpoint, path);
    snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", path, headers,
             body);
    int fd = connection_open(process);
    assert_true(connection_send(fd, head, strlen(head)));
    bool answered = connection_receive(fd, &answer);
    close(fd);
    int status = answered ? answer.status : 0;
    if (answered)
        answer_release(&answer);
    return status;
}

static void test_lengths_are_checked_before_the_body_comes(void **state)
{
    struct daemon_process *process = *state;
    assert_int_equal(send_head(process, "Content-Length: 2199023255552\r\n", ""), 413);
    assert_int_equal(send_head(process, "Content-Length: 1073741825\r\n", ""), 413);
    assert_int_equal(
        send_head(process, "Transfer-Encoding: chunked\r\n", "7\r\ncontent\r\n0\r\n\r\n"), 411);
    assert_int_equal(send_head(process, "Content-Length: 7\r\n", "content"), 204);
}

/* An upload that breaks off: its half file goes. */
static void test_broken_upload_leaves_nothing(void **state)
{
    struct daemon_process *process = *state;
    char head[256], path[128];
    struct wire_checkpoint checkpoint = describe("content", 7, 1);
    path_of(&checkpoint, path);
    snprintf(head, sizeof head,
             "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\ncont", path);
    int fd = connection_open(process);
    assert_true(connection_send(fd, head, strlen(head)));
    assert_true(files_become(process, 1));
    close(fd);
    assert_true(files_become(process, 0));
    assert_false(is_there(process, &checkpoint, "content"));
}

static void test_next_lease_names_the_checkpoint_until_it_is_of_no_use(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "continue", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    assert_int_equal(task.checkpoint.bytes, 0);
    assert_int_equal(task.checkpoint_seconds, 60);
    struct wire_checkpoint first = describe("first", 5, 10), second = describe("second", 6, 20);
    assert_true(report(process, &task, &first).checkpoint_missing);
    assert_int_equal(put_status(process, &first, "first", 5), 204);
    assert_false(report(process, &task, &first).checkpoint_missing);
    assert_int_equal(put_status(process, &second, "second", 6), 204);
    assert_false(report(process, &task, &second).checkpoint_missing);
    assert_false(is_there(process, &first, "first"));
    struct wire_result result = {.outcome = WIRE_OUTCOME_RETURNED};
    bool accepted = false;
    assert_int_equal(fake_worker_result(process, "w", &task, &result, &accepted), 200);
    struct wire_task next = fake_worker_task(process, "w", 0);
    assert_int_equal(next.candidate, task.candidate);
    assert_int_equal(next.checkpoint.steps_done, 20);
    assert_memory_equal(next.checkpoint.sha256, second.sha256, SHA256_SIZE);
    assert_true(is_there(process, &second, "second"));
    result = fake_result(&next);
    result.step_time.contended = true;
    assert_int_equal(fake_worker_result(process, "w", &next, &result, &accepted), 200);
    struct answer shown = get(process, "/v1/searches/1/candidates/0");
    assert_true(json_is_true(member(&shown, "timing.contended")));
    assert_true(json_is_true(member(&shown, "attempts.1.timing.contended")));
    answer_release(&shown);
    assert_false(is_there(process, &second, "second"));
    assert_true(files_become(process, 0));
}

/* Killed between upload and report: the file has no owner and goes; the worker is told to send it again. */
static void test_restart_keeps_what_is_wanted_alone(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "restart", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_checkpoint kept = describe("kept", 4, 10), loose = describe("loose", 5, 20);
    assert_int_equal(put_status(process, &kept, "kept", 4), 204);
    assert_false(report(process, &task, &kept).checkpoint_missing);
    assert_int_equal(put_status(process, &loose, "loose", 5), 204);
    daemon_kill(process);
    daemon_start(process, NULL);
    fake_worker_register(process, "w", 1);
    assert_true(is_there(process, &kept, "kept"));
    assert_false(is_there(process, &loose, "loose"));
    assert_true(report(process, &task, &loose).checkpoint_missing);
    assert_int_equal(put_status(process, &loose, "loose", 5), 204);
    assert_false(report(process, &task, &loose).checkpoint_missing);
    assert_true(files_become(process, 1));
}

static void test_pause_says_what_becomes_of_what_runs(void **state)
{
    struct daemon_process *process = *state;
    char path[64];
    struct wire_checkpoint none = {.bytes = 0};
    int64_t id = search_submit(process, "pause", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    snprintf(path, sizeof path, "/v1/searches/%lld:pause", (long long)id);
    struct answer answer = post(process, path, "{\"running\": \"finish\"}");
    assert_int_equal(answer.status, 200);
    answer_release(&answer);
    assert_false(report(process, &task, &none).hand_back);
    answer = post(process, path, "{\"running\": \"explode\"}");
    assert_problem(&answer, 400, "malformed-request");
    assert_string_equal(text_at(&answer, "pointer"), "/running");
    answer_release(&answer);
    answer = post(process, path, "{\"runs\": \"finish\"}");
    assert_int_equal(answer.status, 400);
    answer_release(&answer);
    answer = call(process, &(struct call){.method = "POST", .path = path});
    assert_int_equal(answer.status, 200);
    assert_string_equal(text_at(&answer, "state"), "paused");
    answer_release(&answer);
    assert_true(report(process, &task, &none).hand_back);
}

/* In the end: the log's line and the answer leave one after the other. */
static bool log_says(const struct daemon_process *process, const char *words)
{
    bool found = false;
    for (int i = 0; i < 2000 && !found; i++) {
        char *log = daemon_log(process);
        found = strstr(log, words) != NULL;
        free(log);
        if (!found)
            usleep(5000);
    }
    return found;
}

/* A small limit for all, and a smaller one for each. */
static void test_room_for_checkpoints_is_limited(void **state)
{
    struct daemon_process *process = *state;
    static const char *const words[] = {"--checkpoint-mib", "2", "--checkpoints-mib", "3", NULL};
    daemon_stop(process);
    daemon_start(process, words);
    char *bytes = large_bytes();
    struct wire_checkpoint large = describe(bytes, LARGE_BYTES, 1);
    struct wire_checkpoint first = describe(bytes, 2 << 20, 1);
    struct wire_checkpoint second = describe(bytes + 1, 2 << 20, 1);
    int status = put_status(process, &large, bytes, LARGE_BYTES);
    assert_int_equal(status, 413);
    assert_int_equal(put_status(process, &first, bytes, 2 << 20), 204);
    struct answer answer = put(process, &second, bytes + 1, 2 << 20);
    assert_problem(&answer, 507, "insufficient-storage");
    assert_non_null(answer_header(&answer, "Retry-After"));
    answer_release(&answer);
    assert_true(files_become(process, 1));
    assert_true(log_says(process, "--checkpoints-mib is reached"));
    free(bytes);
}

#define DAEMON_TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DAEMON_TEST(test_large_files_arrive_whole),
        DAEMON_TEST(test_wrong_uploads_are_refused_and_leave_nothing),
        DAEMON_TEST(test_lengths_are_checked_before_the_body_comes),
        DAEMON_TEST(test_broken_upload_leaves_nothing),
        DAEMON_TEST(test_next_lease_names_the_checkpoint_until_it_is_of_no_use),
        DAEMON_TEST(test_restart_keeps_what_is_wanted_alone),
        DAEMON_TEST(test_pause_says_what_becomes_of_what_runs),
        DAEMON_TEST(test_room_for_checkpoints_is_limited),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
