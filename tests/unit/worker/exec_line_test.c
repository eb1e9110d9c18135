#include "worker/exec_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int read_text(const char *text, struct exec_line *ret_line, struct error *error)
{
    return exec_line_read(text, strlen(text), ret_line, error);
}

static void test_progress_is_read(void **state)
{
    (void)state;
    struct exec_line line;
    struct error error;
    assert_int_equal(
        read_text(" {\"progress\": {\"steps_done\": 3, \"steps_total\": 8}}\r", &line, &error), 0);
    assert_int_equal(line.kind, EXEC_LINE_PROGRESS);
    assert_int_equal(line.progress.steps_done, 3);
    assert_int_equal(line.progress.steps_total, 8);
}

static void test_epoch_is_read(void **state)
{
    (void)state;
    struct exec_line line;
    struct error error;
    assert_int_equal(
        read_text("{\"epoch\": {\"number\": 2, \"train_loss\": 1.5, \"train_accuracy\": 0.5, "
                  "\"validation_loss\": 2, \"validation_accuracy\": 0.25, \"seconds\": 7}}",
                  &line, &error),
        0);
    assert_int_equal(line.kind, EXEC_LINE_EPOCH);
    assert_int_equal(line.epoch.number, 2);
    assert_true(line.epoch.train_loss == 1.5 && line.epoch.train_accuracy == 0.5);
    assert_true(line.epoch.validation_loss == 2 && line.epoch.validation_accuracy == 0.25);
    assert_true(line.epoch.seconds == 7);
}

static void test_result_is_read(void **state)
{
    (void)state;
    struct exec_line line;
    struct error error;
    assert_int_equal(
        read_text(
            "{\"result\": {\"accuracy\": 0.75, \"loss\": 1, \"images\": 640, \"timing\": "
            "{\"median_seconds\": 0.5, \"baseline_seconds\": 0.25, \"spread_seconds\": 0.125, "
            "\"blocks\": 7, \"contended\": true}}}",
            &line, &error),
        0);
    assert_int_equal(line.kind, EXEC_LINE_RESULT);
    const struct wire_result *result = &line.result;
    assert_int_equal(result->outcome, WIRE_OUTCOME_DONE);
    assert_true(result->accuracy == 0.75 && result->loss == 1);
    assert_true(line.images_given && result->images == 640);
    assert_true(result->step_time.median_s == 0.5 && result->step_time.baseline_s == 0.25);
    assert_true(result->step_time.spread_s == 0.125 && result->step_time.blocks == 7);
    assert_true(result->step_time.contended);
}

static void test_step_time_may_be_left_out(void **state)
{
    static const char *const texts[] = {
        "{\"result\": {\"accuracy\": 0.75, \"loss\": 1}}",
        "{\"result\": {\"accuracy\": 0.75, \"loss\": 1, \"timing\": null}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct exec_line line;
        struct error error;
        assert_int_equal(read_text(texts[i], &line, &error), 0);
        assert_true(line.result.step_time.median_s == 0 && line.result.step_time.baseline_s == 0);
        assert_false(line.images_given);
    }
}

static void test_outcomes_are_read(void **state)
{
    static const struct {
        const char *text;
        enum wire_outcome outcome;
    } cases[] = {
        {"{\"result\": {\"outcome\": \"diverged\"}}", WIRE_OUTCOME_DIVERGED},
        {"{\"result\": {\"outcome\": \"failed\", \"message\": \"no disk\"}}", WIRE_OUTCOME_FAILED},
        {"{\"result\": {\"outcome\": \"out_of_memory\", \"memory_needed_bytes\": 5}}",
         WIRE_OUTCOME_OUT_OF_MEMORY},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct exec_line line;
        struct error error;
        assert_int_equal(read_text(cases[i].text, &line, &error), 0);
        assert_int_equal(line.result.outcome, cases[i].outcome);
        if (cases[i].outcome == WIRE_OUTCOME_FAILED)
            assert_string_equal(line.result.message, "no disk");
        if (cases[i].outcome == WIRE_OUTCOME_OUT_OF_MEMORY)
            assert_int_equal(line.result.memory_needed_bytes, 5);
    }
}

#define EPOCH_OF(loss)                                                                             \
    "{\"epoch\": {\"number\": 1, \"train_loss\": " loss ", \"train_accuracy\": 0.5, "              \
    "\"validation_loss\": 1, \"validation_accuracy\": 0.5}}"

static void test_values_that_are_not_finite_are_told_apart(void **state)
{
    static const char *const texts[] = {
        EPOCH_OF("NaN"),
        EPOCH_OF("nan"),
        EPOCH_OF("-nan"),
        EPOCH_OF("Infinity"),
        EPOCH_OF("-Infinity"),
        EPOCH_OF("inf"),
        EPOCH_OF("null"),
        EPOCH_OF("\"nan\""),
        EPOCH_OF("+inf"),
        "{\"result\": {\"accuracy\": 0.5, \"loss\": NaN}}",
        "{\"result\": {\"accuracy\": null, \"loss\": 1}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct exec_line line;
        struct error error;
        if (read_text(texts[i], &line, &error) != -EDOM)
            fail_msg("%s", texts[i]);
        assert_int_equal(line.kind, i < 9 ? EXEC_LINE_EPOCH : EXEC_LINE_RESULT);
    }
}

