/* Damaged tables: whatever the bytes, result_table_read either refuses them with a sentence, or gives a table over which a
 * search plays. The damage is a function of a seed, so a failure repeats.
 *
 *   result_table_fuzz_test [ROUNDS [SEED]] */
#include "search/rehearsal_score.h"
#include "tests/fuzz/mutate.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS_DEFAULT = 4000, RANDOM_BYTES_MAX = 300 };

static const char space[] =
    "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 16}, \"stages\": ["
    "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\"}], \"channels\": 8},"
    "{\"alternatives\": [{\"block\": \"identity\"}, {\"block\": \"mbconv\"}], \"channels\": 8},"
    "{\"block\": \"mbconv\", \"kernel\": [3, 5, 7], \"channels\": 16}]}";
static const char members[] =
    ", \"objectives\": [\"accuracy\", \"macs\"], \"reward\": {\"accuracy\": 1},"
    " \"budget\": {\"candidates\": 8}";

static const char *const corpus[] = {
    "encoding,accuracy,seconds\n000,0.5,10\n001,0.6,20\n012,0.7,30\n102,0.7,30\n110,0.8,5\n",
    "encoding,accuracy_1,accuracy_2,loss,step_time\r\n0:0:0,50,51.5,1,0.5\r\n\"1:1:2\",60,6e1,2,"
    "1\r\n",
    "\xef\xbb\xbf"
    "encoding,accuracy\n"
    "stem_k3_s1_c8|mb_r1_k3_s1_e1_c16|head_c16,0.5\n0x0123456789abcdef,0.6\n",
};

static uint64_t rounds = ROUNDS_DEFAULT, first_seed = 0;
static struct spec *spec;

static int setup(void **state)
{
    (void)state;
    spec = specs_with(space, members);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spec_free(spec);
    return 0;
}

static void check_accepted(struct result_table *table)
{
    assert_in_range(table->count, 1, table->row_count);
    for (size_t i = 0; i < table->count; i++) {
        const struct result_entry *entry = &table->entries[i];
        assert_true(space_contains(spec->space, &entry->encoding));
        assert_true(entry->accuracy >= 0 && entry->accuracy <= 1);
        assert_ptr_equal(result_table_find(table, entry->hash), entry);
        for (size_t j = 0; j < table->run_count; j++)
            assert_true(entry->run[j] >= 0 && entry->run[j] <= 1);
    }
    struct rehearsal_options options = {.table = table,
                                        .workers = 3,
                                        .noise = table->run_count > 1,
                                        .missing = REHEARSAL_MISSING_REFUSED};
    struct rehearsal rehearsal;
    struct rehearsal_truth truth;
    struct rehearsal_score score;
    assert_int_equal(rehearsal_check(spec, &options, NULL), 0);
    assert_int_equal(rehearsal_run(spec, &options, &rehearsal, NULL), 0);
    assert_int_equal(rehearsal.accepted_count, 8);
    assert_int_equal(rehearsal_truth_of(spec, table, &truth), 0);
    assert_int_equal(rehearsal_score_of(spec, &rehearsal, &truth, 0.1, &score), 0);
    double regret = score.standings[0].regret;
    assert_true(isnan(regret) || (regret >= 0 && regret <= 1));
    rehearsal_release(&rehearsal);
}

/* True where the bytes were accepted. They are copied to the end of a block, so that a sanitizer sees what reads on. */
static bool check(const char *bytes, size_t length)
{
    struct result_table table = {0};
    struct error error = {.message = ""};
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    int r = result_table_read(copy, length, &(struct result_columns){0}, spec, &table, &error);
    free(copy);
    if (r == 0) {
        check_accepted(&table);
        result_table_release(&table);
        return true;
    }
    assert_true(r == -EINVAL || r == -E2BIG);
    assert_true(strlen(error.message) > 10);
    return false;
}

static void test_undamaged_tables(void **state)
{
    (void)state;
    assert_true(check(corpus[0], strlen(corpus[0])));
    assert_true(check(corpus[1], strlen(corpus[1])));
    assert_false(check(corpus[2], strlen(corpus[2]))); /* the hash is nobody's */
}

static void test_tables_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus); i++)
        for (size_t length = 0; length <= strlen(corpus[i]); length++)
            check(corpus[i], length);
}

static void test_damaged_tables(void **state)
{
    (void)state;
    static struct bytes bytes, other;
    size_t accepted = 0, refused = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        struct random_stream random = random_stream_of(first_seed, i, RANDOM_MUTATION);
        const char *whole = corpus[i % ARRAY_LENGTH(corpus)],
                   *second = corpus[(i + 1) % ARRAY_LENGTH(corpus)];
        bytes.length = strlen(whole);
        memcpy(bytes.data, whole, bytes.length);
        other.length = strlen(second);
        memcpy(other.data, second, other.length);
        mutate(&random, &bytes, &other);
        if (check(bytes.data, bytes.length))
            accepted++;
        else
            refused++;
    }
    assert_true(accepted > 0 && refused > 0);
}

static void test_random_bytes(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789:,.\"\n\r -+eExnaif|_";
    char bytes[sizeof "encoding,accuracy\n" + RANDOM_BYTES_MAX];
    for (uint64_t i = 0; i < rounds; i++) {
        struct random_stream random = random_stream_of(first_seed, i, RANDOM_PROPOSAL);
        size_t length = 0, wanted = random_below(&random, RANDOM_BYTES_MAX);
        if (i % 2 == 0)
            length = (size_t)snprintf(bytes, sizeof bytes, "encoding,accuracy\n");
        for (wanted += length; length < wanted; length++)
            bytes[length] = i % 3 == 0 ? (char)random_below(&random, 256)
                                       : alphabet[random_below(&random, sizeof alphabet - 1)];
        check(bytes, length);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        rounds = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undamaged_tables),
        cmocka_unit_test(test_tables_cut_short),
        cmocka_unit_test(test_damaged_tables),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
