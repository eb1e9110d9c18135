/* The workers' routes: what they are told, and when. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "search/attributes.h"
#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"

static void test_task_holds_all_that_a_trainer_needs(void **state)
{
    struct daemon_process *process = *state;
    struct error error;
    int64_t id = search_submit(process, "task", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    assert_int_equal(wire_task_validate(&task, &error), 0);
    assert_int_equal(strtoll(task.search, NULL, 10), id);
    assert_int_equal(task.candidate, 0);
    assert_int_equal(task.train_images, 800);
    assert_int_equal(task.validation_images, 200);
    assert_int_equal(task.epochs, 2);
    assert_int_equal(task.recipe.batch, 128);
    assert_string_equal(task.dataset.name, "fashion-mnist");
    assert_true(task.baseline.stage_count > 0);
}

static void test_lost_answer_of_a_lease_is_given_again(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "again", 4);
    fake_worker_register(process, "w", 2);
    struct wire_task first = fake_worker_task(process, "w", 0);
    struct wire_task again = fake_worker_task(process, "w", 0);
    struct wire_task other = fake_worker_task(process, "w", 1);
    assert_int_equal(first.attempt, again.attempt);
    assert_int_equal(first.epoch, again.epoch);
    assert_int_not_equal(first.attempt, other.attempt);
}

/* A lease request that waits on a connection of its own. */
static int lease_and_wait(const struct daemon_process *process, const char *name, uint32_t seconds)
{
    char head[256];
    struct lease_request request = {.wait_seconds = seconds};
    struct buffer bytes;
    snprintf(request.worker, sizeof request.worker, "%s", name);
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(lease_request_pack(&request, &bytes), 0);
    snprintf(head, sizeof head,
             "POST /worker/v1/lease HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
             "Content-Length: %zu\r\n\r\n",
             WORKER_API_CONTENT_TYPE, bytes.length);
    int fd = connection_open(process);
    assert_true(connection_send(fd, head, strlen(head)));
    assert_true(connection_send(fd, bytes.data, bytes.length));
    buffer_release(&bytes);
    return fd;
}

/* The answer to it; true where it has a task. */
static bool receive_lease(int fd, struct lease_response *ret_response)
{
    struct answer answer;
    struct error error;
    assert_true(connection_receive(fd, &answer));
    close(fd);
    assert_int_equal(answer.status, 200);
    assert_int_equal(lease_response_unpack(answer.body, answer.body_bytes, ret_response, &error),
                     0);
    answer_release(&answer);
    return ret_response->has_task;
}

static void test_waiting_lease_is_answered_when_work_comes(void **state)
{
    struct daemon_process *process = *state;
    struct lease_response response;
    fake_worker_register(process, "w", 1);
    int fd = lease_and_wait(process, "w", 50);
    struct answer health = get(process, "/healthz"); /* served while the lease waits */
    assert_int_equal(health.status, 200);
    answer_release(&health);
    search_submit(process, "comes", 4);
    assert_true(receive_lease(fd, &response));
}

static void test_waiting_lease_is_answered_empty_in_the_end(void **state)
{
    struct daemon_process *process = *state;
    struct lease_response response;
    fake_worker_register(process, "w", 1);
    assert_false(receive_lease(lease_and_wait(process, "w", 1), &response));
    assert_false(receive_lease(lease_and_wait(process, "w", 0), &response));
}

static void test_work_is_not_given_to_a_client_that_left(void **state)
{
    struct daemon_process *process = *state;
    struct lease_response response;
    fake_worker_register(process, "gone", 1);
    fake_worker_register(process, "here", 1);
    close(lease_and_wait(process, "gone", 50));
    int fd = lease_and_wait(process, "here", 50);
    search_submit(process, "one", 1);
    assert_true(receive_lease(fd, &response));
    struct answer answer = get(process, "/v1/searches/1/candidates/0");
    assert_string_equal(text_at(&answer, "running.worker"), "here");
    answer_release(&answer);
}

