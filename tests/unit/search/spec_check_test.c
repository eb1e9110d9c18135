/* Limits that nothing meets, over many random spaces: what is refused cannot be met, and the values that the refusal names
 * are accepted and are the nearest. */
#include "search/random.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SPACE_SIZE = 4096, SPACES = 150, LARGE_SPACES = 12 };

#define LARGE_SPACE "{\"preset\": \"efficientnetv2-s\"}"

static void append(char text[SPACE_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(char text[SPACE_SIZE], const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text + used, SPACE_SIZE - used, format, arguments);
    va_end(arguments);
    assert_in_range(length, 0, SPACE_SIZE - used - 1);
}

/* One to four stages of up to five unlike options, some of which go against each other in params, macs and memory. */
static void random_space_text(struct random_stream *random, char ret_text[SPACE_SIZE])
{
    static const char *const blocks[] = {"conv", "mbconv", "fused_mbconv"};
    ret_text[0] = '\0';
    append(ret_text, "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, \"stages\": [");
    uint64_t stages = 1 + random_below(random, 4);
    for (uint64_t i = 0; i < stages; i++) {
        append(ret_text, "%s{\"alternatives\": [", i > 0 ? ", " : "");
        uint64_t options = 1 + random_below(random, 5);
        for (uint64_t j = 0; j < options; j++) {
            uint64_t block = random_below(random, ARRAY_LENGTH(blocks));
            append(ret_text, "%s{\"block\": \"%s\", \"kernel\": %d, ", j > 0 ? ", " : "",
                   blocks[block], random_below(random, 2) ? 3 : 5);
            if (block > 0)
                append(ret_text, "\"expansion\": %" PRIu64 ", ", 1 + random_below(random, 4));
            append(ret_text,
                   "\"layers\": %" PRIu64 ", \"channels\": %" PRIu64 ", \"stride\": %" PRIu64 "}",
                   1 + random_below(random, 4), 8 * (1 + random_below(random, 5)),
                   1 + random_below(random, 2));
        }
        append(ret_text, "]}");
    }
    append(ret_text, "]}");
}

/* A submission; *ret_spec may be NULL. */
static int submit(const char *space, const uint64_t limits[LIMIT_COUNT], struct spec **ret_spec,
                  struct error *error)
{
    char json[SPACE_SIZE + 512], members[256] = "";
    size_t used = 0;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (limits[i] != 0)
            used += (size_t)snprintf(members + used, sizeof members - used, "%s\"%s\": %" PRIu64,
                                     used > 0 ? ", " : "", limit_name((enum limit)i), limits[i]);
    }
    int length = snprintf(json, sizeof json,
                          "{\"dataset\": {\"name\": \"fashion-mnist\"}, \"space\": %s,"
                          " \"recipe\": {\"image_size\": 64}, \"constraints\": {%s}}",
                          space, members);
    struct spec *spec = NULL;
    int r = spec_parse(json, (size_t)length, NULL, &spec, error);
    if (r == 0 && ret_spec)
        *ret_spec = spec;
    else
        spec_free(spec);
    return r;
}

static struct spec *unlimited(const char *space)
{
    struct spec *spec = NULL;
    struct error error = {.message = ""};
    if (submit(space, (uint64_t[LIMIT_COUNT]){0}, &spec, &error) != 0)
        fail_msg("%s: %s", error.pointer, error.message);
    return spec;
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

/* The least of figure `limit` among all encodings that meet the limits other than its own; 0 where there is none. */
static uint64_t least_under(const struct spec *spec, const uint64_t limits[LIMIT_COUNT], int limit)
{
    struct encoding encoding = {{0}};
    uint64_t least = 0;
    do {
        struct cost cost = pricing_cost(spec->pricing, &encoding);
        bool met = true;
        for (int i = 0; i < LIMIT_COUNT; i++)
            met = met && (i == limit || limits[i] == 0 ||
                          limit_of_cost(&cost, (enum limit)i) <= limits[i]);
        uint64_t figure = limit_of_cost(&cost, (enum limit)limit);
        if (met && (least == 0 || figure < least))
            least = figure;
    } while (next_encoding(spec->space, &encoding));
    return least;
}

/* Raises the limits to the values that a refusal names; the set of those raised. */
static unsigned raise_to_named(const struct error *error, uint64_t limits[LIMIT_COUNT])
{
    unsigned raised = 0;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        char phrase[64];
        snprintf(phrase, sizeof phrase, "%s must be at least ", limit_name((enum limit)i));
        const char *found = strstr(error->message, phrase);
        if (!found)
            continue;
        uint64_t value = strtoull(found + strlen(phrase), NULL, 10);
        assert_true(value > limits[i] && limits[i] != 0);
        limits[i] = value;
        raised |= 1U << i;
    }
    return raised;
}

