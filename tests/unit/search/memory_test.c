/* Memory that runs out: every allocation of every entry point is failed in turn. Nothing may crash or leak (the
 * sanitizer builds see that), the answer must be -ENOMEM, and what stood before must still stand. */
#include "search/export.h"
#include "search/model_report.h"
#include "search/pareto.h"
#include "search/rehearsal_score.h"
#include "search/strategy.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ALLOCATIONS_MAX = 100000 };

/* Allocations that still succeed; negative: all do. The linker sends the library's calls here. */
static long allocations_left = -1;
static bool allocation_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);

static bool may_allocate(void)
{
    if (allocations_left < 0)
        return true;
    if (allocations_left == 0) {
        allocation_failed = true;
        return false;
    }
    allocations_left--;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return may_allocate() ? __real_realloc(pointer, size) : NULL;
}

/* Calls `attempt` with one allocation allowed, two, ..., until it succeeds without a failure. */
static void fail_each_allocation(int (*attempt)(void *context), void *context)
{
    for (long allowed = 0; allowed < ALLOCATIONS_MAX; allowed++) {
        allocations_left = allowed;
        allocation_failed = false;
        int r = attempt(context);
        allocations_left = -1;
        if (!allocation_failed) {
            assert_int_equal(r, 0);
            assert_true(allowed > 0);
            return;
        }
        if (r != -ENOMEM)
            fail_msg("allocation %ld failed and the answer was %d", allowed, r);
    }
    fail_msg("more than %d allocations", ALLOCATIONS_MAX);
}

/* jansson reports some failed allocations as wrong texts: those count as -ENOMEM here, but the text is right, so nothing
 * else may find fault with it. */
static int parse_spec(void *context)
{
    struct spec *spec = NULL;
    struct error error = {0};
    int r = spec_parse(context, strlen(context), NULL, &spec, &error);
    spec_free(spec);
    if (r == -EINVAL && strstr(error.message, "not valid JSON"))
        return -ENOMEM;
    return r;
}

/* With a list of architectures in both forms. */
static const char specs_list[] =
    "{\"dataset\": {\"name\": \"mnist\"}, \"space\": {\"stem\": {\"channels\": 8},"
    " \"head\": {\"channels\": 8}, \"stages\": [{\"block\": \"conv\", \"layers\": [1, 2],"
    " \"channels\": 8}]}, \"strategy\": {\"name\": \"list\", \"architectures\": [[1],"
    " {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
    " \"stages\": [{\"block\": \"conv\", \"channels\": 8}]}]}}";

static void test_spec_parse(void **state)
{
    (void)state;
    const char *const texts[] = {specs_example, specs_list};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        char json[2048];
        memcpy(json, texts[i], strlen(texts[i]) + 1);
        fail_each_allocation(parse_spec, json);
    }
}

static int write_spec(void *context)
{
    struct text text;
    text_init(&text, SPEC_TEXT_MAX);
    int r = spec_to_json(context, &text);
    text_release(&text);
    return r;
}

static void test_spec_to_json(void **state)
{
    (void)state;
    const char *const texts[] = {specs_example, specs_list};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct spec *spec = specs_parse(texts[i]);
        fail_each_allocation(write_spec, spec);
        spec_free(spec);
    }
}

static int count_architectures(void *context)
{
    char count[SPACE_COUNT_SIZE];
    return space_count_architectures(context, count);
}

static void test_space_count_architectures(void **state)
{
    (void)state;
    struct spec *spec = specs_parse(specs_example);
    fail_each_allocation(count_architectures, spec->space);
    spec_free(spec);
}

static int run_strategy(void *context)
{
    struct strategy *strategy = NULL;
    const struct spec *spec = context;
    uint64_t candidate = 0;
    /* every proposal of the model allocates, and takes milliseconds when there is much to model */
    const uint64_t count = strcmp(spec->strategy.name, "model") == 0 ? 24 : 200;
    int r = strategy_new(spec, &strategy, NULL);
    for (uint64_t k = 0; k < count && r == 0; k++) {
        struct encoding encoding;
        r = strategy_ask(strategy, k, &encoding);
        if (r == 0)
            r = strategy_tell(strategy, &(struct observation){k, true, (double)k, {{0}}});
    }
    if (r == 0)
        r = strategy_recommend(strategy, &candidate);
    strategy_free(strategy);
    return r;
}

static const char *const strategies[] = {"evolution", "grid",   "local", "model",
                                         "nsga2",     "policy", "random"};

static struct spec *spec_with_strategy(const char *name)
{
    char members[128];
    snprintf(members, sizeof members, ", \"strategy\": {\"name\": \"%s\"}", name);
    return specs_with("{\"preset\": \"efficientnetv2-small-images\"}", members);
}

static void test_strategy(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strategies); i++) {
        struct spec *spec = spec_with_strategy(strategies[i]);
        fail_each_allocation(run_strategy, spec);
        spec_free(spec);
    }
}

