#include "search/attributes.h"
#include "search/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

/* Random123's kat_vectors, philox4x32 with 10 rounds. */
static void test_generator_equals_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint32_t block[RANDOM_BLOCK_WORDS];
        random_philox(cases[i].counter, cases[i].key, block);
        for (size_t j = 0; j < RANDOM_BLOCK_WORDS; j++)
            assert_int_equal(block[j], cases[i].block[j]);
    }
}

/* Seed, stream, purpose and block number each have their own bits of key and counter. */
static void test_stream_lays_out_key_and_counter_as_documented(void **state)
{
    (void)state;
    struct random_stream stream = random_stream_of(UINT64_C(0x1122334455667788),
                                                   UINT64_C(0xa1a2a3a4a5a6a7a8), RANDOM_SHUFFLE);
    for (uint32_t block_number = 0; block_number < 3; block_number++) {
        uint32_t counter[4] = {block_number, 4u << 24, 0xa5a6a7a8, 0xa1a2a3a4};
        uint32_t key[2] = {0x55667788, 0x11223344}, block[RANDOM_BLOCK_WORDS];
        random_philox(counter, key, block);
        for (size_t i = 0; i < RANDOM_BLOCK_WORDS; i++)
            assert_int_equal(random_u32(&stream), block[i]);
    }
}

static void test_streams_differ_by_seed_stream_and_purpose(void **state)
{
    (void)state;
    struct random_stream streams[] = {
        random_stream_of(1, 0, RANDOM_PROPOSAL), random_stream_of(2, 0, RANDOM_PROPOSAL),
        random_stream_of(1, 1, RANDOM_PROPOSAL), random_stream_of(1, 0, RANDOM_MUTATION)};
    uint64_t first[ARRAY_LENGTH(streams)];
    for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
        first[i] = random_u64(&streams[i]);
        for (size_t j = 0; j < i; j++)
            assert_true(first[i] != first[j]);
    }
}

static void test_below_reaches_every_value_evenly(void **state)
{
    (void)state;
    enum { BOUND = 7, DRAWS = 70000 };
    struct random_stream stream = random_stream_of(5, 0, RANDOM_PROPOSAL);
    int counts[BOUND] = {0};
    for (int i = 0; i < DRAWS; i++)
        counts[random_below(&stream, BOUND)]++;
    for (int i = 0; i < BOUND; i++)
        assert_in_range(counts[i], DRAWS / BOUND - 500, DRAWS / BOUND + 500);
}

/* Of a bound of 3/4 of all 64-bit numbers, taking the high half of a product alone would give every third value twice as
 * often as the others. */
static void test_below_is_even_where_the_bound_does_not_divide_the_range(void **state)
{
    (void)state;
    enum { DRAWS = 30000 };
    struct random_stream stream = random_stream_of(9, 0, RANDOM_PROPOSAL);
    int counts[3] = {0};
    for (int i = 0; i < DRAWS; i++)
        counts[random_below(&stream, UINT64_C(3) << 62) % 3]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], DRAWS / 3 - 500, DRAWS / 3 + 500);
}

static void test_below_stays_below_any_bound(void **state)
{
    (void)state;
    struct random_stream stream = random_stream_of(6, 0, RANDOM_PROPOSAL);
    static const uint64_t bounds[] = {1,         2, 3, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1,
                                      UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(bounds); i++) {
        for (int j = 0; j < 1000; j++)
            assert_true(random_below(&stream, bounds[i]) < bounds[i]);
    }
}

static void test_unit_is_in_its_interval_with_the_right_mean(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct random_stream stream = random_stream_of(7, 0, RANDOM_AUGMENT);
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        double value = random_unit(&stream);
        assert_true(value >= 0 && value < 1);
        sum += value;
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 0.005);
}

static void test_normal_has_mean_0_and_variance_1(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct random_stream stream = random_stream_of(8, 0, RANDOM_WEIGHTS);
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < DRAWS; i++) {
        double value = random_normal(&stream);
        assert_true(isfinite(value));
        sum += value;
        squares += value * value;
        fourth += value * value * value * value;
    }
    assert_true(fabs(sum / DRAWS) < 0.02);
    assert_true(fabs(squares / DRAWS - 1) < 0.03);
    assert_true(fabs(fourth / DRAWS - 3) < 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator_equals_the_published_vectors),
        cmocka_unit_test(test_stream_lays_out_key_and_counter_as_documented),
        cmocka_unit_test(test_streams_differ_by_seed_stream_and_purpose),
        cmocka_unit_test(test_below_reaches_every_value_evenly),
        cmocka_unit_test(test_below_is_even_where_the_bound_does_not_divide_the_range),
        cmocka_unit_test(test_below_stays_below_any_bound),
        cmocka_unit_test(test_unit_is_in_its_interval_with_the_right_mean),
        cmocka_unit_test(test_normal_has_mean_0_and_variance_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
