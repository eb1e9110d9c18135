/* Bodies between workers and the daemon: nothing is lost, every field is checked, no bytes do harm. */
#include "proto/worker_api.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/message.h"
#include "proto/worker.pb-c.h"
#include "tests/unit/proto/corruption.h"
#include "tests/unit/proto/sample.h"

/* Every kind of body under one signature. */
union any {
    struct register_request register_request;
    struct register_response register_response;
    struct lease_request lease_request;
    struct lease_response lease_response;
    struct report_request report_request;
    struct report_response report_response;
    struct result_request result_request;
    struct result_response result_response;
};

struct kind {
    const char *name;
    int (*pack)(const union any *value, struct buffer *ret_bytes);
    int (*unpack)(const void *bytes, size_t length, union any *ret_value, struct error *error);
};

#define KIND_FUNCTIONS(body)                                                                       \
    static int body##_pack_any(const union any *value, struct buffer *ret_bytes)                   \
    {                                                                                              \
        return body##_pack(&value->body, ret_bytes);                                               \
    }                                                                                              \
    static int body##_unpack_any(const void *bytes, size_t length, union any *ret_value,           \
                                 struct error *error)                                              \
    {                                                                                              \
        return body##_unpack(bytes, length, &ret_value->body, error);                              \
    }                                                                                              \
    static const struct kind body##_kind = {#body, body##_pack_any, body##_unpack_any};

KIND_FUNCTIONS(register_request)
KIND_FUNCTIONS(register_response)
KIND_FUNCTIONS(lease_request)
KIND_FUNCTIONS(lease_response)
KIND_FUNCTIONS(report_request)
KIND_FUNCTIONS(report_response)
KIND_FUNCTIONS(result_request)
KIND_FUNCTIONS(result_response)

static const struct kind *const kinds[] = {
    &register_request_kind, &register_response_kind, &lease_request_kind,  &lease_response_kind,
    &report_request_kind,   &report_response_kind,   &result_request_kind, &result_response_kind,
};

static void make_sample(const struct kind *kind, union any *ret_value)
{
    memset(ret_value, 0, sizeof *ret_value);
    if (kind == &register_request_kind)
        ret_value->register_request = sample_registration();
    else if (kind == &register_response_kind)
        ret_value->register_response = (struct register_response){
            30, 10, 2, {"birds: seven classes", "flowers: \xc3\xa4 size"}};
    else if (kind == &lease_request_kind)
        ret_value->lease_request = (struct lease_request){"host-7", 3, 20};
    else if (kind == &lease_response_kind)
        ret_value->lease_response = (struct lease_response){true, sample_task()};
    else if (kind == &report_request_kind)
        ret_value->report_request = sample_report();
    else if (kind == &report_response_kind)
        ret_value->report_response = (struct report_response){true, true, true};
    else if (kind == &result_request_kind)
        ret_value->result_request = sample_result_request();
    else
        ret_value->result_response = (struct result_response){true};
}

static int send(const struct kind *kind, const union any *value, union any *ret_value,
                struct error *error)
{
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(kind->pack(value, &bytes), 0);
    int code = kind->unpack(bytes.data, bytes.length, ret_value, error);
    buffer_release(&bytes);
    return code;
}

/* ---- nothing is lost ---- */

static union any *sent(const struct kind *kind, const union any *value)
{
    union any *received = calloc(1, sizeof *received);
    struct error error;
    assert_non_null(received);
    assert_int_equal(send(kind, value, received, &error), 0);
    return received;
}

static void test_a_registration_arrives_as_it_was_sent(void **state)
{
    (void)state;
    union any value;
    make_sample(&register_request_kind, &value);
    union any *received = sent(&register_request_kind, &value);
    const struct register_request *a = &value.register_request, *b = &received->register_request;
    assert_string_equal(a->worker, b->worker);
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->version, b->version);
    assert_int_equal(a->slot_count, b->slot_count);
    assert_string_equal(a->slots[0].device, b->slots[0].device);
    assert_string_equal(a->slots[1].device, b->slots[1].device);
    assert_int_equal(a->dataset_count, b->dataset_count);
    same_dataset(&a->datasets[0], &b->datasets[0]);
    same_dataset(&a->datasets[1], &b->datasets[1]);
    free(received);
}

