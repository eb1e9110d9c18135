/* Strategies: repeats, limits, exhaustion, and that their state is a fold over what was replayed and told. */
#include "search/random.h"
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CALLS_MAX = 600 };

#define ENDS "\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}"

/* 3 x 3 encodings with an identity each: none to four equal blocks, so 5 architectures. */
static const char five_architectures[] =
    "{" ENDS ", \"stages\": ["
    "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\", \"layers\": [1, 2]}],"
    " \"channels\": 8},"
    "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\", \"layers\": [1, 2]}],"
    " \"channels\": 8}]}";

static const char preset_space[] = "{\"preset\": \"efficientnetv2-small-images\"}";

static const char *const strategies[] = {"evolution", "grid",   "local", "model",
                                         "nsga2",     "policy", "random"};

static struct strategy *strategy_of(const struct spec *spec)
{
    struct strategy *strategy = NULL;
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    return strategy;
}

static struct spec *spec_of(const char *space, const char *strategy, const char *members)
{
    char text[512];
    snprintf(text, sizeof text, ", \"strategy\": {\"name\": \"%s\"}%s", strategy, members);
    return specs_with(space, text);
}

/* A reward that is a function of the architecture: fewer multiply-adds are better. */
static double reward_of_encoding(const struct spec *spec, const struct encoding *encoding)
{
    struct cost cost = pricing_cost(spec->pricing, encoding);
    return 1e6 / (double)cost.macs;
}

/* Two in seven candidates must never become parents: one is reported unusable, with a reward that must be ignored, and
 * one has no number for a reward. */
static bool becomes_no_parent(uint64_t candidate)
{
    return candidate % 7 == 3 || candidate % 7 == 5;
}

static void tell(struct strategy *strategy, const struct spec *spec, uint64_t candidate,
                 const struct encoding *encoding)
{
    const struct cost cost = pricing_cost(spec->pricing, encoding);
    struct observation observation = {.candidate = candidate,
                                      .usable = candidate % 7 != 3,
                                      .reward = reward_of_encoding(spec, encoding)};
    if (candidate % 7 == 3)
        observation.reward = 1e9;
    if (candidate % 7 == 5)
        observation.reward = candidate % 2 == 0 ? NAN : INFINITY;
    observation.measures.value[OBJECTIVE_ACCURACY] = observation.reward;
    observation.measures.value[OBJECTIVE_STEP_TIME] = (double)cost.activation_bytes;
    observation.measures.value[OBJECTIVE_PARAMS] = (double)cost.params;
    assert_int_equal(strategy_tell(strategy, &observation), 0);
}

static void test_names_are_sorted(void **state)
{
    (void)state;
    assert_string_equal(strategy_name(0), "evolution");
    for (size_t i = 1; strategy_name(i); i++)
        assert_true(strcmp(strategy_name(i - 1), strategy_name(i)) < 0);
}

static void test_unknown_name_is_refused(void **state)
{
    (void)state;
    struct spec *spec = spec_of(preset_space, "random", "");
    snprintf(spec->strategy.name, sizeof spec->strategy.name, "annealing");
    struct strategy *strategy = NULL;
    struct error error = {0};
    assert_int_equal(strategy_new(spec, &strategy, &error), -EINVAL);
    assert_string_equal(error.pointer, "/strategy/name");
    assert_null(strategy);
    spec_free(spec);
}

static int hash_compare(const void *a_void, const void *b_void)
{
    const uint64_t *a = a_void, *b = b_void;
    return (*a > *b) - (*a < *b);
}

static void test_proposals_meet_the_limits_and_never_repeat(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strategies); i++) {
        struct spec *spec =
            spec_of(preset_space, strategies[i],
                    ", \"constraints\": {\"params_max\": 60000, \"macs_max\": 5000000}");
        struct strategy *strategy = strategy_of(spec);
        uint64_t hashes[CALLS_MAX];
        for (uint64_t k = 0; k < CALLS_MAX; k++) {
            struct encoding encoding;
            struct architecture architecture;
            assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
            space_architecture(spec->space, &encoding, &architecture);
            struct cost cost = cost_of(&architecture, &spec->problem);
            assert_true(spec_feasible(spec, &cost));
            hashes[k] = architecture_hash(&architecture);
            tell(strategy, spec, k, &encoding);
        }
        qsort(hashes, CALLS_MAX, sizeof *hashes, hash_compare);
        for (size_t k = 1; k < CALLS_MAX; k++)
            assert_true(hashes[k - 1] != hashes[k]);
        strategy_free(strategy);
        spec_free(spec);
    }
}

