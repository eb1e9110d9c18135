/* Encodings of architectures: every architecture of a space is found again, others are not. */
#include "search/random.h"
#include "search/space.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ENDS "\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}"

static struct space *parse(const char *json)
{
    struct space *space = NULL;
    struct error error = {0};
    if (space_parse(json, strlen(json), &space, &error) < 0)
        fail_msg("%s: %s", error.pointer, error.message);
    return space;
}

static void assert_found_again(const struct space *space, const struct encoding *encoding)
{
    struct architecture wanted, found;
    struct encoding again;
    space_architecture(space, encoding, &wanted);
    assert_int_equal(space_encode(space, &wanted, &again), 0);
    assert_true(space_contains(space, &again));
    space_architecture(space, &again, &found);
    assert_true(architecture_equal(&wanted, &found));
}

static void test_architectures_of_a_space_are_found_again(void **state)
{
    (void)state;
    static const char *const spaces[] = {
        "{\"preset\": \"efficientnetv2-small-images\"}", "{\"preset\": \"efficientnetv2-b0\"}",
        /* equal blocks in neighbouring stages, identities, a convolution by two names */
        "{" ENDS ", \"stages\": ["
        "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\", \"layers\": [1, "
        "2]},"
        " {\"block\": \"conv\"}], \"channels\": 8},"
        "{\"alternatives\": [{\"block\": \"mbconv\", \"layers\": [1, 3]}, {\"block\": "
        "\"identity\"},"
        " {\"block\": \"fused_mbconv\", \"se\": [0, 0.25]}], \"channels\": 8},"
        "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\", \"layers\": [1, "
        "4]}],"
        " \"channels\": [8, 16], \"stride\": [1, 2]}]}",
        /* more layers than one canonical stage has */
        "{" ENDS ", \"stages\": ["
        "{\"block\": \"conv\", \"layers\": [100, 128], \"channels\": 8},"
        "{\"block\": \"conv\", \"layers\": [1, 90], \"channels\": 8}]}"};
    for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
        struct space *space = parse(spaces[i]);
        for (uint64_t draw = 0; draw < 300; draw++) {
            struct random_stream random = random_stream_of(i, draw, RANDOM_PROPOSAL);
            struct encoding encoding = {{0}};
            for (uint32_t j = 0; j < space_stage_count(space); j++)
                encoding.choices[j] = (uint16_t)random_below(&random, space_option_count(space, j));
            assert_found_again(space, &encoding);
        }
        space_free(space);
    }
}

static void test_other_architectures_are_not_found(void **state)
{
    (void)state;
    struct space *space = parse("{" ENDS ", \"stages\": ["
                                "{\"block\": \"mbconv\", \"layers\": [1, 3], \"channels\": 8},"
                                "{\"alternatives\": [{\"block\": \"identity\"},"
                                " {\"block\": \"mbconv\"}], \"channels\": 8}]}");
    struct architecture architecture;
    struct encoding encoding = {{7}};
    space_architecture(space, &(struct encoding){{1, 1}}, &architecture);
    const uint32_t layers[] = {0, 1, 2, 3, 4, 5};
    const bool possible[] = {false, true, true, true, true, false};
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++) {
        architecture.stages[0].layers = layers[i];
        architecture.stage_count = layers[i] > 0;
        assert_int_equal(space_encode(space, &architecture, &encoding), possible[i] ? 0 : -ENOENT);
    }
    architecture.stages[0].layers = 2;
    assert_int_equal(space_encode(space, &architecture, &encoding), 0);
    struct architecture other = architecture;
    other.stem_channels = 9;
    assert_int_equal(space_encode(space, &other, &encoding), -ENOENT);
    other = architecture;
    other.head_channels = 17;
    assert_int_equal(space_encode(space, &other, &encoding), -ENOENT);
    uint32_t *const fields[] = {&other.stages[0].kernel, &other.stages[0].expansion,
                                &other.stages[0].stride, &other.stages[0].channels,
                                &other.stages[0].se_ratio};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        other = architecture;
        *fields[i] += 1;
        assert_int_equal(space_encode(space, &other, &encoding), -ENOENT);
    }
    space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architectures_of_a_space_are_found_again),
        cmocka_unit_test(test_other_architectures_are_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