static void test_the_largest_registration_arrives(void **state)
{
    (void)state;
    union any value;
    make_sample(&register_request_kind, &value);
    struct register_request *request = &value.register_request;
    request->slot_count = WIRE_SLOTS_MAX;
    for (uint32_t i = 2; i < WIRE_SLOTS_MAX; i++)
        request->slots[i] = request->slots[1];
    request->dataset_count = WIRE_DATASETS_MAX;
    for (uint32_t i = 2; i < WIRE_DATASETS_MAX; i++) {
        request->datasets[i] = request->datasets[0];
        snprintf(request->datasets[i].name, DATASET_NAME_SIZE, "set-%u", i);
    }
    union any *received = sent(&register_request_kind, &value);
    assert_int_equal(received->register_request.slot_count, WIRE_SLOTS_MAX);
    assert_string_equal(received->register_request.datasets[63].name, "set-63");
    free(received);
}

static void test_leases_arrive_as_they_were_sent(void **state)
{
    (void)state;
    union any value;
    make_sample(&lease_request_kind, &value);
    union any *received = sent(&lease_request_kind, &value);
    assert_string_equal(received->lease_request.worker, "host-7");
    assert_int_equal(received->lease_request.slot, 3);
    assert_int_equal(received->lease_request.wait_seconds, 20);
    free(received);
    make_sample(&lease_response_kind, &value);
    received = sent(&lease_response_kind, &value);
    assert_true(received->lease_response.has_task);
    same_task(&value.lease_response.task, &received->lease_response.task);
    free(received);
    value.lease_response.has_task = false;
    received = sent(&lease_response_kind, &value);
    assert_false(received->lease_response.has_task);
    free(received);
}

static void test_reports_arrive_as_they_were_sent(void **state)
{
    (void)state;
    union any value;
    make_sample(&report_request_kind, &value);
    union any *received = sent(&report_request_kind, &value);
    const struct report_request *b = &received->report_request;
    assert_string_equal(b->worker, "host-7");
    assert_int_equal(b->attempt, 9);
    assert_int_equal(b->epoch, 77);
    assert_int_equal(b->steps_done, 100);
    assert_int_equal(b->steps_total, 189);
    assert_int_equal(b->epoch_count, 2);
    same_epoch(&value.report_request.epochs[1], &b->epochs[1]);
    same_checkpoint(&value.report_request.checkpoint, &b->checkpoint);
    free(received);
    make_sample(&report_response_kind, &value);
    received = sent(&report_response_kind, &value);
    assert_true(received->report_response.stop);
    assert_true(received->report_response.hand_back);
    assert_true(received->report_response.checkpoint_missing);
    free(received);
}

static void test_results_arrive_as_they_were_sent(void **state)
{
    (void)state;
    union any value;
    make_sample(&result_request_kind, &value);
    union any *received = sent(&result_request_kind, &value);
    assert_string_equal(received->result_request.worker, "host-7");
    assert_int_equal(received->result_request.attempt, 9);
    assert_int_equal(received->result_request.epoch, 77);
    same_result(&value.result_request.result, &received->result_request.result);
    free(received);
    make_sample(&result_response_kind, &value);
    received = sent(&result_response_kind, &value);
    assert_true(received->result_response.accepted);
    free(received);
    make_sample(&register_response_kind, &value);
    received = sent(&register_response_kind, &value);
    assert_int_equal(received->register_response.lease_seconds, 30);
    assert_int_equal(received->register_response.report_seconds, 10);
    assert_int_equal(received->register_response.dataset_problem_count, 2);
    assert_string_equal(received->register_response.dataset_problems[0], "birds: seven classes");
    assert_string_equal(received->register_response.dataset_problems[1], "flowers: \xc3\xa4 size");
    free(received);
}

static void test_a_problem_with_every_data_set_arrives(void **state)
{
    (void)state;
    union any value;
    make_sample(&register_response_kind, &value);
    struct register_response *response = &value.register_response;
    response->dataset_problem_count = WIRE_DATASETS_MAX;
    for (uint32_t i = 0; i < WIRE_DATASETS_MAX; i++)
        memset(response->dataset_problems[i], 'a' + (int)i % 26, WIRE_PROBLEM_SIZE - 1);
    union any *received = sent(&register_response_kind, &value);
    assert_int_equal(received->register_response.dataset_problem_count, WIRE_DATASETS_MAX);
    assert_memory_equal(received->register_response.dataset_problems, response->dataset_problems,
                        sizeof response->dataset_problems);
    free(received);
}

