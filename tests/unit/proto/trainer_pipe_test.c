/* Messages from a trainer: nothing is lost, every field is checked, no bytes do harm. */
#include "proto/trainer_pipe.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto/sample.h"

static int send(const struct trainer_message *message, struct trainer_message *ret_message,
                struct error *error)
{
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(trainer_message_pack(message, &bytes), 0);
    int code = trainer_message_unpack(bytes.data, bytes.length, ret_message, error);
    buffer_release(&bytes);
    return code;
}

static void test_a_hello_arrives_as_it_was_sent(void **state)
{
    (void)state;
    const struct trainer_message message = sample_hello();
    struct trainer_message received;
    struct error error;
    assert_int_equal(send(&message, &received, &error), 0);
    assert_int_equal(received.kind, TRAINER_HELLO);
    assert_int_equal(received.hello.protocol, TRAINER_PROTOCOL);
    assert_string_equal(received.hello.device, "cpu");
    assert_int_equal(received.hello.dataset_count, 1);
    assert_true(received.hello.checkpoints);
    same_dataset(&message.hello.datasets[0], &received.hello.datasets[0]);
}

static void test_progress_epoch_and_result_arrive_as_they_were_sent(void **state)
{
    (void)state;
    struct trainer_message message = {.kind = TRAINER_PROGRESS, .progress = {3, UINT64_MAX}};
    struct trainer_message received;
    struct error error;
    assert_int_equal(send(&message, &received, &error), 0);
    assert_int_equal(received.kind, TRAINER_PROGRESS);
    assert_int_equal(received.progress.steps_done, 3);
    assert_true(received.progress.steps_total == UINT64_MAX);
    message = (struct trainer_message){.kind = TRAINER_EPOCH, .epoch = sample_epoch(4)};
    assert_int_equal(send(&message, &received, &error), 0);
    assert_int_equal(received.kind, TRAINER_EPOCH);
    same_epoch(&message.epoch, &received.epoch);
    message = (struct trainer_message){.kind = TRAINER_RESULT, .result = sample_result()};
    assert_int_equal(send(&message, &received, &error), 0);
    assert_int_equal(received.kind, TRAINER_RESULT);
    same_result(&message.result, &received.result);
}

static void packs_to(const struct trainer_message *message, const void *expected, size_t length)
{
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(trainer_message_pack(message, &bytes), 0);
    assert_int_equal(bytes.length, length);
    assert_memory_equal(bytes.data, expected, length);
    buffer_release(&bytes);
}

/* The examples of docs/trainer-protocol.md. */
static void test_the_bytes_are_those_of_the_documentation(void **state)
{
    (void)state;
    const struct trainer_message progress = {.kind = TRAINER_PROGRESS, .progress = {3, 8}};
    packs_to(&progress, "\x12\x04\x08\x03\x10\x08", 6);
    const struct trainer_message hello = {.kind = TRAINER_HELLO,
                                          .hello = {.protocol = 1, .device = "cpu"}};
    packs_to(&hello,
             "\x0a\x07\x08\x01\x12\x03"
             "cpu",
             9);
}

static void refused(const struct trainer_message *message, int code, const char *pointer)
{
    struct trainer_message received;
    struct error error = {.pointer = "none"};
    assert_int_equal(send(message, &received, &error), code);
    assert_string_equal(error.pointer, pointer);
}

static void test_wrong_fields_are_refused(void **state)
{
    (void)state;
    struct trainer_message message = sample_hello();
    message.hello.device[0] = '\0';
    refused(&message, -EINVAL, "/hello/device");
    message = sample_hello();
    message.hello.datasets[0].train_images = 0;
    refused(&message, -EINVAL, "/hello/datasets/0/train_images");
    message = (struct trainer_message){.kind = TRAINER_PROGRESS, .progress = {4, 3}};
    refused(&message, -EINVAL, "/progress/steps_done");
    message = (struct trainer_message){.kind = TRAINER_EPOCH, .epoch = sample_epoch(0)};
    refused(&message, -EINVAL, "/epoch/number");
    message = (struct trainer_message){.kind = TRAINER_RESULT, .result = sample_result()};
    message.result.step_time.baseline_s = 0;
    refused(&message, -EINVAL, "/result/step_time/baseline_s");
}

static void test_a_result_may_have_no_step_time(void **state)
{
    (void)state;
    struct error error = {.pointer = ""};
    struct trainer_message received, message = {.kind = TRAINER_RESULT, .result = sample_result()};
    message.result.step_time = (struct wire_step_time){.blocks = 0};
    assert_int_equal(send(&message, &received, &error), 0);
    assert_true(received.result.step_time.median_s == 0);
    assert_true(received.result.step_time.baseline_s == 0);
}

