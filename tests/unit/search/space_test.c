/* Spaces: counting against enumeration, reading against hand-made definitions. */
#include "search/random.h"
#include "search/space.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ENUMERATION_MAX = 200000 };

static struct space *parse(const char *json)
{
    struct space *space = NULL;
    struct error error = {0};
    if (space_parse(json, strlen(json), &space, &error) < 0)
        fail_msg("%s: %s", error.pointer, error.message);
    return space;
}

static int text_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Walks all encodings like an odometer and counts the different canonical texts. */
static void enumerate(const struct space *space, size_t *ret_encodings, size_t *ret_architectures)
{
    char **texts = calloc(ENUMERATION_MAX, sizeof *texts);
    assert_non_null(texts);
    struct encoding encoding = {0};
    size_t count = 0, distinct = 0;
    for (uint32_t stage = 0; stage < space_stage_count(space);) {
        struct architecture architecture;
        char text[ARCHITECTURE_TEXT_SIZE];
        space_architecture(space, &encoding, &architecture);
        architecture_text(&architecture, text);
        assert_true(count < ENUMERATION_MAX);
        texts[count++] = strdup(text);
        for (stage = 0; stage < space_stage_count(space); stage++) {
            if (++encoding.choices[stage] < space_option_count(space, stage))
                break;
            encoding.choices[stage] = 0;
        }
    }
    qsort(texts, count, sizeof *texts, text_compare);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || strcmp(texts[i - 1], texts[i]) != 0;
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
    *ret_encodings = count;
    *ret_architectures = distinct;
}

static void assert_counts_equal_enumeration(const struct space *space)
{
    size_t encodings, architectures;
    char counted[SPACE_COUNT_SIZE], expected[SPACE_COUNT_SIZE];
    enumerate(space, &encodings, &architectures);
    space_count_encodings(space, counted);
    snprintf(expected, sizeof expected, "%zu", encodings);
    assert_string_equal(counted, expected);
    assert_int_equal(space_count_architectures(space, counted), 0);
    snprintf(expected, sizeof expected, "%zu", architectures);
    assert_string_equal(counted, expected);
}

#define ENDS "\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}"

static void test_counts_of_written_spaces_equal_enumeration(void **state)
{
    (void)state;
    static const char *const spaces[] = {
        /* the example of the documentation */
        "{\"image_channels\": 3, \"stem\": {\"kernel\": 3, \"stride\": 1, \"channels\": 16},"
        " \"head\": {\"channels\": 256}, \"stages\": ["
        "{\"block\": [\"fused_mbconv\"], \"layers\": [1, 2], \"kernel\": [3], \"expansion\": [1, "
        "4],"
        " \"channels\": 16, \"stride\": 1},"
        "{\"block\": [\"mbconv\", \"fused_mbconv\"], \"layers\": [1, 2, 3], \"kernel\": [3, 5],"
        " \"expansion\": [1, 4, 6], \"se\": [0, 0.25], \"channels\": 32, \"stride\": 2},"
        "{\"alternatives\": [{\"block\": \"identity\"},"
        "{\"block\": \"mbconv\", \"layers\": 1, \"kernel\": 3, \"expansion\": 3},"
        "{\"block\": \"mbconv\", \"layers\": 1, \"kernel\": 5, \"expansion\": 6}],"
        " \"channels\": 64, \"stride\": 1}]}",
        /* nothing but the ends is left */
        "{" ENDS ", \"stages\": [{\"block\": \"identity\"}]}",
        "{" ENDS ", \"stages\": [{\"block\": [\"identity\", \"identity\"], \"channels\": 4},"
        "{\"block\": \"identity\"}]}",
        /* equal stages whose layers add up */
        "{" ENDS ", \"stages\": ["
        "{\"block\": \"mbconv\", \"layers\": [1, 2, 3], \"channels\": 8},"
        "{\"block\": \"mbconv\", \"layers\": [1, 2, 4], \"channels\": 8},"
        "{\"block\": [\"identity\", \"mbconv\"], \"layers\": [1, 5], \"channels\": 8}]}",
        /* a conv is a fused block of expansion 1 */
        "{" ENDS ", \"stages\": [{\"block\": [\"conv\", \"fused_mbconv\"], \"expansion\": [1, 2],"
        " \"se\": [0, 0.5], \"channels\": [8, 16], \"stride\": [1, 2]},"
        "{\"block\": [\"identity\", \"conv\", \"mbconv\"], \"channels\": [8, 16]}]}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
        struct space *space = parse(spaces[i]);
        assert_counts_equal_enumeration(space);
        space_free(space);
    }
}

