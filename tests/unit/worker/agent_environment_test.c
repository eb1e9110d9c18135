#include "worker/agent_environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_variables_replace_add_and_remove(void **state)
{
    (void)state;
    char *const base[] = {"PATH=/bin", "OLD=1", "GONE=x", "OLDER=2", NULL};
    const struct variable variables[] = {{"OLD", "new"}, {"GONE", NULL}, {"ADDED", ""}};
    char **environment = NULL;
    assert_int_equal(environment_new(base, variables, 3, &environment), 0);
    assert_string_equal(environment[0], "PATH=/bin");
    assert_string_equal(environment[1], "OLDER=2");
    assert_string_equal(environment[2], "OLD=new");
    assert_string_equal(environment[3], "ADDED=");
    assert_null(environment[4]);
    environment_free(environment);
    environment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables_replace_add_and_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
