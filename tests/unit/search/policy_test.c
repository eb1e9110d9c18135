/* Policies: gradients against finite differences, distributions against counts, and that they go uphill. */
#include "search/policy.h"
#include "tests/unit/search/specs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 12 };

/* 4 x 2 x 3 encodings. */
static const char space[] =
    "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, \"stages\": ["
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3, 4], \"channels\": 8},"
    "{\"block\": \"mbconv\", \"layers\": 1, \"kernel\": [3, 5], \"channels\": 9},"
    "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 10}]}";

/* Half of the encodings meet the limit. */
static struct spec *limited_spec(void)
{
    struct spec *spec = specs_with(space, "");
    char members[128];
    struct cost middle = pricing_cost(spec->pricing, &(struct encoding){{2, 1, 0}});
    spec_free(spec);
    snprintf(members, sizeof members, ", \"constraints\": {\"macs_max\": %llu}",
             (unsigned long long)middle.macs);
    return specs_with(space, members);
}

static void policy_shuffle(struct policy *policy, uint64_t seed)
{
    struct random_stream random = random_stream_of(seed, 0, RANDOM_WEIGHTS);
    for (uint32_t i = 0; i < policy->logit_count; i++)
        policy->logits[i] = 2 * random_unit(&random) - 1;
}

static bool next_encoding(const struct space *of, struct encoding *encoding)
{
    for (uint32_t i = 0; i < space_stage_count(of); i++) {
        if (++encoding->choices[i] < space_option_count(of, i))
            return true;
        encoding->choices[i] = 0;
    }
    return false;
}

static void test_draws_follow_the_probabilities_and_the_limits(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    struct spec *spec = limited_spec();
    struct policy policy;
    static uint32_t counts[4][2][3];
    struct random_stream random = random_stream_of(1, 0, RANDOM_POLICY);
    assert_int_equal(policy_init(&policy, spec), 0);
    policy_shuffle(&policy, 5);
    for (int i = 0; i < DRAWS; i++) {
        struct encoding encoding;
        assert_true(policy_draw(&policy, 1, &random, &encoding));
        counts[encoding.choices[0]][encoding.choices[1]][encoding.choices[2]]++;
    }
    struct encoding encoding = {{0}};
    double sum = 0;
    uint32_t feasible = 0;
    do {
        struct cost cost = pricing_cost(spec->pricing, &encoding);
        uint32_t count = counts[encoding.choices[0]][encoding.choices[1]][encoding.choices[2]];
        if (!spec_feasible(spec, &cost)) {
            assert_int_equal(count, 0);
            continue;
        }
        double probability = exp(policy_log_probability(&policy, &encoding));
        double deviation = sqrt(DRAWS * probability * (1 - probability));
        assert_true(fabs(count - DRAWS * probability) <= 5 * deviation + 1);
        sum += probability;
        feasible++;
    } while (next_encoding(spec->space, &encoding));
    assert_true(fabs(sum - 1) < 1e-12);
    assert_in_range(feasible, 5, 23);
    policy_release(&policy);
    spec_free(spec);
}

static void test_a_high_temperature_draws_evenly(void **state)
{
    (void)state;
    struct spec *spec = specs_with(space, "");
    struct policy policy;
    struct random_stream random = random_stream_of(1, 0, RANDOM_POLICY);
    uint32_t counts[2] = {0};
    assert_int_equal(policy_init(&policy, spec), 0);
    policy.logits[policy.first[1]] = 20;
    for (int i = 0; i < 2000; i++) {
        struct encoding encoding;
        assert_true(policy_draw(&policy, i < 1000 ? 1 : 1e6, &random, &encoding));
        counts[i / 1000] += encoding.choices[1] == 0;
    }
    assert_int_equal(counts[0], 1000);
    assert_in_range(counts[1], 400, 600);
    policy_release(&policy);
    spec_free(spec);
}

/* Samples of another policy, so that ratios differ from 1 and some are clipped. */
static void draw_samples(struct policy *policy, uint64_t seed, struct policy_sample *ret_samples)
{
    struct random_stream random = random_stream_of(seed, 1, RANDOM_POLICY);
    policy_shuffle(policy, seed + 100);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_true(policy_draw(policy, 1, &random, &ret_samples[i].encoding));
        ret_samples[i].log_probability = policy_log_probability(policy, &ret_samples[i].encoding);
        ret_samples[i].advantage = 2 * random_unit(&random) - 1;
    }
    policy_shuffle(policy, seed);
}

/* How many samples' surrogates no longer depend on the policy. */
static size_t clipped_count(struct policy *policy, const struct policy_batch *batch)
{
    size_t clipped = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct policy_sample *sample = &batch->samples[i];
        double ratio =
            exp(policy_log_probability(policy, &sample->encoding) - sample->log_probability);
        clipped += sample->advantage > 0 ? ratio > 1 + batch->clip : ratio < 1 - batch->clip;
    }
    return clipped;
}

static void assert_gradient_is_the_slope(struct policy *policy, const struct policy_batch *batch)
{
    static const double step = 1e-6;
    policy_differentiate(policy, batch);
    for (uint32_t i = 0; i < policy->logit_count; i++) {
        double logit = policy->logits[i];
        policy->logits[i] = logit + step;
        double above = policy_objective(policy, batch);
        policy->logits[i] = logit - step;
        double below = policy_objective(policy, batch);
        policy->logits[i] = logit;
        double slope = (above - below) / (2 * step);
        if (fabs(slope - policy->gradient[i]) > 1e-8)
            fail_msg("logit %u: %.12g, by differences %.12g", i, policy->gradient[i], slope);
    }
}

static void test_gradients_equal_finite_differences(void **state)
{
    (void)state;
    struct spec *specs[] = {specs_with(space, ""), limited_spec()};
    size_t clipped = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct policy policy;
        struct policy_sample samples[SAMPLES];
        assert_int_equal(policy_init(&policy, specs[seed % 2]), 0);
        draw_samples(&policy, seed, samples);
        const double entropies[] = {0, 0.3};
        for (size_t i = 0; i < ARRAY_LENGTH(entropies); i++) {
            const struct policy_batch batch = {samples, SAMPLES, 0.2, entropies[i]};
            clipped += clipped_count(&policy, &batch);
            assert_gradient_is_the_slope(&policy, &batch);
        }
        policy_release(&policy);
    }
    assert_in_range(clipped, 50, 20 * 2 * SAMPLES - 50);
    spec_free(specs[0]);
    spec_free(specs[1]);
}

static void test_steps_go_uphill(void **state)
{
    (void)state;
    struct spec *spec = limited_spec();
    struct policy policy;
    struct policy_sample samples[SAMPLES];
    assert_int_equal(policy_init(&policy, spec), 0);
    draw_samples(&policy, 3, samples);
    const struct policy_batch batch = {samples, SAMPLES, 0.2, 0.1};
    double before = policy_objective(&policy, &batch);
    for (int i = 0; i < 300; i++) {
        policy_differentiate(&policy, &batch);
        policy_ascend(&policy, 0.01);
    }
    assert_true(policy_objective(&policy, &batch) > before + 0.01);
    policy_release(&policy);
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_follow_the_probabilities_and_the_limits),
        cmocka_unit_test(test_a_high_temperature_draws_evenly),
        cmocka_unit_test(test_gradients_equal_finite_differences),
        cmocka_unit_test(test_steps_go_uphill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
