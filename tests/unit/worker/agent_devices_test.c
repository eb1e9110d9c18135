/* Which devices there are, asked of programs that answer well, badly, and not at all. */
#include "worker/agent_devices.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* ---- the list ---- */

static void test_devices_are_named_by_uuid_or_number(void **state)
{
    (void)state;
    char text[] = "cuda:0 GPU-5d2b6f0a-0000-4000-8000-0123456789ab 150754820096 NVIDIA H200\n"
                  "cuda:1 - 1024 -\n";
    static struct agent_devices devices;
    assert_int_equal(agent_devices_read(text, &devices, NULL), 0);
    assert_int_equal(devices.count, 2);
    assert_string_equal(devices.names[0], "cuda:GPU-5d2b6f0a-0000-4000-8000-0123456789ab");
    assert_string_equal(devices.names[1], "cuda:1");
}

static void test_what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"", -ENODEV},
        {"\n\n", -ENODEV},
        {"cuda:0\n", -EBADMSG},
        {"cuda:x - 1 -", -EBADMSG},
        {"cuda:0 UUID 1 -", -EBADMSG},
        {"cuda:0 GPU-00000000000000000000000000000000000000000000000000000000000000000000 1 -",
         -EBADMSG},
    };
    static struct agent_devices devices;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct error error;
        char text[128];
        snprintf(text, sizeof text, "%s", rows[i].text);
        assert_int_equal(agent_devices_read(text, &devices, &error), rows[i].code);
    }
    assert_int_equal(devices.count, 0);
    char *many = calloc(WIRE_SLOTS_MAX + 1, 16);
    assert_non_null(many);
    for (int i = 0; i <= WIRE_SLOTS_MAX; i++)
        memcpy(many + strlen(many), "cuda:0 - 1 -\n", sizeof "cuda:0 - 1 -\n");
    struct error error;
    assert_int_equal(agent_devices_read(many, &devices, &error), -EBADMSG);
    free(many);
}

/* ---- the program ---- */

static int ask(const char *script, uint32_t timeout_ms, struct agent_devices *ret_devices,
               struct error *error)
{
    char path[] = "/tmp/archscout-devices-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, strlen(script)), strlen(script));
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    int code = agent_devices_ask(path, "cuda:7", timeout_ms, ret_devices, error);
    unlink(path);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    return code;
}

static void test_the_program_gets_the_device_and_the_option(void **state)
{
    (void)state;
    static struct agent_devices devices;
    struct error error;
    assert_int_equal(ask("#!/bin/sh\necho noise >&2\n"
                         "test \"$*\" = --list-devices && echo \"$ARCHSCOUT_DEVICE - 1 -\"\n",
                         60000, &devices, &error),
                     0);
    assert_int_equal(devices.count, 1);
    assert_string_equal(devices.names[0], "cuda:7");
}

static void test_its_words_explain_why_there_is_none(void **state)
{
    (void)state;
    static struct agent_devices devices;
    struct error error;
    assert_int_equal(ask("#!/bin/sh\n"
                         "echo '2026-11-24T18:31:28.048Z error archscout-trainer: no GPU' >&2\n"
                         "exit 4\n",
                         60000, &devices, &error),
                     -ENODEV);
    assert_string_equal(error.message, "no GPU");
    assert_int_equal(ask("#!/bin/sh\necho 'other words' >&2\nexit 1\n", 60000, &devices, &error),
                     -ENODEV);
    assert_string_equal(error.message, "other words");
    assert_int_equal(ask("#!/bin/sh\nkill -9 $$\n", 60000, &devices, &error), -ENODEV);
    assert_has(error.message, "was killed by signal 9");
}

static void test_one_that_does_not_end_is_killed(void **state)
{
    (void)state;
    static struct agent_devices devices;
    struct error error;
    assert_int_equal(ask("#!/bin/sh\nsleep 1000\n", 100, &devices, &error), -ETIMEDOUT);
    assert_has(error.message, "does not answer and end");
}

static void test_one_that_says_too_much_is_refused(void **state)
{
    (void)state;
    static struct agent_devices devices;
    struct error error;
    assert_int_equal(
        ask("#!/bin/sh\nwhile :; do echo cuda:0 - 1 -; done\n", 60000, &devices, &error),
        -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_are_named_by_uuid_or_number),
        cmocka_unit_test(test_what_is_no_list_is_refused),
        cmocka_unit_test(test_the_program_gets_the_device_and_the_option),
        cmocka_unit_test(test_its_words_explain_why_there_is_none),
        cmocka_unit_test(test_one_that_does_not_end_is_killed),
        cmocka_unit_test(test_one_that_says_too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
