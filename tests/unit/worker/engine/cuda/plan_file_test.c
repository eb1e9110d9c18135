/* Plans on disk: what is damaged, cut short or of another key is refused. */
#include "worker/engine/cuda/plan_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char KEY[] = "forward of conv3x3/1; cudnn 91900; device 1";
static const char JSON[] = "{\"a\": [1, 2],\n\"b\": \"\"}";

struct fixture {
    char directory[64], path[PLAN_PATH_SIZE];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/archscout-plan-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(plan_file_path(fixture->directory, KEY, fixture->path), 0);
    assert_int_equal(plan_file_write(fixture->path, KEY, 62, JSON, strlen(JSON)), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->path);
    int r = rmdir(fixture->directory); /* fails where a temporary file was left behind */
    free(fixture);
    return r;
}

static int read_code(const struct fixture *fixture, const char *key)
{
    char *json;
    size_t length;
    int64_t engine;
    int r = plan_file_read(fixture->path, key, &engine, &json, &length);
    if (r == 0)
        free(json);
    return r;
}

static void test_what_is_written_is_read(void **state)
{
    const struct fixture *fixture = *state;
    char *json;
    size_t length;
    int64_t engine;
    assert_int_equal(plan_file_read(fixture->path, KEY, &engine, &json, &length), 0);
    assert_int_equal(engine, 62);
    assert_int_equal(length, strlen(JSON));
    assert_string_equal(json, JSON);
    free(json);
}

static void test_another_key_is_refused(void **state)
{
    assert_int_equal(read_code(*state, "forward of conv3x3/1; cudnn 92000; device 1"), -ESTALE);
    assert_int_equal(read_code(*state, "forward of conv3x3/1; cudnn 91900; device 2"), -ESTALE);
    assert_int_equal(read_code(*state, "forward of conv3x3/1; cudnn 91900; device"), -ESTALE);
}

static void test_keys_have_files_of_their_own(void **state)
{
    const struct fixture *fixture = *state;
    char other[PLAN_PATH_SIZE];
    assert_int_equal(plan_file_path(fixture->directory, "another", other), 0);
    assert_string_not_equal(other, fixture->path);
}

static long file_size(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    fclose(file);
    return size;
}

static void test_every_changed_byte_is_found(void **state)
{
    const struct fixture *fixture = *state;
    const long size = file_size(fixture->path);
    for (long at = 0; at < size; at++) {
        FILE *file = fopen(fixture->path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        const int byte = fgetc(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        fputc(byte ^ 1, file);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(read_code(fixture, KEY), -EBADMSG);
        assert_int_equal(plan_file_write(fixture->path, KEY, 62, JSON, strlen(JSON)), 0);
    }
    assert_int_equal(read_code(fixture, KEY), 0);
}

static void test_every_shorter_file_is_found(void **state)
{
    const struct fixture *fixture = *state;
    for (long size = file_size(fixture->path) - 1; size >= 0; size--) {
        assert_int_equal(truncate(fixture->path, size), 0);
        assert_int_equal(read_code(fixture, KEY), -EBADMSG);
    }
}

static void test_no_file_is_no_plan(void **state)
{
    const struct fixture *fixture = *state;
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(read_code(fixture, KEY), -ENOENT);
}

static void test_a_directory_that_is_not_there_takes_no_plan(void **state)
{
    (void)state;
    assert_int_equal(plan_file_write("/tmp/archscout-no-such/x.plan", KEY, 1, JSON, 4), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_have_files_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_changed_byte_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_shorter_file_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_file_is_no_plan, setup, teardown),
        cmocka_unit_test(test_a_directory_that_is_not_there_takes_no_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
