/* "list": the listed architectures and no others. */
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ENDS "\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}"
#define SPACE                                                                                      \
    "{" ENDS ", \"stages\": ["                                                                     \
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 8},"                             \
    "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\"}], \"channels\": 8}]}"
#define TWO_BLOCKS                                                                                 \
    "{" ENDS ", \"stages\": [{\"block\": \"mbconv\", \"layers\": 2, \"channels\": 8}]}"

static void test_listed_architectures_are_proposed_in_order_each_once(void **state)
{
    (void)state;
    /* [0, 1] and TWO_BLOCKS are the network of [1, 0] */
    struct spec *spec =
        specs_with(SPACE, ", \"strategy\": {\"name\": \"list\", \"architectures\": ["
                          "[2, 1], [1, 0], " TWO_BLOCKS ", [0, 1], [0, 0], [2, 1]]}");
    static const struct encoding expected[] = {{{2, 1}}, {{1, 0}}, {{0, 0}}};
    struct strategy *strategy = NULL, *replayed = NULL;
    struct encoding encoding;
    assert_int_equal(spec->candidates_max, 6);
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    for (uint64_t k = 0; k < ARRAY_LENGTH(expected); k++) {
        assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
        assert_memory_equal(&encoding, &expected[k], sizeof encoding);
    }
    assert_int_equal(strategy_ask(strategy, 3, &encoding), STRATEGY_EXHAUSTED);
    assert_int_equal(strategy_new(spec, &replayed, NULL), 0);
    assert_int_equal(strategy_replay(replayed, 0, &expected[0]), 0);
    assert_int_equal(strategy_ask(replayed, 1, &encoding), 0);
    assert_memory_equal(&encoding, &expected[1], sizeof encoding);
    strategy_free(strategy);
    strategy_free(replayed);
    spec_free(spec);
}

static void test_the_budget_may_be_smaller_than_the_list(void **state)
{
    (void)state;
    struct spec *spec = specs_with(
        SPACE, ", \"strategy\": {\"name\": \"list\", \"architectures\": [[2, 1], [1, 0]]},"
               " \"budget\": {\"candidates\": 1}");
    assert_int_equal(spec->candidates_max, 1);
    assert_int_equal(spec->strategy.architecture_count, 2);
    spec_free(spec);
}

static void test_what_is_wrong_in_a_list_is_refused_with_its_index(void **state)
{
    (void)state;
    static const struct {
        const char *strategy, *pointer, *message;
    } cases[] = {
        {"\"name\": \"list\"", "/strategy/architectures", "at least one"},
        {"\"name\": \"list\", \"architectures\": []", "/strategy/architectures", "at least one"},
        {"\"name\": \"list\", \"architectures\": [[0, 0], 3]", "/strategy/architectures/1",
         "an object"},
        {"\"name\": \"list\", \"architectures\": [[0, 0], [0]]", "/strategy/architectures/1",
         "2 stages"},
        {"\"name\": \"list\", \"architectures\": [[0, 2]]", "/strategy/architectures/0/1",
         "from 0 to 1"},
        {"\"name\": \"list\", \"architectures\": [[-1, 0]]", "/strategy/architectures/0/0",
         "from 0 to 2"},
        {"\"name\": \"list\", \"architectures\": [[1.0, 0]]", "/strategy/architectures/0/0",
         "whole number"},
        {"\"name\": \"list\", \"architectures\": [{\"preset\": \"efficientnetv2-b0\"}]",
         "/strategy/architectures/0", "none of the space's"},
        {"\"name\": \"list\", \"architectures\": [[0, 0], {" ENDS ", \"stages\": ["
         "{\"block\": \"mbconv\", \"layers\": 5, \"channels\": 8}]}]",
         "/strategy/architectures/1", "none of the space's"},
        {"\"name\": \"list\", \"architectures\": [{" ENDS ", \"stages\": ["
         "{\"block\": \"mbconv\", \"layers\": 0, \"channels\": 8}]}]",
         "/strategy/architectures/0/stages/0/layers", "from 1"},
        {"\"name\": \"list\", \"architectures\": [[0, 0]], \"sample\": 2", "/strategy/sample",
         "evolution"},
        {"\"name\": \"grid\", \"architectures\": [[0, 0]]", "/strategy/architectures", "\"list\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char json[2048];
        struct spec *spec = NULL;
        struct error error = {0};
        snprintf(json, sizeof json,
                 "{\"dataset\": {\"name\": \"mnist\"}, \"space\": " SPACE ", \"strategy\": {%s}}",
                 cases[i].strategy);
        assert_int_equal(spec_parse(json, strlen(json), NULL, &spec, &error), -EINVAL);
        assert_string_equal(error.pointer, cases[i].pointer);
        if (!strstr(error.message, cases[i].message))
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].message);
    }
}

static void test_architectures_beyond_a_limit_are_refused_with_their_index(void **state)
{
    (void)state;
    struct spec *spec = specs_with(SPACE, "");
    struct cost cost = pricing_cost(spec->pricing, &(struct encoding){{1, 0}});
    spec_free(spec);
    char json[2048];
    struct error error = {0};
    for (uint64_t below = 0; below < 2; below++) {
        snprintf(json, sizeof json,
                 "{\"dataset\": {\"name\": \"fashion-mnist\"}, \"space\": " SPACE ","
                 " \"constraints\": {\"macs_max\": %llu}, \"strategy\": {\"name\": \"list\","
                 " \"architectures\": [[0, 0], [1, 0]]}}",
                 (unsigned long long)(cost.macs - below));
        int r = spec_parse(json, strlen(json), NULL, &spec, &error);
        assert_int_equal(r, below == 0 ? 0 : -EINVAL);
        if (r == 0)
            spec_free(spec);
    }
    assert_string_equal(error.pointer, "/strategy/architectures/1");
    assert_non_null(strstr(error.message, "macs_max"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listed_architectures_are_proposed_in_order_each_once),
        cmocka_unit_test(test_the_budget_may_be_smaller_than_the_list),
        cmocka_unit_test(test_what_is_wrong_in_a_list_is_refused_with_its_index),
        cmocka_unit_test(test_architectures_beyond_a_limit_are_refused_with_their_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
