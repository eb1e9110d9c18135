/* Files are read whole within a maximum, and written whole or not at all. */
#include "cli/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/archscout-file-test-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path_of("a"));
    return rmdir(directory);
}

static void test_what_is_written_is_read_back(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    assert_int_equal(file_write(path_of("a"), "hello\0world", 11), 0);
    assert_int_equal(file_read(path_of("a"), 100, &text, &length), 0);
    assert_int_equal(length, 11);
    assert_memory_equal(text, "hello\0world", 12);
    free(text);
}

static void test_a_file_that_exists_is_replaced_and_keeps_the_usual_permissions(void **state)
{
    (void)state;
    mode_t mask = umask(027);
    assert_int_equal(file_write(path_of("a"), "a longer text", 13), 0);
    assert_int_equal(file_write(path_of("a"), "short", 5), 0);
    umask(mask);
    struct stat status;
    assert_int_equal(stat(path_of("a"), &status), 0);
    assert_int_equal(status.st_size, 5);
    assert_int_equal(status.st_mode & 0777, 0640);
}

/* Nothing but the file is left in its folder: remove_directory checks it. */
static void test_a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    assert_int_equal(file_write(path_of("folder"), "x", 1), -EISDIR);
    assert_int_equal(rmdir(path_of("folder")), 0);
    assert_int_equal(file_write("/nonexistent/a", "x", 1), -ENOENT);
}

static void test_wrong_reads_say_why(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    assert_int_equal(file_read(path_of("nothing"), 100, &text, &length), -ENOENT);
    assert_int_equal(file_read(directory, 100, &text, &length), -EISDIR);
    assert_int_equal(file_write(path_of("a"), "12345678901", 11), 0);
    assert_int_equal(file_read(path_of("a"), 10, &text, &length), -EFBIG);
    assert_int_equal(file_read(path_of("a"), 11, &text, &length), 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_a_file_that_exists_is_replaced_and_keeps_the_usual_permissions),
        cmocka_unit_test(test_a_failed_write_leaves_nothing),
        cmocka_unit_test(test_wrong_reads_say_why),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