static void test_equal_blocks_in_neighbouring_stages_are_counted_once(void **state)
{
    (void)state;
    struct space *space =
        parse("{" ENDS ", \"stages\": ["
              "{\"block\": [\"identity\", \"mbconv\"], \"layers\": [1, 2], \"channels\": 8},"
              "{\"block\": [\"identity\", \"mbconv\"], \"layers\": [1, 2], \"channels\": 8}]}");
    char count[SPACE_COUNT_SIZE];
    space_count_encodings(space, count);
    assert_string_equal(count, "16");
    /* none to four equal blocks */
    assert_int_equal(space_count_architectures(space, count), 0);
    assert_string_equal(count, "5");
    space_free(space);
}

static struct stage random_stage(struct random_stream *random)
{
    return (struct stage){.block = (enum block_type)random_below(random, 4),
                          .layers = 1 + (uint32_t)random_below(random, 3),
                          .kernel = 3,
                          .expansion = 1 + (uint32_t)random_below(random, 2),
                          .se_ratio = random_below(random, 3) == 0 ? 2500 : 0,
                          .stride = random_below(random, 4) == 0 ? 2 : 1,
                          .channels = 8};
}

static void test_counts_of_random_spaces_equal_enumeration(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random_stream random = random_stream_of(seed, 0, RANDOM_PROPOSAL);
        struct stage options[6][5];
        struct space_stage stages[6];
        struct space_definition definition = {.stages = stages};
        definition.ends = (struct architecture){
            .stem_kernel = 3, .stem_stride = 1, .stem_channels = 8, .head_channels = 8};
        definition.stage_count = 1 + (uint32_t)random_below(&random, 6);
        for (uint32_t i = 0; i < definition.stage_count; i++) {
            stages[i].options = options[i];
            stages[i].option_count = 1 + (uint32_t)random_below(&random, 5);
            for (uint32_t j = 0; j < stages[i].option_count; j++)
                options[i][j] = random_stage(&random);
        }
        struct space *space = NULL;
        assert_int_equal(space_new(&definition, &space, NULL), 0);
        assert_counts_equal_enumeration(space);
        space_free(space);
    }
}

static void test_counts_beyond_64_bits_are_exact(void **state)
{
    (void)state;
    struct stage options[100];
    struct space_stage stages[19];
    for (uint32_t i = 0; i < ARRAY_LENGTH(options); i++)
        options[i] = (struct stage){BLOCK_MBCONV, 1 + i, 3, 1, 0, 2, 8};
    for (size_t i = 0; i < ARRAY_LENGTH(stages); i++)
        stages[i] = (struct space_stage){options, ARRAY_LENGTH(options)};
    struct space_definition definition = {
        .ends = {.stem_kernel = 3, .stem_stride = 1, .stem_channels = 8, .head_channels = 8},
        .stages = stages,
        .stage_count = ARRAY_LENGTH(stages)};
    struct space *space = NULL;
    assert_int_equal(space_new(&definition, &space, NULL), 0);
    char count[SPACE_COUNT_SIZE];
    space_count_encodings(space, count);
    assert_string_equal(count, "100000000000000000000000000000000000000");
    assert_int_equal(space_count_architectures(space, count), 0);
    assert_string_equal(count, "100000000000000000000000000000000000000");
    space_free(space);
}

