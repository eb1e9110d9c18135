/* Tables of known results: what is read out of a file, and what is refused with line and column. */
#include "search/result_table.h"

#include "tests/unit/search/specs.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (tolerance))

/* Six encodings, each a network of its own. */
static const char space[] =
    "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, \"stages\": ["
    "{\"alternatives\": [{\"block\": \"mbconv\", \"expansion\": 1}, {\"block\": \"mbconv\", "
    "\"expansion\": 4}], \"channels\": 8, \"stride\": 2},"
    "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\", \"kernel\": 5}, "
    "{\"block\": \"mbconv\", \"kernel\": 3, \"expansion\": 2}], \"channels\": 16}]}";

static const char whole[] = "encoding,accuracy\n00,0.5\n01,0.6\n02,0.7\n10,0.8\n11,0.9\n12,0.55\n";

static struct spec *spec;

static int setup(void **state)
{
    (void)state;
    spec = specs_with(space, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spec_free(spec);
    return 0;
}

static int read_table(const char *text, const struct result_columns *columns,
                      struct result_table *ret_table, struct error *error)
{
    return result_table_read(text, strlen(text), columns ? columns : &(struct result_columns){0},
                             spec, ret_table, error);
}

static struct result_table table_of(const char *text, const struct result_columns *columns)
{
    struct result_table table;
    struct error error = {0};
    if (read_table(text, columns, &table, &error) < 0)
        fail_msg("%s: %s", text, error.message);
    return table;
}

static const struct result_entry *entry_of(const struct result_table *table, uint16_t first,
                                           uint16_t second)
{
    struct encoding encoding = {{first, second}};
    struct architecture architecture;
    space_architecture(spec->space, &encoding, &architecture);
    return result_table_find(table, architecture_hash(&architecture));
}

static void assert_refused(const char *text, const struct result_columns *columns,
                           const char *message)
{
    struct result_table table;
    struct error error = {0};
    int r = read_table(text, columns, &table, &error);
    if (r != -EINVAL || !strstr(error.message, message))
        fail_msg("%s: %d, \"%s\" instead of \"%s\"", text, r, error.message, message);
}

static void test_whole_table(void **state)
{
    (void)state;
    struct result_table table = table_of(whole, NULL);
    assert_int_equal(table.row_count, 6);
    assert_int_equal(table.count, 6);
    assert_true(table.complete);
    assert_int_equal(table.unit, ACCURACY_UNIT_FRACTION);
    assert_false(table.has_loss || table.has_step_time || table.has_seconds);
    const struct result_entry *entry = entry_of(&table, 1, 1);
    assert_non_null(entry);
    assert_near(entry->accuracy, 0.9, 1e-12);
    assert_int_equal(entry->line, 6);
    assert_true(isnan(entry->loss) && isnan(entry->step_time) && isnan(entry->seconds));
    struct architecture architecture;
    space_architecture(spec->space, &entry->encoding, &architecture);
    struct cost cost = cost_of(&architecture, &spec->problem);
    assert_int_equal(entry->cost.macs, cost.macs);
    assert_int_equal(entry->cost.params, cost.params);
    result_table_release(&table);
}

static void test_columns_by_name_runs_and_percent(void **state)
{
    (void)state;
    struct result_columns columns = {.encoding = "arch", .runs = "b,a", .seconds = "t"};
    struct result_table table =
        table_of("a,arch,t,b,loss,step_time\n90,0:1,5,80,1.5,0.25\n", &columns);
    const struct result_entry *entry = entry_of(&table, 0, 1);
    assert_int_equal(table.unit, ACCURACY_UNIT_PERCENT);
    assert_int_equal(table.run_count, 2);
    assert_false(table.complete);
    assert_non_null(entry);
    assert_near(entry->accuracy, 0.85, 1e-12);
    assert_near(entry->run[0], 0.8, 1e-12);
    assert_near(entry->run[1], 0.9, 1e-12);
    assert_near(entry->seconds, 5, 0);
    assert_near(entry->loss, 1.5, 0);
    assert_near(entry->step_time, 0.25, 0);
    assert_null(entry_of(&table, 0, 0));
    result_table_release(&table);
}

static void test_numbered_runs_are_found(void **state)
{
    (void)state;
    struct result_table table =
        table_of("encoding,accuracy_1,accuracy_2,accuracy_4\n00,0.5,0.7,0\n", NULL);
    assert_int_equal(table.run_count, 2);
    assert_near(entry_of(&table, 0, 0)->accuracy, 0.6, 1e-12);
    result_table_release(&table);
}

static void test_unit_may_be_stated(void **state)
{
    (void)state;
    struct result_columns percent = {.unit = ACCURACY_UNIT_PERCENT},
                          fraction = {.unit = ACCURACY_UNIT_FRACTION};
    struct result_table table = table_of("encoding,accuracy\n00,0.5\n01,60\n", &percent);
    assert_near(entry_of(&table, 0, 0)->accuracy, 0.005, 1e-12);
    result_table_release(&table);
    assert_refused("encoding,accuracy\n00,0.5\n01,60\n", &fraction,
                   "line 3, column \"accuracy\": 60 is no accuracy in fractions");
    assert_refused(whole, &percent, "fractions, not percent");
}

static void name_architecture(uint16_t first, uint16_t second, char *ret_hash, char *ret_text)
{
    struct encoding encoding = {{first, second}};
    struct architecture architecture;
    space_architecture(spec->space, &encoding, &architecture);
    snprintf(ret_hash, 32, "%016llx", (unsigned long long)architecture_hash(&architecture));
    architecture_text(&architecture, ret_text);
}

static void test_hashes_and_texts_name_architectures(void **state)
{
    (void)state;
    char hash[2][32], canonical[ARCHITECTURE_TEXT_SIZE], unused[ARCHITECTURE_TEXT_SIZE],
        table_text[3 * ARCHITECTURE_TEXT_SIZE];
    name_architecture(0, 1, hash[0], canonical);
    name_architecture(1, 2, hash[1], unused);
    snprintf(table_text, sizeof table_text, "encoding,accuracy\n%s,0.1\n0x%s,0.2\n1:0,0.3\n",
             canonical, hash[1]);
    struct result_table table = table_of(table_text, NULL);
    assert_int_equal(table.count, 3);
    assert_near(entry_of(&table, 0, 1)->accuracy, 0.1, 0);
    assert_near(entry_of(&table, 1, 2)->accuracy, 0.2, 0);
    assert_int_equal(entry_of(&table, 1, 2)->encoding.choices[1], 2);
    result_table_release(&table);
    snprintf(table_text, sizeof table_text, "encoding,accuracy\n%s,0.1\n%s,0.2\n", hash[0],
             canonical);
    assert_refused(table_text, NULL, "line 3, column \"encoding\": line 2 is the same");
    assert_refused("encoding,accuracy\n0123456789abcdef,0.1\n", NULL,
                   "line 2, column \"encoding\": the space of the spec has no such");
    assert_refused("encoding,accuracy\nstem|head,0.1\n", NULL, "has no such architecture");
}

static void test_twins_are_one_architecture(void **state)
{
    (void)state;
    spec_free(spec);
    spec = specs_with(
        "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8}, \"stages\": ["
        "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\"}], \"channels\": 8},"
        "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\"}], \"channels\": "
        "8}]}",
        "");
    struct result_table table =
        table_of("encoding,accuracy\n00,0.1\n01,0.2\n10,0.2\n11,0.3\n", NULL);
    assert_int_equal(table.row_count, 4);
    assert_int_equal(table.count, 3);
    assert_true(table.complete);
    result_table_release(&table);
    assert_refused("encoding,accuracy\n01,0.2\n10,0.25\n", NULL,
                   "line 3, column \"encoding\": this makes the same network as line 2");
}

static void test_limits_of_the_spec_decide_what_is_complete(void **state)
{
    (void)state;
    struct result_table table = table_of(whole, NULL);
    const struct result_entry *largest = &table.entries[0];
    for (size_t i = 0; i < table.count; i++)
        if (table.entries[i].cost.macs > largest->cost.macs)
            largest = &table.entries[i];
    char members[64], others[sizeof whole];
    size_t used = 0, line = 1;
    for (const char *at = whole; *at; line++) {
        size_t length = strcspn(at, "\n") + 1;
        if (line != largest->line) {
            memcpy(others + used, at, length);
            used += length;
        }
        at += length;
    }
    others[used] = '\0';
    snprintf(members, sizeof members, ", \"constraints\": {\"macs_max\": %llu}",
             (unsigned long long)largest->cost.macs - 1);
    result_table_release(&table);
    table = table_of(others, NULL);
    assert_int_equal(table.count, 5);
    assert_false(table.complete);
    result_table_release(&table);
    spec_free(spec);
    spec = specs_with(space, members);
    table = table_of(others, NULL);
    assert_true(table.complete);
    result_table_release(&table);
    table = table_of(whole, NULL);
    size_t infeasible = 0;
    for (size_t i = 0; i < table.count; i++)
        infeasible += !table.entries[i].feasible;
    assert_int_equal(infeasible, 1);
    assert_true(table.complete);
    result_table_release(&table);
}

static void test_what_is_refused_names_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "empty"},
        {"\n\n", "empty"},
        {"encoding,accuracy\n", "has a header and no rows"},
        {"arch,accuracy\n00,0.5\n", "no column \"encoding\""},
        {"encodin,accuracy\n00,0.5\n", "did you mean \"encodin\""},
        {"encoding,acc\n00,0.5\n", "neither a column \"accuracy\""},
        {"encoding,accuracy,accuracy\n00,0.5,0.5\n", "columns 2 and 3 are both"},
        {"encoding,accuracy\n00\n", "line 2 has 1 fields"},
        {"encoding,accuracy\n00,0.5,1\n", "line 2 has 3 fields"},
        {"encoding,accuracy\n00,\n", "line 2, column \"accuracy\": there is nothing"},
        {"encoding,accuracy\n00,0.5\n01,good\n", "line 3, column \"accuracy\": \"good\" is no"},
        {"encoding,accuracy\n00,0.5x\n", "\"0.5x\" is no number"},
        {"encoding,accuracy\n00,nan\n", "line 2, column \"accuracy\": \"nan\" is no finite"},
        {"encoding,accuracy\n00,inf\n", "no finite"},
        {"encoding,accuracy\n00,1e999\n", "no finite"},
        {"encoding,accuracy\n00,-0.1\n", "line 2, column \"accuracy\": -0.1 is no accuracy"},
        {"encoding,accuracy\n00,101\n", "101 is no accuracy in percent"},
        {"encoding,accuracy\n02,0.1\n03,0.1\n", "line 3, column \"encoding\": \"03\": stage 2"},
        {"encoding,accuracy\n0:7,0.1\n", "stage 2 of the space has no choice 7; it has 3"},
        {"encoding,accuracy\n0:0:0,0.1\n", "it names 3 stages; the space has 2"},
        {"encoding,accuracy\n0:,0.1\n", "stage 2 takes a number"},
        {"encoding,accuracy\n0:99999999999999999999,0.1\n", "stage 2 takes a number"},
        {"encoding,accuracy\n000,0.1\n", "neither 2 digits"},
        {"encoding,accuracy\n,0.1\n", "neither 2 digits"},
        {"encoding,accuracy\n00,0.1\n01,0.2\n00,0.1\n", "line 4, column \"encoding\": line 2 is"},
        {"encoding,accuracy\n00,0.1\n0:0,0.1\n", "line 3, column \"encoding\": line 2 is"},
        {"encoding,accuracy,seconds\n00,0.1,0\n",
         "line 2, column \"seconds\": \"0\" must be above"},
        {"encoding,accuracy,loss\n00,0.1,-1\n", "line 2, column \"loss\": \"-1\" must be at least"},
        {"encoding,accuracy,step_time\n00,0.1,-1\n", "column \"step_time\""},
        {"encoding,accuracy\n\"00,0.1\n", "line 2: a quote is not closed"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_refused(cases[i].text, NULL, cases[i].message);
    struct result_columns unknown = {.accuracy = "accuracyy"}, runs = {.runs = "accuracy,,x"};
    assert_refused(whole, &unknown, "no column \"accuracyy\" for the accuracy; did you mean");
    assert_refused(whole, &runs, "no column \"\"");
}

