/* The table of baselines' step times. */
#include "worker/baseline_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct baseline_key key_of(uint32_t batch)
{
    const struct architecture architecture = {
        .stem_kernel = 3, .stem_stride = 1, .stem_channels = 8, .head_channels = 16};
    const struct problem problem = {28, 1, 10};
    const struct recipe recipe = {.batch = batch};
    return baseline_key_of(&architecture, &problem, &recipe, 1);
}

static void test_what_was_added_is_found_by_its_whole_key(void **state)
{
    (void)state;
    static struct baseline_table table;
    const struct baseline_key key = key_of(64);
    assert_true(baseline_table_find(&table, &key) == 0);
    baseline_table_add(&table, &key, 0.5);
    assert_true(baseline_table_find(&table, &key) == 0.5);
    struct baseline_key others[8] = {key, key, key, key, key, key, key, key};
    others[0].architecture_hash++;
    others[1].problem.image_size++;
    others[2].problem.image_channels++;
    others[3].problem.classes++;
    others[4].optimizer = OPTIMIZER_RMSPROP;
    others[5].precision = PRECISION_BF16;
    others[6].batch++;
    others[7].micro_batches++;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_true(baseline_table_find(&table, &others[i]) == 0);
}

static struct baseline_key key_with(const struct recipe *recipe)
{
    const struct architecture architecture = {0};
    return baseline_key_of(&architecture, &(struct problem){28, 1, 10}, recipe, 1);
}

/* A recipe that adds a pass to every step has a baseline of its own; one with another number has not. */
static void test_what_a_step_does_besides_is_part_of_the_key(void **state)
{
    (void)state;
    static struct baseline_table table;
    const struct recipe plain = {.batch = 64};
    struct recipe others[] = {plain, plain, plain, plain, plain};
    others[0].ema_decay = 0.9;
    others[1].clip_norm = 1;
    others[2].stochastic_depth = 0.2;
    others[3].dropout = 0.2;
    others[4].stage_count = 2;
    others[4].stages[1].dropout = 0.2;
    const struct baseline_key key = key_with(&plain);
    baseline_table_add(&table, &key, 0.5);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        const struct baseline_key other = key_with(&others[i]);
        assert_true(baseline_table_find(&table, &other) == 0);
    }
    struct recipe faster = plain;
    faster.learning_rate = 0.5;
    faster.stage_count = 2; /* the last stage counts */
    faster.stages[0].dropout = 0.2;
    const struct baseline_key same = key_with(&faster);
    assert_true(baseline_table_find(&table, &same) == 0.5);
}

static void test_the_oldest_goes_when_it_is_full(void **state)
{
    (void)state;
    static struct baseline_table table;
    for (uint32_t batch = 1; batch <= BASELINE_TABLE_ENTRIES + 1; batch++) {
        const struct baseline_key key = key_of(batch);
        baseline_table_add(&table, &key, batch);
    }
    const struct baseline_key first = key_of(1), second = key_of(2),
                              last = key_of(BASELINE_TABLE_ENTRIES + 1);
    assert_true(baseline_table_find(&table, &first) == 0);
    assert_true(baseline_table_find(&table, &second) == 2);
    assert_true(baseline_table_find(&table, &last) == BASELINE_TABLE_ENTRIES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_found_by_its_whole_key),
        cmocka_unit_test(test_what_a_step_does_besides_is_part_of_the_key),
        cmocka_unit_test(test_the_oldest_goes_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