static uint64_t count_proposals(const struct spec *spec, bool told)
{
    struct strategy *strategy = strategy_of(spec);
    uint64_t k = 0;
    for (;; k++) {
        struct encoding encoding;
        int r = strategy_ask(strategy, k, &encoding);
        if (r == STRATEGY_EXHAUSTED)
            break;
        assert_int_equal(r, 0);
        if (told)
            tell(strategy, spec, k, &encoding);
    }
    struct encoding encoding;
    assert_int_equal(strategy_ask(strategy, k, &encoding), STRATEGY_EXHAUSTED);
    strategy_free(strategy);
    return k;
}

static void test_small_space_is_proposed_to_its_last_architecture(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strategies); i++) {
        struct spec *spec = spec_of(five_architectures, strategies[i], "");
        assert_int_equal(count_proposals(spec, true), 5);
        assert_int_equal(count_proposals(spec, false), 5);
        spec_free(spec);
    }
}

/* Counts by enumeration what the limits leave, and expects that very number of proposals. */
static void test_limited_space_is_proposed_to_its_last_feasible_architecture(void **state)
{
    (void)state;
    struct spec *spec = spec_of(preset_space, "random", "");
    struct cost minimum = pricing_minimum(spec->pricing);
    spec_free(spec);
    char members[256];
    snprintf(
        members, sizeof members, ", \"constraints\": {\"params_max\": %llu, \"macs_max\": %llu}",
        (unsigned long long)minimum.params * 12 / 10, (unsigned long long)minimum.macs * 15 / 10);
    spec = spec_of(preset_space, "random", members);
    uint64_t feasible = 0;
    struct encoding encoding = {{0}};
    for (uint32_t stage = 0; stage < space_stage_count(spec->space);) {
        struct cost cost = pricing_cost(spec->pricing, &encoding);
        feasible += spec_feasible(spec, &cost);
        for (stage = 0; stage < space_stage_count(spec->space); stage++) {
            if (++encoding.choices[stage] < space_option_count(spec->space, stage))
                break;
            encoding.choices[stage] = 0;
        }
    }
    /* the preset's encodings are all different architectures */
    assert_in_range(feasible, 2, 5000);
    spec_free(spec);
    for (size_t i = 0; i < ARRAY_LENGTH(strategies); i++) {
        spec = spec_of(preset_space, strategies[i], members);
        assert_int_equal(count_proposals(spec, true), feasible);
        spec_free(spec);
    }
}

static bool next_encoding(const struct space *space, struct encoding *encoding)
{
    for (uint32_t i = 0; i < space_stage_count(space); i++) {
        if (++encoding->choices[i] < space_option_count(space, i))
            return true;
        encoding->choices[i] = 0;
    }
    return false;
}

/* All but every 10,000th encoding were proposed: chance hardly finds the rest, enumeration must. */
static void test_last_architectures_of_a_large_space_are_found(void **state)
{
    (void)state;
    struct spec *spec = spec_of(preset_space, "random", "");
    struct strategy *strategy = strategy_of(spec);
    uint64_t left = 0, k = 0, encodings = 0;
    struct encoding encoding = {{0}};
    do {
        if (encodings++ % 10000 == 9999)
            left++;
        else
            assert_int_equal(strategy_replay(strategy, k++, &encoding), 0);
    } while (next_encoding(spec->space, &encoding));
    assert_int_equal(left, encodings / 10000);
    for (; left > 0; left--)
        assert_int_equal(strategy_ask(strategy, k++, &encoding), 0);
    assert_int_equal(strategy_ask(strategy, k, &encoding), STRATEGY_EXHAUSTED);
    strategy_free(strategy);
    spec_free(spec);
}

