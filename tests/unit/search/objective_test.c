#include "search/objective.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct measures baseline = {{1, 1, 1000, 50, 10, 1}};

static void test_names_read_back_and_signs_say_what_is_better(void **state)
{
    (void)state;
    for (int i = 0; i < OBJECTIVE_COUNT; i++) {
        enum objective objective = OBJECTIVE_COUNT;
        assert_int_equal(objective_from_name(objective_name((enum objective)i), &objective), 0);
        assert_int_equal(objective, i);
        assert_int_equal(objective_sign(objective), i == OBJECTIVE_ACCURACY ? 1 : -1);
    }
    enum objective objective;
    assert_int_equal(objective_from_name("latency", &objective), -EINVAL);
}

static void test_reward_is_the_papers_product(void **state)
{
    (void)state;
    struct reward reward = {
        {[OBJECTIVE_ACCURACY] = 1, [OBJECTIVE_STEP_TIME] = -0.07, [OBJECTIVE_PARAMS] = -0.05}};
    struct measures measures = {{0.9, 2, 4000, 100, 20, 3}};
    double expected = 0.9 * pow(2, -0.07) * pow(4, -0.05);
    assert_true(fabs(reward_of(&reward, &measures, &baseline) - expected) < 1e-15);
}

static void test_objectives_without_an_exponent_do_not_count(void **state)
{
    (void)state;
    struct reward reward = {{[OBJECTIVE_ACCURACY] = 1}};
    struct measures measures = {{0.5, NAN, NAN, -1, 0, INFINITY}};
    assert_true(reward_of(&reward, &measures, &baseline) == 0.5);
}

static void test_accuracy_of_0_and_unbounded_products_give_0(void **state)
{
    (void)state;
    struct reward reward = {{[OBJECTIVE_ACCURACY] = 1, [OBJECTIVE_STEP_TIME] = -0.07}};
    struct measures none = {{0, 1, 1, 1, 1, 1}}, instant = {{0.5, 0, 1, 1, 1, 1}};
    assert_true(reward_of(&reward, &none, &baseline) == 0);
    assert_true(reward_of(&reward, &instant, &baseline) == 0);
    struct measures unknown = {{NAN, 1, 1, 1, 1, 1}};
    assert_true(reward_of(&reward, &unknown, &baseline) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_read_back_and_signs_say_what_is_better),
        cmocka_unit_test(test_reward_is_the_papers_product),
        cmocka_unit_test(test_objectives_without_an_exponent_do_not_count),
        cmocka_unit_test(test_accuracy_of_0_and_unbounded_products_give_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