/* Packs `count` problems as only another program would. */
static int unpack_foreign_problems(size_t count, char *problem, struct register_response *ret_terms,
                                   struct error *error)
{
    char *problems[WIRE_DATASETS_MAX + 1];
    assert_true(count <= ARRAY_LENGTH(problems));
    for (size_t i = 0; i < count; i++)
        problems[i] = problem;
    Archscout__V1__RegisterResponse message = ARCHSCOUT__V1__REGISTER_RESPONSE__INIT;
    message.lease_seconds = 30;
    message.report_seconds = 10;
    message.n_dataset_problems = count;
    message.dataset_problems = problems;
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(message_pack(&message.base, &bytes), 0);
    int code = register_response_unpack(bytes.data, bytes.length, ret_terms, error);
    buffer_release(&bytes);
    return code;
}

static void test_problems_with_data_sets_are_bounded(void **state)
{
    (void)state;
    static struct register_response terms;
    struct error error;
    char problem[2 * WIRE_PROBLEM_SIZE];
    memset(problem, 'x', sizeof problem);
    problem[3] = '\x1b';
    problem[sizeof problem - 1] = '\0';
    assert_int_equal(unpack_foreign_problems(1, problem, &terms, &error), 0);
    assert_int_equal(terms.dataset_problem_count, 1);
    assert_int_equal(strlen(terms.dataset_problems[0]), WIRE_PROBLEM_SIZE - 1);
    assert_memory_equal(terms.dataset_problems[0], "xxx?x", 5);
    memset(&terms, 0x55, sizeof terms);
    assert_int_equal(unpack_foreign_problems(WIRE_DATASETS_MAX + 1, problem, &terms, &error),
                     -EINVAL);
    assert_string_equal(error.pointer, "/dataset_problems");
    assert_int_equal(terms.lease_seconds, 0x55555555);
}

static void test_values_that_only_done_has_are_not_read_otherwise(void **state)
{
    (void)state;
    for (int outcome = WIRE_OUTCOME_DIVERGED; outcome <= WIRE_OUTCOME_RETURNED; outcome++) {
        union any value;
        make_sample(&result_request_kind, &value);
        struct wire_result *result = &value.result_request.result;
        result->outcome = (enum wire_outcome)outcome;
        result->loss = NAN;
        result->step_time.median_s = -INFINITY;
        union any *received = sent(&result_request_kind, &value);
        assert_int_equal(received->result_request.result.outcome, outcome);
        assert_true(received->result_request.result.accuracy == 0);
        assert_true(received->result_request.result.loss == 0);
        assert_true(received->result_request.result.step_time.median_s == 0);
        assert_true(received->result_request.result.seconds == 31.5);
        free(received);
    }
}

/* ---- every field is checked ---- */

struct refusals {
    const struct kind *kind;
    const struct corruption *rows;
    size_t count;
};

#define R struct register_request
static const struct corruption register_rows[] = {
    TEXT(R, worker, "", "/worker"),
    TEXT(R, worker, "\x7f", "/worker"),
    TEXT(R, host, "", "/host"),
    TEXT(R, version, "", "/version"),
    TEXT(R, slots[1].device, "", "/slots/1/device"),
    TEXT(R, slots[0].device, "cpu\x1b[2J", "/slots/0/device"),
    U32(R, slot_count, 0, "/slots"),
    TEXT(R, datasets[0].name, "UPPER", "/datasets/0/name"),
    TEXT(R, datasets[0].name, "cifar10", "/datasets/1"),
    U32(R, datasets[1].classes, 0, "/datasets/1/classes"),
};
#undef R

#define R struct register_response
static const struct corruption terms_rows[] = {
    U32(R, lease_seconds, 0, "/lease_seconds"),
    U32(R, lease_seconds, WIRE_SECONDS_MAX + 1, "/lease_seconds"),
    U32(R, report_seconds, 0, "/report_seconds"),
    U32(R, report_seconds, 31, "/report_seconds"),
};
#undef R

#define R struct lease_request
static const struct corruption lease_rows[] = {
    TEXT(R, worker, "", "/worker"),
    U32(R, slot, WIRE_SLOTS_MAX, "/slot"),
    U32(R, wait_seconds, UINT32_MAX, "/wait_seconds"),
};
#undef R