static void test_space_of_2_to_the_128_encodings_is_refused(void **state)
{
    (void)state;
    struct stage options[16];
    struct space_stage stages[32];
    for (uint32_t i = 0; i < ARRAY_LENGTH(options); i++)
        options[i] = (struct stage){BLOCK_MBCONV, 1 + i, 3, 1, 0, 2, 8};
    for (size_t i = 0; i < ARRAY_LENGTH(stages); i++)
        stages[i] = (struct space_stage){options, ARRAY_LENGTH(options)};
    struct space_definition definition = {
        .ends = {.stem_kernel = 3, .stem_stride = 1, .stem_channels = 8, .head_channels = 8},
        .stages = stages,
        .stage_count = ARRAY_LENGTH(stages)};
    struct space *space = NULL;
    struct error error = {0};
    assert_int_equal(space_new(&definition, &space, &error), -E2BIG);
    assert_string_equal(error.pointer, "/stages");
    assert_null(space);
}

static void test_wrong_spaces_are_refused_where_they_are_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *json, *pointer;
    } cases[] = {
        {"[]", ""},
        {"{\"stages\": 1", "/stages"},
        {"{\"preset\": \"efficientnetv2-small\"}", "/preset"},
        {"{\"preset\": \"efficientnetv2-s\", \"stem\": {}}", "/stem"},
        {"{\"preset\": 7}", "/preset"},
        {"{\"stages\": []}", "/stem"},
        {"{\"stem\": {\"channels\": 0}, \"head\": {\"channels\": 8}, \"stages\": []}",
         "/stem/channels"},
        {"{\"stem\": {\"channels\": 8, \"kernel\": 4}, \"head\": {\"channels\": 8}}",
         "/stem/kernel"},
        {"{\"stem\": {\"channels\": 8}, \"head\": {}}", "/head"},
        {"{" ENDS "}", "/stages"},
        {"{" ENDS ", \"stages\": []}", "/stages"},
        {"{" ENDS ", \"stages\": [{\"block\": \"mbconv\"}]}", "/stages/0/channels"},
        {"{" ENDS ", \"stages\": [{\"channels\": 8}]}", "/stages/0/block"},
        {"{" ENDS ", \"stages\": [{\"block\": \"identity\"}, 5]}", "/stages/1"},
        {"{" ENDS ", \"stages\": [{\"block\": [\"mbconv\", \"mbcomv\"], \"channels\": 8}]}",
         "/stages/0/block/1"},
        {"{" ENDS ", \"stages\": [{\"block\": \"conv\", \"channels\": 8, \"kernel\": [3, 4]}]}",
         "/stages/0/kernel/1"},
        {"{" ENDS ", \"stages\": [{\"block\": \"conv\", \"channels\": 8, \"kernel\": []}]}",
         "/stages/0/kernel"},
        {"{" ENDS ", \"stages\": [{\"block\": \"conv\", \"channels\": 8, \"layers\": -1}]}",
         "/stages/0/layers"},
        {"{" ENDS ", \"stages\": [{\"block\": \"conv\", \"channels\": 8, \"layers\": 1.5}]}",
         "/stages/0/layers"},
        {"{" ENDS ", \"stages\": [{\"block\": \"mbconv\", \"channels\": 8, \"se\": 2}]}",
         "/stages/0/se"},
        {"{" ENDS ", \"stages\": [{\"block\": \"mbconv\", \"channels\": 8, \"se\": 0.12345}]}",
         "/stages/0/se"},
        {"{" ENDS ", \"stages\": [{\"block\": \"conv\", \"channels\": 8, \"layer\": 1}]}",
         "/stages/0/layer"},
        {"{" ENDS ", \"stages\": [{\"alternatives\": [], \"channels\": 8}]}",
         "/stages/0/alternatives"},
        {"{" ENDS ", \"stages\": [{\"alternatives\": [{\"block\": \"conv\"}]}]}",
         "/stages/0/alternatives/0/channels"},
        {"{" ENDS ", \"stages\": [{\"alternatives\": [{\"blok\": \"conv\"}], \"channels\": 8}]}",
         "/stages/0/alternatives/0/blok"},
        {"{" ENDS ", \"stages\": [{\"alternatives\": [{\"block\": \"conv\"}], \"channels\": 8,"
         " \"kernel\": 3}]}",
         "/stages/0/kernel"},
        {"{" ENDS ", \"image_channels\": 2, \"stages\": []}", "/image_channels"},
        {"{" ENDS ", \"image_channels\": 3, \"image_channels\": 3}", "/image_channels"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct space *space = NULL;
        struct error error = {0};
        int r = space_parse(cases[i].json, strlen(cases[i].json), &space, &error);
        if (r != -EINVAL || strcmp(error.pointer, cases[i].pointer) != 0)
            fail_msg("%s: %d, \"%s\": %s", cases[i].json, r, error.pointer, error.message);
        assert_true(strlen(error.message) > 10);
        assert_null(space);
    }
}

