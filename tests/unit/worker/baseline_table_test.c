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
    struct baseline_key others[6] = {key, key, key, key, key, key};
    others[0].architecture_hash++;
    others[1].problem.image_size++;
    others[2].problem.classes++;
    others[3].optimizer = OPTIMIZER_RMSPROP;
    others[4].batch++;
    others[5].micro_batches++;
    for (int i = 0; i < 6; i++)
        assert_true(baseline_table_find(&table, &others[i]) == 0);
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
        cmocka_unit_test(test_the_oldest_goes_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