/* Limits around the least of each figure of the set. */
static void random_limits(const struct spec *spec, struct random_stream *random, unsigned set,
                          uint64_t ret_limits[LIMIT_COUNT])
{
    struct cost least = pricing_minimum(spec->pricing);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t percent = 80 + random_below(random, 45);
        ret_limits[i] = set >> i & 1 ? limit_of_cost(&least, (enum limit)i) * percent / 100 : 0;
    }
}

/* How often each number of limits had to be raised. */
struct tally {
    uint32_t raised[LIMIT_COUNT + 1];
};

static void assert_refusal_is_right(const char *space, const struct spec *spec,
                                    const uint64_t limits[LIMIT_COUNT], struct tally *tally)
{
    struct error error = {.message = ""};
    uint64_t needed[LIMIT_COUNT], slightly_less[LIMIT_COUNT];
    memcpy(needed, limits, sizeof needed);
    bool can_be_met = false, one_is_enough = false;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t least = limits[i] != 0 ? least_under(spec, limits, i) : 0;
        can_be_met = can_be_met || (least != 0 && least <= limits[i]);
        one_is_enough = one_is_enough || least != 0;
    }
    int r = submit(space, limits, NULL, &error);
    assert_int_equal(r, can_be_met ? 0 : -EINVAL);
    tally->raised[0] += r == 0;
    if (r == 0)
        return;
    unsigned raised = raise_to_named(&error, needed);
    assert_true(raised != 0);
    assert_int_equal(__builtin_popcount(raised) == 1, one_is_enough);
    tally->raised[__builtin_popcount(raised)]++;
    assert_null(strstr(error.message, "as far as was searched"));
    assert_int_equal(submit(space, needed, NULL, &error), 0);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        memcpy(slightly_less, needed, sizeof needed);
        slightly_less[i]--;
        if (__builtin_popcount(raised) == 1 && raised >> i & 1)
            assert_int_equal(submit(space, slightly_less, NULL, &error), -EINVAL);
    }
}

static void test_named_values_are_accepted_and_the_nearest(void **state)
{
    (void)state;
    struct tally tally = {{0}};
    for (uint64_t seed = 0; seed < SPACES; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        char space[SPACE_SIZE];
        random_space_text(&random, space);
        struct spec *spec = unlimited(space);
        for (unsigned set = 1; set < 1U << LIMIT_COUNT; set++) {
            uint64_t limits[LIMIT_COUNT];
            random_limits(spec, &random, set, limits);
            assert_refusal_is_right(space, spec, limits, &tally);
        }
        spec_free(spec);
    }
    for (int i = 0; i <= LIMIT_COUNT; i++)
        assert_in_range(tally.raised[i], 20, SPACES * 7);
}

/* In a space too large to go through, with limits that pull apart: what is named is accepted. */
static void test_named_values_are_accepted_in_a_large_space(void **state)
{
    (void)state;
    struct spec *spec = unlimited(LARGE_SPACE);
    uint32_t refused = 0;
    for (uint64_t seed = 0; seed < LARGE_SPACES; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        struct error error = {.message = ""};
        uint64_t limits[LIMIT_COUNT];
        random_limits(spec, &random, 1 + (unsigned)seed % 7, limits);
        if (submit(LARGE_SPACE, limits, NULL, &error) == 0)
            continue;
        refused++;
        assert_true(raise_to_named(&error, limits) != 0);
        if (submit(LARGE_SPACE, limits, NULL, &error) != 0)
            fail_msg("seed %" PRIu64 ": %s", seed, error.message);
    }
    assert_in_range(refused, LARGE_SPACES / 3, LARGE_SPACES);
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_values_are_accepted_and_the_nearest),
        cmocka_unit_test(test_named_values_are_accepted_in_a_large_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