static void test_words_inside_of_strings_stay(void **state)
{
    (void)state;
    struct exec_line line;
    struct error error;
    assert_int_equal(
        read_text("{\"result\": {\"outcome\": \"failed\", \"message\": \"a \\\"nan\\\" -inf\"}}",
                  &line, &error),
        0);
    assert_string_equal(line.result.message, "a \"nan\" -inf");
}

static void test_what_is_no_such_line_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *pointer;
    } cases[] = {
        {"Epoch 1: loss 2.3", ""},
        {"", ""},
        {"[]", ""},
        {"7", ""},
        {"{}", ""},
        {"{\"progress\": {\"steps_done\": 1, \"steps_total\": 2}", "/progress"},
        {"{\"speed\": {}}", "/speed"},
        {"{\"progress\": {\"steps_done\": 1, \"steps_total\": 2}, \"result\": {}}", ""},
        {"{\"progress\": {\"steps_done\": 1}}", "/progress/steps_total"},
        {"{\"progress\": {\"steps_done\": 3, \"steps_total\": 2}}", "/progress/steps_done"},
        {"{\"progress\": {\"steps_done\": -1, \"steps_total\": 2}}", "/progress/steps_done"},
        {"{\"progress\": {\"steps_done\": 1.5, \"steps_total\": 2}}", "/progress/steps_done"},
        {"{\"progress\": 7}", "/progress"},
        {"{\"epoch\": {\"train_loss\": 1}}", "/epoch/number"},
        {"{\"epoch\": {\"number\": 0, \"train_loss\": 1}}", "/epoch/number"},
        {"{\"epoch\": {\"number\": 1, \"train_loss\": 1}}", "/epoch/train_accuracy"},
        {EPOCH_OF("-1"), "/epoch/train_loss"},
        {EPOCH_OF("true"), "/epoch/train_loss"},
        {EPOCH_OF("1e999"), "/epoch/train_loss"},
        {"{\"result\": {\"accuracy\": 0.5}}", "/result/loss"},
        {"{\"result\": {\"accuracy\": 1.5, \"loss\": 1}}", "/result/accuracy"},
        {"{\"result\": {\"accuracy\": 0.5, \"loss\": 1, \"top5\": 1}}", "/result/top5"},
        {"{\"result\": {\"outcome\": \"lost\"}}", "/result/outcome"},
        {"{\"result\": {\"outcome\": \"returned\"}}", "/result/outcome"},
        {"{\"result\": {\"accuracy\": 0.5, \"loss\": 1, \"timing\": {\"median_seconds\": 1}}}",
         "/result/timing/baseline_seconds"},
        {"{\"result\": {\"accuracy\": 0.5, \"loss\": 1, \"timing\": {\"median_seconds\": 0, "
         "\"baseline_seconds\": 1}}}",
         "/result/timing/median_seconds"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct exec_line line;
        struct error error = {.pointer = ""};
        int code = read_text(cases[i].text, &line, &error);
        if (code != -EINVAL || strcmp(error.pointer, cases[i].pointer) != 0 || !error.message[0])
            fail_msg("%s: %d at \"%s\": %s", cases[i].text, code, error.pointer, error.message);
    }
}

/* Of words that grow as strings, too: the line's maximum is what counts. */
static void test_long_lines_are_refused_or_read(void **state)
{
    (void)state;
    struct exec_line line;
    struct error error;
    char *text = malloc(EXEC_LINE_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, ' ', EXEC_LINE_BYTES_MAX + 1);
    memcpy(text, "{\"result\": {\"accuracy\": 1, \"loss\": 1}}", 38);
    assert_int_equal(exec_line_read(text, EXEC_LINE_BYTES_MAX, &line, &error), 0);
    assert_int_equal(exec_line_read(text, EXEC_LINE_BYTES_MAX + 1, &line, &error), -EINVAL);
    for (size_t i = 0; i + 4 <= EXEC_LINE_BYTES_MAX; i += 4)
        memcpy(text + i, "nan,", 4);
    assert_int_equal(exec_line_read(text, EXEC_LINE_BYTES_MAX, &line, &error), -EINVAL);
    memset(text, '"', EXEC_LINE_BYTES_MAX);
    text[EXEC_LINE_BYTES_MAX - 1] = '\\';
    assert_int_equal(exec_line_read(text, EXEC_LINE_BYTES_MAX, &line, &error), -EINVAL);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress_is_read),
        cmocka_unit_test(test_epoch_is_read),
        cmocka_unit_test(test_result_is_read),
        cmocka_unit_test(test_step_time_may_be_left_out),
        cmocka_unit_test(test_outcomes_are_read),
        cmocka_unit_test(test_values_that_are_not_finite_are_told_apart),
        cmocka_unit_test(test_words_inside_of_strings_stay),
        cmocka_unit_test(test_what_is_no_such_line_is_refused_with_its_place),
        cmocka_unit_test(test_long_lines_are_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