static void test_large_spaces_are_named_by_encodings_only(void **state)
{
    (void)state;
    char stages[2048] = "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8}, \"stages\": [";
    for (int i = 0; i < 21; i++)
        snprintf(stages + strlen(stages), sizeof stages - strlen(stages),
                 "%s{\"block\": [\"mbconv\", \"conv\"], \"channels\": 8}", i ? "," : "");
    snprintf(stages + strlen(stages), sizeof stages - strlen(stages), "]}");
    spec_free(spec);
    spec = specs_with(stages, "");
    struct result_table table = table_of("encoding,accuracy\n000000000000000000000,0.5\n", NULL);
    assert_false(table.complete);
    result_table_release(&table);
    assert_refused("encoding,accuracy\n0123456789abcdef,0.5\n", NULL, "only in a space of up to");
}

int main(void)
{
#define TABLE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_whole_table),
        TABLE_TEST(test_columns_by_name_runs_and_percent),
        TABLE_TEST(test_numbered_runs_are_found),
        TABLE_TEST(test_unit_may_be_stated),
        TABLE_TEST(test_hashes_and_texts_name_architectures),
        TABLE_TEST(test_twins_are_one_architecture),
        TABLE_TEST(test_limits_of_the_spec_decide_what_is_complete),
        TABLE_TEST(test_what_is_refused_names_line_and_column),
        TABLE_TEST(test_large_spaces_are_named_by_encodings_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