/* A strategy that is told now and then, and whose every call has no memory the first time. */
static void fail_every_call_once(struct strategy *strategy, struct strategy *undisturbed)
{
    size_t failures = 0;
    for (uint64_t k = 0; k < 200; k++) {
        struct encoding encoding, expected;
        const struct observation observation = {k, k % 5 != 4, (double)(k * 7 % 31), {{0}}};
        allocations_left = 0;
        int r = strategy_ask(strategy, k, &encoding);
        allocations_left = -1;
        failures += r == -ENOMEM;
        if (r == -ENOMEM)
            r = strategy_ask(strategy, k, &encoding);
        assert_int_equal(r, 0);
        assert_int_equal(strategy_ask(undisturbed, k, &expected), 0);
        assert_memory_equal(&encoding, &expected, sizeof encoding);
        allocations_left = 0;
        r = strategy_tell(strategy, &observation);
        allocations_left = -1;
        if (r == -ENOMEM)
            r = strategy_tell(strategy, &observation);
        assert_int_equal(r, 0);
        assert_int_equal(strategy_tell(undisturbed, &observation), 0);
    }
    assert_true(failures > 2);
}

/* After a failed call the strategy is where it was: the next one does what the failed one would have. */
static void test_failed_calls_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strategies); i++) {
        struct spec *spec = spec_with_strategy(strategies[i]);
        struct strategy *strategy = NULL, *undisturbed = NULL;
        assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
        assert_int_equal(strategy_new(spec, &undisturbed, NULL), 0);
        fail_every_call_once(strategy, undisturbed);
        strategy_free(strategy);
        strategy_free(undisturbed);
        spec_free(spec);
    }
}

/* Reads a table that names architectures in all three ways, plays over it and scores the play. */
static int rehearse(void *context)
{
    static const char text[] = "encoding,accuracy\n0,0.5\n1,0.6\n"
                               "stem_k3_s1_c8|fused_r3_k3_s1_e1_c8|head_c8,0.7\n";
    const struct spec *spec = context;
    struct result_table table = {0};
    struct rehearsal rehearsal = {0};
    struct rehearsal_options options = {.table = &table, .workers = 2};
    struct rehearsal_truth truth;
    struct rehearsal_score score;
    struct error error;
    int r =
        result_table_read(text, sizeof text - 1, &(struct result_columns){0}, spec, &table, &error);
    if (r == 0)
        r = rehearsal_run(spec, &options, &rehearsal, &error);
    if (r == 0)
        r = rehearsal_truth_of(spec, &table, &truth);
    if (r == 0)
        r = rehearsal_score_of(spec, &rehearsal, &truth, 0, &score);
    rehearsal_release(&rehearsal);
    result_table_release(&table);
    return r;
}

static void test_rehearsal(void **state)
{
    (void)state;
    struct spec *spec =
        specs_with("{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8}, \"stages\": ["
                   "{\"block\": \"conv\", \"layers\": [1, 2, 3], \"channels\": 8}]}",
                   ", \"objectives\": [\"accuracy\", \"macs\"], \"reward\": {\"accuracy\": 1}");
    fail_each_allocation(rehearse, spec);
    spec_free(spec);
}

static int build_front(void *context)
{
    (void)context;
    static const enum objective objectives[] = {OBJECTIVE_ACCURACY, OBJECTIVE_PARAMS};
    struct pareto *pareto = NULL;
    int r = pareto_new(objectives, 2, &pareto);
    for (uint64_t i = 0; i < 300 && r >= 0; i++)
        r = pareto_add(pareto, &(struct pareto_point){i, {(double)i, (double)i}});
    if (r >= 0) {
        assert_int_equal(pareto_count(pareto), 300);
        (void)pareto_points(pareto);
    }
    pareto_free(pareto);
    return r < 0 ? r : 0;
}

static void test_pareto(void **state)
{
    (void)state;
    fail_each_allocation(build_front, NULL);
}

static int report_model(void *context)
{
    struct text text;
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    struct model_query query = {context, {0}};
    int r = model_report_json(&query, &text, NULL);
    if (r == 0)
        r = model_report_text(&query, &text, NULL);
    if (r == 0)
        r = preset_report_text(&text, NULL);
    if (r == 0)
        r = preset_report_json(&text, NULL);
    text_release(&text);
    return r;
}

static void test_model_reports(void **state)
{
    (void)state;
    char name[] = "efficientnetv2-b0";
    fail_each_allocation(report_model, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec_parse),
        cmocka_unit_test(test_spec_to_json),
        cmocka_unit_test(test_space_count_architectures),
        cmocka_unit_test(test_strategy),
        cmocka_unit_test(test_failed_calls_change_nothing),
        cmocka_unit_test(test_rehearsal),
        cmocka_unit_test(test_pareto),
        cmocka_unit_test(test_model_reports),
    };
    json_set_alloc_funcs(__wrap_malloc, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
