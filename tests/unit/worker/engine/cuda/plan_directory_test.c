#include "worker/engine/cuda/plan_directory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const VARIABLES[] = {"ARCHSCOUT_CACHE", "XDG_CACHE_HOME", "HOME"};

static void variables_clear(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(VARIABLES); i++)
        unsetenv(VARIABLES[i]);
}

static int temporary_make(void **state)
{
    static char path[] = "/tmp/plan_directory_XXXXXX";
    *state = mkdtemp(path);
    return *state ? 0 : -1;
}

static void assert_directory(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
}

/* From the last variable to the first, which goes before the others. */
static void test_the_first_variable_that_is_set_says_where_and_it_is_made(void **state)
{
    static const char *const names[] = {"cudnn", "archscout/cudnn", ".cache/archscout/cudnn"};
    variables_clear();
    for (size_t i = ARRAY_LENGTH(VARIABLES); i-- > 0;) {
        char base[200], want[300], got[PLAN_DIRECTORY_SIZE];
        snprintf(base, sizeof base, "%s/%s", (const char *)*state, VARIABLES[i]);
        snprintf(want, sizeof want, "%s/%s", base, names[i]);
        setenv(VARIABLES[i], base, 1);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(plan_directory(got, NULL), 0);
            assert_string_equal(got, want);
            assert_directory(want);
        }
    }
}

static void test_without_a_variable_or_a_place_it_says_why(void **state)
{
    char path[300], got[PLAN_DIRECTORY_SIZE] = "untouched";
    struct error error = {{0}, {0}};
    variables_clear();
    setenv("HOME", "", 1);
    assert_int_equal(plan_directory(got, &error), -ENOENT);
    assert_non_null(strstr(error.message, "ARCHSCOUT_CACHE"));

    snprintf(path, sizeof path, "%s/file", (const char *)*state);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    setenv("ARCHSCOUT_CACHE", path, 1);
    assert_int_equal(plan_directory(got, &error), -ENOTDIR);
    assert_non_null(strstr(error.message, path));

    char *long_name = malloc(2 * PLAN_DIRECTORY_SIZE);
    assert_non_null(long_name);
    memset(long_name, 'x', 2 * PLAN_DIRECTORY_SIZE - 1);
    long_name[2 * PLAN_DIRECTORY_SIZE - 1] = '\0';
    setenv("ARCHSCOUT_CACHE", long_name, 1);
    assert_int_equal(plan_directory(got, &error), -ENAMETOOLONG);
    free(long_name);
    assert_string_equal(got, "untouched");
}

static int temporary_remove(void **state)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", (const char *)*state);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_variable_that_is_set_says_where_and_it_is_made),
        cmocka_unit_test(test_without_a_variable_or_a_place_it_says_why),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