static void test_too_many_choices_are_refused(void **state)
{
    (void)state;
    char list[1024] = "1";
    for (int i = 2; i <= 100; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), ", %d", i);
    char json[4096];
    snprintf(json, sizeof json,
             "{" ENDS
             ", \"stages\": [{\"block\": \"conv\", \"layers\": [%s], \"channels\": [%s]}]}",
             list, list);
    struct space *space = NULL;
    struct error error = {0};
    assert_int_equal(space_parse(json, strlen(json), &space, &error), -EINVAL);
    assert_string_equal(error.pointer, "/stages/0");
}

static void test_every_space_preset_reads_and_counts(void **state)
{
    (void)state;
    size_t count = 0;
    for (; space_preset_name(count); count++) {
        char json[128], number[SPACE_COUNT_SIZE];
        snprintf(json, sizeof json, "{\"preset\": \"%s\"}", space_preset_name(count));
        struct space *space = parse(json);
        assert_int_equal(space_count_architectures(space, number), 0);
        print_message("%s: %s architectures\n", space_preset_name(count), number);
        assert_true(strlen(number) >= 5);
        space_free(space);
    }
    assert_true(count >= 3);
    assert_null(space_preset_text(count));
}

static void test_architecture_of_an_encoding_is_canonical(void **state)
{
    (void)state;
    struct space *space = parse("{" ENDS ", \"stages\": ["
                                "{\"block\": [\"conv\", \"identity\"], \"channels\": 8},"
                                "{\"block\": \"conv\", \"layers\": 2, \"channels\": 8}]}");
    struct architecture architecture;
    char text[ARCHITECTURE_TEXT_SIZE];
    space_architecture(space, &(struct encoding){{0, 0}}, &architecture);
    architecture_text(&architecture, text);
    assert_string_equal(text, "stem_k3_s1_c8|fused_r3_k3_s1_e1_c8|head_c16");
    assert_int_equal(architecture.stage_count, 1);
    space_architecture(space, &(struct encoding){{1, 0}}, &architecture);
    architecture_text(&architecture, text);
    assert_string_equal(text, "stem_k3_s1_c8|fused_r2_k3_s1_e1_c8|head_c16");
    assert_true(space_contains(space, &(struct encoding){{1, 0}}));
    assert_false(space_contains(space, &(struct encoding){{0, 1}}));
    assert_false(space_contains(space, &(struct encoding){{0, 0, 1}}));
    space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_of_written_spaces_equal_enumeration),
        cmocka_unit_test(test_equal_blocks_in_neighbouring_stages_are_counted_once),
        cmocka_unit_test(test_counts_of_random_spaces_equal_enumeration),
        cmocka_unit_test(test_counts_beyond_64_bits_are_exact),
        cmocka_unit_test(test_space_of_2_to_the_128_encodings_is_refused),
        cmocka_unit_test(test_wrong_spaces_are_refused_where_they_are_wrong),
        cmocka_unit_test(test_too_many_choices_are_refused),
        cmocka_unit_test(test_every_space_preset_reads_and_counts),
        cmocka_unit_test(test_architecture_of_an_encoding_is_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