static void test_result_is_accepted_once_and_repeats_are_answered_alike(void **state)
{
    struct daemon_process *process = *state;
    bool accepted = false;
    search_submit(process, "once", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_result result = fake_result(&task);
    for (int i = 0; i < 3; i++) {
        accepted = false;
        assert_int_equal(fake_worker_result(process, "w", &task, &result, &accepted), 200);
        assert_true(accepted);
    }
    struct answer shown = get(process, "/v1/searches/1");
    assert_int_equal(integer_at(&shown, "spend.results"), 1);
    answer_release(&shown);
}

static void test_stale_attempts_are_refused(void **state)
{
    struct daemon_process *process = *state;
    bool any = false;
    search_submit(process, "stale", 4);
    fake_worker_register(process, "w", 1);
    fake_worker_register(process, "thief", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_result result = fake_result(&task);
    struct wire_task wrong = task;
    wrong.epoch++;
    assert_int_equal(fake_worker_report(process, "w", &wrong, 1, &any), 409);
    assert_int_equal(fake_worker_result(process, "w", &wrong, &result, &any), 409);
    assert_int_equal(fake_worker_report(process, "thief", &task, 1, &any), 409);
    assert_int_equal(fake_worker_result(process, "thief", &task, &result, &any), 409);
    struct wire_task endless = task;
    endless.epochs = 2 * RECIPE_EPOCHS_MAX;
    assert_int_equal(fake_worker_report(process, "w", &endless, RECIPE_EPOCHS_MAX + 1, &any), 400);
    assert_int_equal(fake_worker_result(process, "w", &task, &result, &any), 200);
    assert_int_equal(fake_worker_report(process, "w", &task, 1, &any), 409);
}

static void test_cancelled_search_stops_its_workers_and_counts_nothing(void **state)
{
    struct daemon_process *process = *state;
    bool stop = false, accepted = true;
    int64_t id = search_submit(process, "cancelled", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_result result = fake_result(&task);
    struct lease_response response;
    assert_int_equal(fake_worker_report(process, "w", &task, 1, &stop), 200);
    assert_false(stop);
    assert_int_equal(search_steer(process, id, "cancel"), 200);
    assert_int_equal(fake_worker_report(process, "w", &task, 2, &stop), 200);
    assert_true(stop);
    assert_int_equal(fake_worker_result(process, "w", &task, &result, &accepted), 200);
    assert_false(accepted);
    assert_int_equal(fake_worker_lease(process, "w", 0, 0, &response), 200);
    assert_false(response.has_task);
    struct answer shown = get(process, "/v1/searches/1");
    assert_int_equal(integer_at(&shown, "spend.results"), 0);
    assert_int_equal(integer_at(&shown, "progress.cancelled"),
                     integer_at(&shown, "progress.created"));
    answer_release(&shown);
}

static void test_unknown_workers_are_told_to_register(void **state)
{
    struct daemon_process *process = *state;
    struct lease_response response;
    bool any = false;
    search_submit(process, "unknown", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_result result = fake_result(&task);
    assert_int_equal(fake_worker_lease(process, "nobody", 0, 0, &response), 404);
    assert_int_equal(fake_worker_report(process, "nobody", &task, 1, &any), 404);
    assert_int_equal(fake_worker_result(process, "nobody", &task, &result, &any), 404);
    assert_int_equal(fake_worker_lease(process, "w", 1, 0, &response), 400);
}

static void test_attempts_go_on_over_a_restart_of_the_daemon(void **state)
{
    struct daemon_process *process = *state;
    bool stop = true, accepted = false;
    search_submit(process, "restart", 4);
    fake_worker_register(process, "w", 1);
    struct wire_task task = fake_worker_task(process, "w", 0);
    struct wire_result result = fake_result(&task);
    daemon_kill(process);
    daemon_start(process, NULL);
    assert_int_equal(fake_worker_report(process, "w", &task, 1, &stop), 404);
    fake_worker_register(process, "w", 1);
    assert_int_equal(fake_worker_report(process, "w", &task, 1, &stop), 200);
    assert_false(stop);
    assert_int_equal(fake_worker_result(process, "w", &task, &result, &accepted), 200);
    assert_true(accepted);
}

static void test_worker_is_shown_with_its_work(void **state)
{
    struct daemon_process *process = *state;
    search_submit(process, "shown", 4);
    fake_worker_register(process, "w", 2);
    struct wire_task task = fake_worker_task(process, "w", 1);
    bool stop = false;
    assert_int_equal(fake_worker_report(process, "w", &task, 1, &stop), 200);
    struct answer shown = get(process, "/v1/workers");
    assert_string_equal(text_at(&shown, "workers.0.name"), "w");
    assert_string_equal(text_at(&shown, "workers.0.datasets.0"), "fashion-mnist");
    assert_true(json_is_false(member(&shown, "workers.0.slots.0.busy")));
    assert_true(is_null_at(&shown, "workers.0.slots.0.attempt"));
    assert_true(json_is_true(member(&shown, "workers.0.slots.1.busy")));
    assert_int_equal(integer_at(&shown, "workers.0.slots.1.attempt"), task.attempt);
    assert_int_equal(integer_at(&shown, "workers.0.slots.1.steps_done"), 62);
    answer_release(&shown);
    struct answer datasets = get(process, "/v1/datasets");
    assert_int_equal(integer_at(&datasets, "datasets.3.workers"), 1);
    answer_release(&datasets);
}

static void test_messages_that_are_none_are_refused(void **state)
{
    static const char *const routes[] = {"register", "lease", "report", "result"};
    struct daemon_process *process = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        char path[64];
        struct answer garbage = fake_worker_post(process, routes[i], "\xff\xff\xff", 3);
        struct answer empty = fake_worker_post(process, routes[i], NULL, 0);
        snprintf(path, sizeof path, "/worker/v1/%s", routes[i]);
        struct answer json = post(process, path, "{}");
        assert_problem(&garbage, 400, "invalid-message");
        assert_problem(&empty, 400, "invalid-message");
        assert_problem(&json, 415, "unsupported-media-type");
        answer_release(&garbage);
        answer_release(&empty);
        answer_release(&json);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_task_holds_all_that_a_trainer_needs),
        TEST(test_lost_answer_of_a_lease_is_given_again),
        TEST(test_waiting_lease_is_answered_when_work_comes),
        TEST(test_waiting_lease_is_answered_empty_in_the_end),
        TEST(test_work_is_not_given_to_a_client_that_left),
        TEST(test_result_is_accepted_once_and_repeats_are_answered_alike),
        TEST(test_stale_attempts_are_refused),
        TEST(test_cancelled_search_stops_its_workers_and_counts_nothing),
        TEST(test_unknown_workers_are_told_to_register),
        TEST(test_attempts_go_on_over_a_restart_of_the_daemon),
        TEST(test_worker_is_shown_with_its_work),
        TEST(test_messages_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
