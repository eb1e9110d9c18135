/* Resolved specs: what is written reads back. */
#include "search/spec.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DATA "\"dataset\": {\"name\": \"fashion-mnist\"}"
#define BOTH DATA ", \"space\": {\"preset\": \"efficientnetv2-small-images\"}"

static void assert_specs_equal(const struct spec *a, const struct spec *b)
{
    assert_string_equal(a->name, b->name);
    assert_memory_equal(&a->dataset, &b->dataset, sizeof a->dataset);
    assert_int_equal(a->train_images, b->train_images);
    assert_int_equal(a->validation_images, b->validation_images);
    assert_string_equal(a->space_text, b->space_text);
    assert_int_equal(a->objective_count, b->objective_count);
    assert_memory_equal(a->objectives, b->objectives, sizeof a->objectives);
    assert_memory_equal(&a->reward, &b->reward, sizeof a->reward);
    assert_memory_equal(&a->constraints, &b->constraints, sizeof a->constraints);
    assert_string_equal(a->strategy.name, b->strategy.name);
    assert_int_equal(a->strategy.population, b->strategy.population);
    assert_int_equal(a->strategy.sample, b->strategy.sample);
    assert_true(a->strategy.learning_rate == b->strategy.learning_rate);
    assert_true(a->strategy.entropy == b->strategy.entropy);
    assert_int_equal(a->strategy.minibatch, b->strategy.minibatch);
    assert_int_equal(a->strategy.architecture_count, b->strategy.architecture_count);
    for (uint32_t i = 0; i < a->strategy.architecture_count; i++)
        assert_memory_equal(&a->strategy.architectures[i], &b->strategy.architectures[i],
                            sizeof a->strategy.architectures[i]);
    assert_int_equal(a->candidates_max, b->candidates_max);
    assert_int_equal(a->epochs, b->epochs);
    assert_memory_equal(&a->recipe, &b->recipe, sizeof a->recipe);
    assert_true(architecture_equal(&a->baseline, &b->baseline));
    assert_int_equal(a->baseline_cost.params, b->baseline_cost.params);
    assert_int_equal(a->parallel_max, b->parallel_max);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->seed, b->seed);
    assert_int_equal(a->deterministic, b->deterministic);
    assert_int_equal(a->has_reference, b->has_reference);
    assert_memory_equal(&a->reference, &b->reference, sizeof a->reference);
}

static void test_resolved_spec_reads_back_to_itself(void **state)
{
    (void)state;
    const char *const specs[] = {
        specs_example,
        "{" BOTH "}",
        "{" BOTH
        ", \"strategy\": {\"name\": \"random\"}, \"reward\": {\"loss\": -0.1234567890123456},"
        " \"constraints\": {\"memory_max\": 9000000000000000000}, \"priority\": -7,"
        " \"seed\": 9223372036854775807, \"deterministic\": true}",
        "{" DATA ", \"space\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
        " \"stages\": [{\"block\": \"conv\", \"layers\": [1, 2, 3], \"channels\": 8}]},"
        " \"strategy\": {\"name\": \"list\", \"architectures\": [[2], [0],"
        " {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
        " \"stages\": [{\"block\": \"conv\", \"layers\": 2, \"channels\": 8}]}]}}",
        "{" BOTH ", \"strategy\": {\"name\": \"policy\", \"learning_rate\": 0.3, \"entropy\": 0.01,"
        " \"minibatch\": 5}}",
        "{" BOTH ", \"strategy\": {\"name\": \"nsga2\", \"population\": 7}}",
        "{" BOTH ", \"objectives\": [\"accuracy\", \"macs\"], \"reference\": {\"accuracy\": 0.85, "
        "\"macs\": 2e8}}",
        "{" DATA ", \"space\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
        " \"stages\": [{\"block\": \"identity\"}]}}"};
    for (size_t i = 0; i < ARRAY_LENGTH(specs); i++) {
        struct spec *spec = specs_parse(specs[i]);
        struct text once, twice;
        text_init(&once, SPEC_TEXT_MAX);
        text_init(&twice, SPEC_TEXT_MAX);
        assert_int_equal(spec_to_json(spec, &once), 0);
        struct spec *again = specs_parse(text_string(&once));
        assert_specs_equal(spec, again);
        assert_int_equal(spec_to_json(again, &twice), 0);
        assert_string_equal(text_string(&once), text_string(&twice));
        text_release(&once);
        text_release(&twice);
        spec_free(spec);
        spec_free(again);
    }
}

static void test_resolved_numbers_have_no_needless_digits(void **state)
{
    (void)state;
    struct spec *spec = specs_parse(specs_example);
    struct text text;
    text_init(&text, SPEC_TEXT_MAX);
    assert_int_equal(spec_to_json(spec, &text), 0);
    assert_non_null(strstr(text_string(&text), "\"step_time\":-0.07,"));
    text_release(&text);
    text_init(&text, 100);
    assert_int_equal(spec_to_json(spec, &text), -E2BIG);
    text_release(&text);
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolved_spec_reads_back_to_itself),
        cmocka_unit_test(test_resolved_numbers_have_no_needless_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