#define R struct report_request
static const struct corruption report_rows[] = {
    TEXT(R, worker, "a\tb", "/worker"),
    U64(R, attempt, 0, "/attempt"),
    U64(R, epoch, 0, "/epoch"),
    U64(R, steps_done, 190, "/steps_done"),
    U32(R, epochs[0].number, 0, "/epochs/0/number"),
    NOT_FINITE(R, epochs[0].train_loss, NAN, "/epochs/0/train_loss"),
    NOT_FINITE(R, epochs[1].validation_loss, INFINITY, "/epochs/1/validation_loss"),
    NOT_FINITE(R, epochs[1].validation_accuracy, NAN, "/epochs/1/validation_accuracy"),
    REAL(R, epochs[1].train_accuracy, 1.5, "/epochs/1/train_accuracy"),
    REAL(R, epochs[1].validation_accuracy, -0.5, "/epochs/1/validation_accuracy"),
    REAL(R, epochs[1].train_loss, -1, "/epochs/1/train_loss"),
    REAL(R, epochs[1].seconds, -1, "/epochs/1/seconds"),
};
#undef R

#define R struct result_request
static const struct corruption result_rows[] = {
    TEXT(R, worker, "", "/worker"),
    U64(R, attempt, 0, "/attempt"),
    U64(R, epoch, 0, "/epoch"),
    U32(R, result.outcome, 0, "/result/outcome"),
    U32(R, result.outcome, 7, "/result/outcome"),
    NOT_FINITE(R, result.accuracy, NAN, "/result/accuracy"),
    NOT_FINITE(R, result.loss, INFINITY, "/result/loss"),
    NOT_FINITE(R, result.step_time.median_s, NAN, "/result/step_time/median_s"),
    NOT_FINITE(R, result.seconds, NAN, "/result/seconds"),
    REAL(R, result.accuracy, 1.0001, "/result/accuracy"),
    REAL(R, result.loss, -0.1, "/result/loss"),
    REAL(R, result.step_time.median_s, 0, "/result/step_time/median_s"),
    REAL(R, result.step_time.spread_s, -1, "/result/step_time/spread_s"),
    REAL(R, result.step_time.baseline_s, 0, "/result/step_time/baseline_s"),
    REAL(R, result.first_step_s, -1, "/result/first_step_s"),
};
#undef R

static const struct refusals refusals[] = {
    {&register_request_kind, register_rows, ARRAY_LENGTH(register_rows)},
    {&register_response_kind, terms_rows, ARRAY_LENGTH(terms_rows)},
    {&lease_request_kind, lease_rows, ARRAY_LENGTH(lease_rows)},
    {&report_request_kind, report_rows, ARRAY_LENGTH(report_rows)},
    {&result_request_kind, result_rows, ARRAY_LENGTH(result_rows)},
};

static void refused(const struct kind *kind, const struct corruption *row)
{
    union any value;
    static union any received;
    make_sample(kind, &value);
    memset(&received, 0x55, sizeof received);
    corrupt(&value, row);
    struct error error = {.pointer = "none"};
    int code = send(kind, &value, &received, &error);
    if (code != row->code || strcmp(error.pointer, row->pointer) != 0)
        fail_msg("%s: %d \"%s\" instead of %d %s", kind->name, code, error.pointer, row->code,
                 row->pointer);
    assert_int_equal(((const unsigned char *)&received)[0], 0x55);
}

static void test_every_field_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        for (size_t k = 0; k < refusals[i].count; k++)
            refused(refusals[i].kind, &refusals[i].rows[k]);
    }
}

static void test_a_task_that_is_wrong_still_names_its_attempt(void **state)
{
    (void)state;
    union any value;
    union any received;
    struct error error;
    make_sample(&lease_response_kind, &value);
    value.lease_response.task.recipe.batch = 0;
    assert_int_equal(send(&lease_response_kind, &value, &received, &error), -EINVAL);
    assert_string_equal(error.pointer, "/task/recipe/batch");
    assert_int_equal(received.lease_response.task.attempt, value.lease_response.task.attempt);
    assert_int_equal(received.lease_response.task.epoch, value.lease_response.task.epoch);
}

/* ---- no bytes do harm ---- */