/* Where chance hardly meets the limits, proposals are still drawn, not enumerated from the first encoding on. */
static void test_proposals_within_narrow_limits_are_spread(void **state)
{
    (void)state;
    struct spec *free_spec = spec_of(preset_space, "random", "");
    char members[128];
    snprintf(members, sizeof members, ", \"constraints\": {\"macs_max\": %llu}",
             (unsigned long long)pricing_minimum(free_spec->pricing).macs * 13 / 10);
    spec_free(free_spec);
    struct spec *spec = spec_of(preset_space, "random", members);
    struct strategy *strategy = strategy_of(spec);
    uint16_t before = 0;
    size_t steps_back = 0;
    for (uint64_t k = 0; k < 10; k++) {
        struct encoding encoding;
        assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
        steps_back += encoding.choices[0] < before;
        before = encoding.choices[0];
    }
    assert_true(steps_back > 1);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_calls_out_of_order_are_refused(void **state)
{
    (void)state;
    struct spec *spec = spec_of(five_architectures, "evolution", "");
    struct strategy *strategy = strategy_of(spec);
    struct encoding encoding = {{0}}, outside = {{0, 3}};
    assert_int_equal(strategy_ask(strategy, 1, &encoding), -EINVAL);
    assert_int_equal(strategy_replay(strategy, 1, &encoding), -EINVAL);
    assert_int_equal(strategy_replay(strategy, 0, &outside), -EINVAL);
    assert_int_equal(strategy_tell(strategy, &(struct observation){0, true, 1, {{0}}}), -EINVAL);
    assert_int_equal(strategy_replay(strategy, 0, &encoding), 0);
    assert_int_equal(strategy_ask(strategy, 0, &encoding), -EINVAL);
    assert_int_equal(strategy_tell(strategy, &(struct observation){0, true, 1, {{0}}}), 0);
    strategy_free(strategy);
    spec_free(spec);
}

/* What happened in a run, in order: proposals (told = false) and observations. */
struct call {
    bool told;
    uint64_t candidate;
    struct encoding encoding;
};

/* Runs a strategy with observations in random order and delay. */
static size_t random_run(const struct spec *spec, struct strategy *strategy,
                         struct random_stream *random, struct call *ret_calls)
{
    uint64_t asked = 0, waiting[CALLS_MAX];
    struct encoding encodings[CALLS_MAX];
    size_t waiting_count = 0, calls = 0, wanted = 1 + random_below(random, CALLS_MAX - 1);
    while (calls < wanted) {
        if (waiting_count > 0 && random_below(random, 2) == 0) {
            size_t index = random_below(random, waiting_count);
            uint64_t candidate = waiting[index];
            waiting[index] = waiting[--waiting_count];
            tell(strategy, spec, candidate, &encodings[candidate]);
            ret_calls[calls++] = (struct call){true, candidate, encodings[candidate]};
            continue;
        }
        int r = strategy_ask(strategy, asked, &encodings[asked]);
        if (r == STRATEGY_EXHAUSTED)
            break;
        assert_int_equal(r, 0);
        ret_calls[calls++] = (struct call){false, asked, encodings[asked]};
        waiting[waiting_count++] = asked++;
    }
    return calls;
}

static void replay(const struct spec *spec, struct strategy *strategy, const struct call *calls,
                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i].told)
            tell(strategy, spec, calls[i].candidate, &calls[i].encoding);
        else
            assert_int_equal(strategy_replay(strategy, calls[i].candidate, &calls[i].encoding), 0);
    }
}

static void assert_same_future(const struct spec *spec, struct strategy *a, struct strategy *b,
                               uint64_t asked)
{
    for (uint64_t k = asked; k < asked + 20; k++) {
        struct encoding x = {{0}}, y = {{0}};
        int r = strategy_ask(a, k, &x);
        assert_int_equal(strategy_ask(b, k, &y), r);
        if (r == STRATEGY_EXHAUSTED)
            return;
        assert_int_equal(r, 0);
        assert_memory_equal(&x, &y, sizeof x);
        assert_int_equal(strategy_parent(a), strategy_parent(b));
        tell(a, spec, k, &x);
        tell(b, spec, k, &y);
    }
}

static void assert_replay_continues(const struct spec *spec, uint64_t seed)
{
    static struct call calls[CALLS_MAX];
    struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
    struct strategy *original = strategy_of(spec), *replayed = strategy_of(spec);
    size_t count = random_run(spec, original, &random, calls);
    replay(spec, replayed, calls, count);
    uint64_t asked = 0;
    for (size_t i = 0; i < count; i++)
        asked += !calls[i].told;
    assert_same_future(spec, original, replayed, asked);
    strategy_free(original);
    strategy_free(replayed);
}

static void test_replay_gives_the_same_later_proposals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strategies); i++) {
        /* milliseconds a proposal; strategy_model_test.c has more of it */
        const uint64_t seeds = strcmp(strategies[i], "model") == 0 ? 5 : 30;
        for (uint64_t seed = 0; seed < seeds; seed++) {
            char members[256];
            snprintf(members, sizeof members, ", \"seed\": %llu%s", (unsigned long long)seed,
                     seed % 3 == 0 ? ", \"constraints\": {\"params_max\": 42000}" : "");
            bool small = seed % 5 == 4;
            struct spec *spec = spec_of(small ? five_architectures : preset_space, strategies[i],
                                        small ? "" : members);
            assert_replay_continues(spec, seed);
            spec_free(spec);
        }
    }
}

static void test_other_seed_gives_other_proposals(void **state)
{
    (void)state;
    struct spec *one = spec_of(preset_space, "random", ", \"seed\": 1");
    struct spec *two = spec_of(preset_space, "random", ", \"seed\": 2");
    struct strategy *a = strategy_of(one), *b = strategy_of(two);
    struct encoding x, y;
    assert_int_equal(strategy_ask(a, 0, &x), 0);
    assert_int_equal(strategy_ask(b, 0, &y), 0);
    assert_true(memcmp(&x, &y, sizeof x) != 0);
    strategy_free(a);
    strategy_free(b);
    spec_free(one);
    spec_free(two);
}