static void test_values_that_are_not_finite_are_told_apart(void **state)
{
    (void)state;
    struct trainer_message message = {.kind = TRAINER_EPOCH, .epoch = sample_epoch(1)};
    struct trainer_message received = {.kind = TRAINER_HELLO};
    struct error error;
    message.epoch.train_loss = NAN;
    assert_int_equal(send(&message, &received, &error), -EDOM);
    assert_int_equal(received.kind, TRAINER_EPOCH);
    message = (struct trainer_message){.kind = TRAINER_RESULT, .result = sample_result()};
    message.result.loss = INFINITY;
    assert_int_equal(send(&message, &received, &error), -EDOM);
    assert_int_equal(received.kind, TRAINER_RESULT);
}

static void test_a_message_of_no_kind_is_refused(void **state)
{
    (void)state;
    struct trainer_message message;
    struct error error;
    assert_int_equal(trainer_message_unpack("", 0, &message, &error), -EINVAL);
    assert_int_equal(trainer_message_unpack("\x12\x7f", 2, &message, &error), -EBADMSG);
    const struct trainer_message unknown = {.kind = (enum trainer_message_kind)9};
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    assert_int_equal(trainer_message_pack(&unknown, &bytes), -EINVAL);
    buffer_release(&bytes);
}

static void test_a_trainer_hands_a_task_back_with_a_checkpoint(void **state)
{
    (void)state;
    struct trainer_message message = sample_checkpoint_written();
    struct trainer_message received;
    struct error error;
    assert_int_equal(send(&message, &received, &error), 0);
    assert_int_equal(received.kind, TRAINER_CHECKPOINT);
    assert_string_equal(received.checkpoint.path, message.checkpoint.path);
    same_checkpoint(&received.checkpoint.checkpoint, &message.checkpoint.checkpoint);
    message = (struct trainer_message){.kind = TRAINER_RESULT, .result = sample_result()};
    message.result.outcome = WIRE_OUTCOME_RETURNED;
    assert_int_equal(send(&message, &received, &error), 0);
    assert_int_equal(received.result.outcome, WIRE_OUTCOME_RETURNED);
    message = sample_checkpoint_written();
    message.checkpoint.path[0] = '\0';
    refused(&message, -EINVAL, "/checkpoint");
    message = sample_checkpoint_written();
    message.checkpoint.checkpoint.bytes = 0;
    refused(&message, -EINVAL, "/checkpoint/checkpoint/bytes");
}

static void test_damaged_messages_do_no_harm(void **state)
{
    (void)state;
    uint64_t random = 3;
    struct trainer_message samples[] = {
        sample_hello(),
        {.kind = TRAINER_PROGRESS, .progress = {300, 70000}},
        {.kind = TRAINER_EPOCH, .epoch = sample_epoch(2)},
        {.kind = TRAINER_RESULT, .result = sample_result()},
        sample_checkpoint_written(),
    };
    for (size_t k = 0; k < ARRAY_LENGTH(samples); k++) {
        struct buffer bytes;
        buffer_init(&bytes, WORKER_API_BODY_MAX);
        assert_int_equal(trainer_message_pack(&samples[k], &bytes), 0);
        for (int round = 0; round < 5000; round++) {
            uint8_t damaged[512];
            struct trainer_message message;
            struct error error;
            assert_true(bytes.length <= sizeof damaged);
            memcpy(damaged, bytes.data, bytes.length);
            for (int n = 0; n < 3; n++) {
                random = random * UINT64_C(6364136223846793005) + 1;
                damaged[(random >> 33) % bytes.length] = (uint8_t)(random >> 25);
            }
            int code = trainer_message_unpack(damaged, bytes.length, &message, &error);
            assert_true(code == 0 || code == -EBADMSG || code == -EINVAL || code == -EDOM);
        }
        buffer_release(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_arrives_as_it_was_sent),
        cmocka_unit_test(test_progress_epoch_and_result_arrive_as_they_were_sent),
        cmocka_unit_test(test_the_bytes_are_those_of_the_documentation),
        cmocka_unit_test(test_wrong_fields_are_refused),
        cmocka_unit_test(test_a_result_may_have_no_step_time),
        cmocka_unit_test(test_values_that_are_not_finite_are_told_apart),
        cmocka_unit_test(test_a_message_of_no_kind_is_refused),
        cmocka_unit_test(test_a_trainer_hands_a_task_back_with_a_checkpoint),
        cmocka_unit_test(test_damaged_messages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
