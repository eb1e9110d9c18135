/* Features: one architecture has one vector, and different ones differ. */
#include "search/features.h"
#include "search/random.h"
#include "tests/unit/search/specs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENDS "\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}"
#define MAYBE                                                                                      \
    "{\"alternatives\": [{\"block\": \"identity\"},"                                               \
    " {\"block\": \"mbconv\", \"layers\": [1, 2], \"kernel\": [3, 5], \"expansion\": 3},"          \
    " {\"block\": \"conv\"}, {\"block\": \"fused_mbconv\", \"expansion\": [1, 4], \"se\": 0.25}]," \
    " \"channels\": "

/* A run of three stages, of which the first halves the resolution, a run of two, and a stage with two widths. */
static const char runs[] =
    "{" ENDS ", \"stages\": ["
    "{\"block\": [\"conv\", \"mbconv\"], \"channels\": 8, \"stride\": 2}," MAYBE "8}," MAYBE "8},"
    "{\"block\": \"mbconv\", \"expansion\": [3, 6], \"channels\": 16,"
    " \"stride\": 2}," MAYBE "16},"
    "{\"block\": \"conv\", \"channels\": [16, 24], \"stride\": [1, 2]}]}";

static struct encoding random_encoding(const struct space *space, struct random_stream *random)
{
    struct encoding encoding = {{0}};
    for (uint32_t i = 0; i < space_stage_count(space); i++)
        encoding.choices[i] = (uint16_t)random_below(random, space_option_count(space, i));
    return encoding;
}

static bool same_features(const struct features *features, const struct encoding *a,
                          const struct encoding *b)
{
    struct feature_vector x, y;
    features_of(features, a, &x);
    features_of(features, b, &y);
    bool same = true;
    for (uint32_t i = 0; i < features->count; i++)
        same = same && x.values[i] == y.values[i];
    return same && memcmp(x.trends, y.trends, sizeof x.trends) == 0;
}

/* Of stages that end a run of several widths, blocks can move into the run: those are left out here. */
static void test_equal_architectures_have_equal_features_and_others_do_not(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    struct spec *spec = specs_with(runs, "");
    struct random_stream random = random_stream_of(1, 0, RANDOM_PROPOSAL);
    struct features features;
    features_init(&features, spec->space, spec->pricing);
    static struct encoding encodings[COUNT];
    static struct architecture architectures[COUNT];
    uint32_t equal = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        encodings[i] = random_encoding(spec->space, &random);
        encodings[i].choices[5] = 3;
        space_architecture(spec->space, &encodings[i], &architectures[i]);
        for (uint32_t j = 0; j < i; j++) {
            const bool same = architecture_equal(&architectures[i], &architectures[j]);
            equal += same;
            assert_int_equal(same_features(&features, &encodings[i], &encodings[j]), same);
        }
    }
    assert_true(equal > 20);
    spec_free(spec);
}

static void test_features_lie_within_a_range_of_one(void **state)
{
    (void)state;
    struct spec *spec = specs_with("{\"preset\": \"efficientnetv2-small-images\"}", "");
    struct random_stream random = random_stream_of(2, 0, RANDOM_PROPOSAL);
    struct features features;
    double low[FEATURES_MAX], high[FEATURES_MAX];
    features_init(&features, spec->space, spec->pricing);
    assert_int_equal(features.slot_count, 4);
    for (uint32_t i = 0; i < features.count; i++) {
        low[i] = INFINITY;
        high[i] = -INFINITY;
    }
    for (uint32_t n = 0; n < 2000; n++) {
        const struct encoding encoding = random_encoding(spec->space, &random);
        struct feature_vector vector;
        features_of(&features, &encoding, &vector);
        for (uint32_t i = 0; i < features.count; i++) {
            low[i] = fmin(low[i], vector.values[i]);
            high[i] = fmax(high[i], vector.values[i]);
        }
    }
    for (uint32_t i = 0; i < features.count; i++)
        assert_true(fabs(high[i] - low[i] - 1) < 1e-9);
    spec_free(spec);
}

static void test_what_never_varies_is_no_feature(void **state)
{
    (void)state;
    struct spec *spec =
        specs_with("{" ENDS ", \"stages\": [{\"block\": \"mbconv\", \"channels\": 8},"
                   " {\"block\": \"mbconv\", \"kernel\": [3, 5], \"channels\": 16}]}",
                   "");
    struct features features;
    features_init(&features, spec->space, spec->pricing);
    assert_int_equal(features.count, 1);
    assert_int_equal(features.slot_count, 1);
    spec_free(spec);
}

static void test_trends_are_logarithms_of_the_costs(void **state)
{
    (void)state;
    struct spec *spec = specs_with(runs, "");
    struct features features;
    struct feature_vector vector;
    const struct encoding encoding = {{1, 2, 0, 1, 3, 1}};
    const struct cost cost = pricing_cost(spec->pricing, &encoding);
    features_init(&features, spec->space, spec->pricing);
    features_of(&features, &encoding, &vector);
    assert_true(vector.trends[0] == log((double)cost.params));
    assert_true(vector.trends[1] == log((double)cost.macs));
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_architectures_have_equal_features_and_others_do_not),
        cmocka_unit_test(test_features_lie_within_a_range_of_one),
        cmocka_unit_test(test_what_never_varies_is_no_feature),
        cmocka_unit_test(test_trends_are_logarithms_of_the_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