static bool is_documented(int code)
{
    return code == 0 || code == -EBADMSG || code == -EINVAL || code == -EDOM || code == -EMSGSIZE;
}

static void try_bytes(const uint8_t *bytes, size_t length)
{
    static union any value;
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        struct error error;
        int code = kinds[k]->unpack(bytes, length, &value, &error);
        assert_true(is_documented(code));
        if (code < 0)
            continue;
        struct buffer again;
        buffer_init(&again, WORKER_API_BODY_MAX);
        assert_int_equal(kinds[k]->pack(&value, &again), 0);
        assert_int_equal(kinds[k]->unpack(again.data, again.length, &value, &error), 0);
        buffer_release(&again);
    }
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void test_damaged_bodies_are_refused_or_read_but_do_no_harm(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        union any value;
        struct buffer bytes;
        make_sample(kinds[k], &value);
        buffer_init(&bytes, WORKER_API_BODY_MAX);
        assert_int_equal(kinds[k]->pack(&value, &bytes), 0);
        for (size_t cut = 0; cut <= bytes.length; cut++)
            try_bytes(bytes.data, cut);
        for (size_t i = 0; i < bytes.length; i++) {
            uint8_t kept = bytes.data[i];
            for (int n = 0; n < 8; n++) {
                bytes.data[i] = (uint8_t)next_random(&random);
                try_bytes(bytes.data, bytes.length);
            }
            bytes.data[i] = kept;
        }
        buffer_release(&bytes);
    }
}

static void test_random_bytes_do_no_harm(void **state)
{
    (void)state;
    uint64_t random = 2;
    uint8_t bytes[256];
    for (int round = 0; round < 3000; round++) {
        size_t length = next_random(&random) % sizeof bytes;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)next_random(&random);
        try_bytes(bytes, length);
    }
}

static void test_a_body_beyond_the_maximum_is_refused(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(1, WORKER_API_BODY_MAX + 1);
    assert_non_null(bytes);
    struct report_response response;
    struct error error;
    assert_int_equal(report_response_unpack(bytes, WORKER_API_BODY_MAX + 1, &response, &error),
                     -EMSGSIZE);
    free(bytes);
}

static void test_a_body_that_grows_beyond_the_maximum_when_unpacked_is_refused(void **state)
{
    (void)state;
    /* half a million slots without a device: two bytes each, and far more in memory */
    uint8_t *bytes = calloc(1, WORKER_API_BODY_MAX);
    assert_non_null(bytes);
    for (size_t i = 0; i + 1 < WORKER_API_BODY_MAX; i += 2)
        bytes[i] = 4 << 3 | 2; /* field 4, length-delimited; length 0 */
    struct register_request request;
    struct error error;
    assert_int_equal(register_request_unpack(bytes, WORKER_API_BODY_MAX, &request, &error),
                     -EMSGSIZE);
    free(bytes);
}

static void test_packing_into_a_full_buffer_is_refused(void **state)
{
    (void)state;
    struct buffer bytes;
    union any value;
    make_sample(&lease_response_kind, &value);
    buffer_init(&bytes, 16);
    assert_int_equal(lease_response_pack(&value.lease_response, &bytes), -EMSGSIZE);
    assert_int_equal(bytes.length, 0);
    buffer_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_registration_arrives_as_it_was_sent),
        cmocka_unit_test(test_the_largest_registration_arrives),
        cmocka_unit_test(test_leases_arrive_as_they_were_sent),
        cmocka_unit_test(test_reports_arrive_as_they_were_sent),
        cmocka_unit_test(test_results_arrive_as_they_were_sent),
        cmocka_unit_test(test_a_problem_with_every_data_set_arrives),
        cmocka_unit_test(test_problems_with_data_sets_are_bounded),
        cmocka_unit_test(test_values_that_only_done_has_are_not_read_otherwise),
        cmocka_unit_test(test_every_field_is_checked),
        cmocka_unit_test(test_a_task_that_is_wrong_still_names_its_attempt),
        cmocka_unit_test(test_damaged_bodies_are_refused_or_read_but_do_no_harm),
        cmocka_unit_test(test_random_bytes_do_no_harm),
        cmocka_unit_test(test_a_body_beyond_the_maximum_is_refused),
        cmocka_unit_test(test_a_body_that_grows_beyond_the_maximum_when_unpacked_is_refused),
        cmocka_unit_test(test_packing_into_a_full_buffer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
