/* Draws where limits leave next to nothing: feasible, new, uniform, and to the last one. */
#include "search/proposals.h"
#include "tests/unit/search/specs.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DRAWS_EACH = 50, FEASIBLE_MAX = 4096 };

/* Where almost nothing is feasible, some with limits that pull apart. */
struct scarce {
    const char *preset;
    uint32_t image_size;
    uint64_t limits[LIMIT_COUNT];
};

static const struct scarce cases[] = {
    {"efficientnetv2-small-images", 28, {44541, 0, 0}},
    {"efficientnetv2-small-images", 28, {0, 1696863, 0}},
    {"efficientnetv2-small-images", 28, {56233, 1888991, 0}},
    {"efficientnetv2-small-images", 28, {62538, 0, 230039}},
    {"efficientnetv2-small-images", 28, {73107, 2614891, 261863}},
    {"efficientnetv2-s", 128, {1929787, 0, 0}},
    {"efficientnetv2-s", 128, {2015507, 52450015, 0}},
    {"efficientnetv2-s", 128, {3486247, 0, 2772599}},
};

static struct spec *limited_spec(const struct scarce *scarce)
{
    char space[128], members[512], text[256];
    size_t used = 0;
    snprintf(space, sizeof space, "{\"preset\": \"%s\"}", scarce->preset);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (scarce->limits[i] != 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\": %" PRIu64,
                                     used > 0 ? ", " : "", limit_name((enum limit)i),
                                     scarce->limits[i]);
    }
    snprintf(members, sizeof members,
             ", \"constraints\": {%s}, \"recipe\": {\"image_size\": %" PRIu32 "}", text,
             scarce->image_size);
    return specs_with(space, members);
}

/* All encodings from `walk` on that meet the limits, in order. */
static uint32_t list_feasible(const struct spec *spec, const struct walk *walk,
                              struct encoding *prefix, struct encoding *ret_list, uint32_t count)
{
    if (walk->stage == space_stage_count(spec->space)) {
        assert_true(count < FEASIBLE_MAX);
        ret_list[count] = *prefix;
        return count + 1;
    }
    for (uint32_t i = 0; i < space_option_count(spec->space, walk->stage); i++) {
        if (!walk_may_choose(spec->pricing, walk, i, &spec->constraints))
            continue;
        struct walk next = *walk;
        prefix->choices[walk->stage] = (uint16_t)i;
        walk_choose(spec->pricing, &next, i);
        count = list_feasible(spec, &next, prefix, ret_list, count);
    }
    prefix->choices[walk->stage] = 0;
    return count;
}

static uint32_t all_feasible(const struct spec *spec, struct encoding *ret_list)
{
    struct walk walk = walk_start(spec->pricing);
    struct encoding prefix = {{0}};
    return list_feasible(spec, &walk, &prefix, ret_list, 0);
}

static int encoding_compare(const void *a_void, const void *b_void)
{
    const struct encoding *a = a_void, *b = b_void;
    for (uint32_t i = 0; i < ARCHITECTURE_STAGES_MAX; i++) {
        if (a->choices[i] != b->choices[i])
            return a->choices[i] < b->choices[i] ? -1 : 1;
    }
    return 0;
}

static void test_draws_are_uniform_where_next_to_nothing_is_feasible(void **state)
{
    (void)state;
    static struct encoding list[FEASIBLE_MAX];
    static uint32_t drawn[FEASIBLE_MAX];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct spec *spec = limited_spec(&cases[i]);
        struct random_stream random = random_stream_of(i, 0, RANDOM_PROPOSAL);
        struct proposals proposals;
        uint32_t count = all_feasible(spec, list);
        assert_in_range(count, 5, 1000);
        proposals_init(&proposals, spec);
        for (uint32_t j = 0; j < count; j++)
            drawn[j] = 0;
        for (uint32_t j = 0; j < count * DRAWS_EACH; j++) {
            struct encoding encoding;
            assert_int_equal(proposals_draw(&proposals, &random, &encoding), 0);
            struct encoding *found =
                bsearch(&encoding, list, count, sizeof *list, encoding_compare);
            assert_non_null(found);
            drawn[found - list]++;
        }
        double statistic = 0, freedom = count - 1;
        for (uint32_t j = 0; j < count; j++)
            statistic += pow((double)drawn[j] - DRAWS_EACH, 2) / DRAWS_EACH;
        assert_true(statistic <= freedom + 5 * sqrt(2 * freedom) + 5);
        proposals_release(&proposals);
        spec_free(spec);
    }
}

/* The presets' encodings are all different architectures. */
static void test_every_feasible_encoding_is_proposed_once(void **state)
{
    (void)state;
    static struct encoding list[FEASIBLE_MAX], proposed[FEASIBLE_MAX];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct spec *spec = limited_spec(&cases[i]);
        struct proposals proposals;
        uint32_t count = all_feasible(spec, list);
        proposals_init(&proposals, spec);
        for (uint32_t j = 0; j < count; j++) {
            struct random_stream random = random_stream_of(i, j, RANDOM_PROPOSAL);
            assert_int_equal(proposals_draw(&proposals, &random, &proposed[j]), 0);
            assert_int_equal(proposals_add(&proposals, &proposed[j]), 0);
        }
        struct random_stream random = random_stream_of(i, count, RANDOM_PROPOSAL);
        struct encoding encoding;
        assert_int_equal(proposals_draw(&proposals, &random, &encoding), PROPOSALS_NONE);
        qsort(proposed, count, sizeof *proposed, encoding_compare);
        for (uint32_t j = 0; j < count; j++)
            assert_int_equal(encoding_compare(&proposed[j], &list[j]), 0);
        proposals_release(&proposals);
        spec_free(spec);
    }
}

/* What is drawn depends on what was proposed, not on what was drawn before. */
static void test_draws_are_the_same_after_a_restart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct spec *spec = limited_spec(&cases[i]);
        struct proposals drawn, replayed;
        proposals_init(&drawn, spec);
        proposals_init(&replayed, spec);
        for (uint32_t k = 0; k < 5; k++) {
            struct encoding first, second;
            struct random_stream random = random_stream_of(i, k, RANDOM_PROPOSAL), again = random;
            assert_int_equal(proposals_draw(&drawn, &random, &first), 0);
            if (k == 4) {
                assert_int_equal(proposals_draw(&replayed, &again, &second), 0);
                assert_int_equal(encoding_compare(&first, &second), 0);
            }
            assert_int_equal(proposals_add(&drawn, &first), 0);
            assert_int_equal(proposals_add(&replayed, &first), 0);
        }
        proposals_release(&drawn);
        proposals_release(&replayed);
        spec_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_are_uniform_where_next_to_nothing_is_feasible),
        cmocka_unit_test(test_every_feasible_encoding_is_proposed_once),
        cmocka_unit_test(test_draws_are_the_same_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