static uint32_t stages_changed(const struct spec *spec, const struct encoding *a,
                               const struct encoding *b)
{
    uint32_t changed = 0;
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++)
        changed += a->choices[i] != b->choices[i];
    return changed;
}

static void test_children_differ_from_their_parent_in_one_stage(void **state)
{
    (void)state;
    struct spec *spec = specs_with(preset_space, ", \"strategy\": {\"name\": \"evolution\","
                                                 " \"population\": 10, \"sample\": 3}");
    struct strategy *strategy = strategy_of(spec);
    static struct encoding encodings[CALLS_MAX];
    bool reached[4][64] = {{false}};
    for (uint64_t k = 0; k < CALLS_MAX; k++) {
        assert_int_equal(strategy_ask(strategy, k, &encodings[k]), 0);
        uint64_t parent = strategy_parent(strategy);
        if (k < 10) {
            assert_true(parent == STRATEGY_NO_PARENT);
        } else {
            assert_true(parent < k);
            /* the population is a window of 10 observations, of which two in seven do not count */
            assert_true(parent + 15 >= k);
            assert_false(becomes_no_parent(parent));
            assert_int_equal(stages_changed(spec, &encodings[parent], &encodings[k]), 1);
        }
        for (uint32_t i = 0; i < space_stage_count(spec->space) && parent < k; i++) {
            uint16_t choice = encodings[k].choices[i];
            if (choice != encodings[parent].choices[i])
                reached[i][choice] = true;
        }
        tell(strategy, spec, k, &encodings[k]);
    }
    /* of the first stage, which has 6 options, mutations reach the first as well as the last */
    for (uint32_t option = 0; option < space_option_count(spec->space, 0); option++)
        assert_true(reached[0][option]);
    strategy_free(strategy);
    spec_free(spec);
}

static void test_without_observations_evolution_draws_afresh(void **state)
{
    (void)state;
    struct spec *spec = specs_with(preset_space, ", \"strategy\": {\"name\": \"evolution\","
                                                 " \"population\": 4, \"sample\": 2}");
    struct strategy *strategy = strategy_of(spec);
    for (uint64_t k = 0; k < 20; k++) {
        struct encoding encoding;
        assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
        assert_true(strategy_parent(strategy) == STRATEGY_NO_PARENT);
    }
    strategy_free(strategy);
    spec_free(spec);
}

static double best_after(const char *strategy_object, uint64_t seed, uint64_t candidates)
{
    char members[256];
    snprintf(members, sizeof members, ", \"seed\": %llu, \"strategy\": %s",
             (unsigned long long)seed, strategy_object);
    struct spec *spec = specs_with(preset_space, members);
    struct strategy *strategy = strategy_of(spec);
    double best = 0;
    for (uint64_t k = 0; k < candidates; k++) {
        struct encoding encoding;
        assert_int_equal(strategy_ask(strategy, k, &encoding), 0);
        double reward = reward_of_encoding(spec, &encoding);
        assert_int_equal(strategy_tell(strategy, &(struct observation){k, true, reward, {{0}}}), 0);
        best = fmax(best, reward);
    }
    strategy_free(strategy);
    spec_free(spec);
    return best;
}

static void test_evolution_finds_better_architectures_than_chance(void **state)
{
    (void)state;
    static const char evolution[] = "{\"name\": \"evolution\", \"population\": 50, \"sample\": 12}";
    int wins = 0;
    for (uint64_t seed = 0; seed < 10; seed++)
        wins += best_after(evolution, seed, 300) > best_after("{\"name\": \"random\"}", seed, 300);
    assert_in_range(wins, 9, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_sorted),
        cmocka_unit_test(test_unknown_name_is_refused),
        cmocka_unit_test(test_proposals_meet_the_limits_and_never_repeat),
        cmocka_unit_test(test_small_space_is_proposed_to_its_last_architecture),
        cmocka_unit_test(test_limited_space_is_proposed_to_its_last_feasible_architecture),
        cmocka_unit_test(test_last_architectures_of_a_large_space_are_found),
        cmocka_unit_test(test_proposals_within_narrow_limits_are_spread),
        cmocka_unit_test(test_calls_out_of_order_are_refused),
        cmocka_unit_test(test_replay_gives_the_same_later_proposals),
        cmocka_unit_test(test_other_seed_gives_other_proposals),
        cmocka_unit_test(test_children_differ_from_their_parent_in_one_stage),
        cmocka_unit_test(test_without_observations_evolution_draws_afresh),
        cmocka_unit_test(test_evolution_finds_better_architectures_than_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
