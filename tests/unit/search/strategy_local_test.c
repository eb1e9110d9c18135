/* "local": what it climbs, when it starts again, and what late results do. */
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NEIGHBOURS = 3 + 2 };

/* 12 architectures with 5 neighbours each. */
static const char space[] =
    "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, \"stages\": ["
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3, 4], \"channels\": 8},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 9}]}";

static struct spec *spec_new(const char *members)
{
    char text[256];
    snprintf(text, sizeof text, ", \"strategy\": {\"name\": \"local\"}%s", members);
    return specs_with(space, text);
}

static uint32_t distance(const struct encoding *a, const struct encoding *b)
{
    return (uint32_t)(a->choices[0] != b->choices[0]) + (a->choices[1] != b->choices[1]);
}

static void tell(struct strategy *strategy, uint64_t candidate, bool usable, double reward)
{
    assert_int_equal(
        strategy_tell(strategy, &(struct observation){candidate, usable, reward, {{0}}}), 0);
}

static struct encoding ask(struct strategy *strategy, uint64_t k)
{
    struct encoding encoding = {{0}};
    assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
    return encoding;
}

static void test_all_neighbours_are_proposed_before_a_new_start(void **state)
{
    (void)state;
    struct spec *spec = spec_new("");
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    struct encoding start = ask(strategy, 0);
    assert_true(strategy_parent(strategy) == STRATEGY_NO_PARENT);
    tell(strategy, 0, true, 1);
    for (uint64_t k = 1; k <= NEIGHBOURS; k++) {
        struct encoding encoding = ask(strategy, k);
        assert_int_equal(distance(&start, &encoding), 1);
        assert_int_equal(strategy_parent(strategy), 0);
        tell(strategy, k, k != 2, k == 2 ? 9 : 0.5);
    }
    struct encoding other = ask(strategy, NEIGHBOURS + 1);
    assert_int_equal(distance(&start, &other), 2);
    assert_true(strategy_parent(strategy) == STRATEGY_NO_PARENT);
    /* the new climb goes on from a start that is worse than the first one's top */
    tell(strategy, NEIGHBOURS + 1, true, 0.1);
    struct encoding next = ask(strategy, NEIGHBOURS + 2);
    assert_int_equal(distance(&other, &next), 1);
    assert_int_equal(strategy_parent(strategy), NEIGHBOURS + 1);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_the_first_better_neighbour_is_the_next_centre(void **state)
{
    (void)state;
    struct spec *spec = spec_new(", \"seed\": 3");
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    (void)ask(strategy, 0);
    tell(strategy, 0, true, 1);
    (void)ask(strategy, 1);
    tell(strategy, 1, true, 1);
    (void)ask(strategy, 2);
    assert_int_equal(strategy_parent(strategy), 0);
    struct encoding late = ask(strategy, 3);
    tell(strategy, 2, true, 2);
    (void)ask(strategy, 4);
    assert_int_equal(strategy_parent(strategy), 2);
    /* a neighbour of the former centre that is better still takes over */
    tell(strategy, 3, true, 3);
    struct encoding next = ask(strategy, 5);
    assert_int_equal(strategy_parent(strategy), 3);
    assert_int_equal(distance(&late, &next), 1);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_a_climb_goes_on_when_a_late_result_is_better(void **state)
{
    (void)state;
    struct spec *spec = spec_new("");
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    (void)ask(strategy, 0);
    tell(strategy, 0, true, 1);
    for (uint64_t k = 1; k <= NEIGHBOURS; k++)
        (void)ask(strategy, k);
    (void)ask(strategy, NEIGHBOURS + 1);
    assert_true(strategy_parent(strategy) == STRATEGY_NO_PARENT);
    tell(strategy, NEIGHBOURS + 1, true, 5);
    tell(strategy, 4, true, 2);
    (void)ask(strategy, NEIGHBOURS + 2);
    assert_int_equal(strategy_parent(strategy), 4);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_a_failed_start_is_followed_by_another(void **state)
{
    (void)state;
    struct spec *spec = spec_new("");
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    for (uint64_t k = 0; k < 4; k++) {
        (void)ask(strategy, k);
        assert_true(strategy_parent(strategy) == STRATEGY_NO_PARENT);
        tell(strategy, k, false, 1);
    }
    strategy_free(strategy);
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_neighbours_are_proposed_before_a_new_start),
        cmocka_unit_test(test_the_first_better_neighbour_is_the_next_centre),
        cmocka_unit_test(test_a_climb_goes_on_when_a_late_result_is_better),
        cmocka_unit_test(test_a_failed_start_is_followed_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
