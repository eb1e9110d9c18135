#include "worker/exec_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char root[64], below[96];
};

static bool exists(const char *directory, const char *name)
{
    char path[PATH_MAX + 32];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return stat(path, &status) == 0;
}

static void put_file(const struct exec_directory *directory)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/file", directory->path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static struct exec_directory open_one(const struct place *place, const char *key)
{
    struct exec_directory directory;
    struct error error;
    assert_int_equal(exec_directory_open(place->below, key, "spare", &directory, &error), 0);
    assert_true(directory.fd >= 0 && directory.path[0] == '/');
    return directory;
}

static void test_directory_and_its_files_stay(void **state)
{
    struct place *place = *state;
    struct exec_directory directory = open_one(place, "1-0");
    char path[PATH_MAX];
    put_file(&directory);
    memcpy(path, directory.path, sizeof path);
    exec_directory_close(&directory);
    directory = open_one(place, "1-0");
    assert_string_equal(directory.path, path);
    assert_true(exists(directory.path, "file"));
    exec_directory_remove(&directory);
    assert_false(exists(place->below, "1-0"));
    assert_int_equal(directory.fd, -1);
}

static void test_one_in_use_is_not_shared(void **state)
{
    struct place *place = *state;
    struct exec_directory first = open_one(place, "1-0"), second = open_one(place, "1-0");
    assert_string_not_equal(first.path, second.path);
    assert_true(exists(place->below, "1-0-spare"));
    exec_directory_close(&first);
    exec_directory_close(&second);
}

static void test_those_used_longest_ago_go(void **state)
{
    struct place *place = *state;
    struct exec_directory used = open_one(place, "used");
    char key[32];
    const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    assert_int_equal(futimens(used.fd, long_ago), 0);
    for (int i = 0; i < EXEC_DIRECTORIES_MAX + 5; i++) {
        snprintf(key, sizeof key, "1-%d", i);
        struct exec_directory directory = open_one(place, key);
        put_file(&directory);
        const struct timespec time[2] = {{1000 + i, 0}, {1000 + i, 0}};
        assert_int_equal(futimens(directory.fd, time), 0);
        exec_directory_close(&directory);
    }
    assert_true(exists(place->below, "used"));
    assert_false(exists(place->below, "1-0"));
    assert_false(exists(place->below, "1-4"));
    assert_true(exists(place->below, "1-6"));
    snprintf(key, sizeof key, "1-%d", EXEC_DIRECTORIES_MAX + 4);
    assert_true(exists(place->below, key));
    exec_directory_close(&used);
}

static void test_root_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct exec_directory directory;
    struct error error;
    assert_true(exec_directory_open("/proc/none/below", "1-0", "2", &directory, &error) < 0);
    assert_non_null(strstr(error.message, "/proc/none/below"));
    assert_int_equal(directory.fd, -1);
    assert_string_equal(directory.path, "");
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    snprintf(place->root, sizeof place->root, "/tmp/archscout-exec-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    snprintf(place->below, sizeof place->below, "%s/a/exec", place->root);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct exec_directory whole = {.fd = -1};
    snprintf(whole.path, sizeof whole.path, "%s", place->root);
    exec_directory_remove(&whole);
    free(place);
    return 0;
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(test_directory_and_its_files_stay),
        PLACE(test_one_in_use_is_not_shared),
        PLACE(test_those_used_longest_ago_go),
        PLACE(test_root_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
