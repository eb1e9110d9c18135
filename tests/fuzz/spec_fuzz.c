/* Damaged specs: whatever the text, spec_parse either refuses it with a place and a sentence, or gives a spec that writes,
 * reads back and proposes. The damage is a function of a seed, so a failure repeats.
 *
 *   spec_fuzz [ROUNDS [SEED]]      300 rounds of every kind of damage, as ctest runs it, take about a second */
#include "search/random.h"
#include "search/strategy.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { JSON_SIZE_MAX = 8192, DAMAGE_MAX = 8, PROPOSALS = 3, ROUNDS_DEFAULT = 300 };

static const char *const corpus[] = {
    "{\"name\": \"first-light\", \"dataset\": {\"name\": \"fashion-mnist\", \"train\": 8000,"
    " \"validation\": 2000}, \"space\": {\"preset\": \"efficientnetv2-small-images\"},"
    " \"objectives\": [\"accuracy\", \"step_time\", \"params\"],"
    " \"reward\": {\"step_time\": -0.07, \"params\": -0.05},"
    " \"constraints\": {\"params_max\": 2000000, \"macs_max\": 60000000},"
    " \"strategy\": {\"name\": \"evolution\", \"population\": 16, \"sample\": 4},"
    " \"budget\": {\"candidates\": 24, \"epochs\": 2},"
    " \"recipe\": {\"preset\": \"search-short\", \"batch\": 128, \"image_size\": 28},"
    " \"baseline\": {\"preset\": \"efficientnetv2-b0-small-images\"},"
    " \"parallel_max\": 4, \"priority\": 0, \"seed\": 1, \"deterministic\": false}",
    "{\"dataset\": {\"name\": \"cifar10\"}, \"space\": {\"image_channels\": 3,"
    " \"stem\": {\"kernel\": 3, \"stride\": 1, \"channels\": 16}, \"head\": {\"channels\": 256},"
    " \"stages\": [{\"block\": [\"fused_mbconv\"], \"layers\": [1, 2], \"kernel\": [3],"
    " \"expansion\": [1, 4], \"channels\": 16, \"stride\": 1},"
    " {\"block\": [\"mbconv\", \"fused_mbconv\"], \"layers\": [1, 2, 3], \"kernel\": [3, 5],"
    " \"expansion\": [1, 4, 6], \"se\": [0, 0.25], \"channels\": 32, \"stride\": 2},"
    " {\"alternatives\": [{\"block\": \"identity\"},"
    " {\"block\": \"mbconv\", \"layers\": 1, \"kernel\": 3, \"expansion\": 3},"
    " {\"block\": \"mbconv\", \"layers\": 1, \"kernel\": 5, \"expansion\": 6}],"
    " \"channels\": 64, \"stride\": 1}]},"
    " \"objectives\": [\"macs\", \"accuracy\"], \"reference\": {\"macs\": 1e9, \"accuracy\": 0.1},"
    " \"strategy\": {\"name\": \"policy\", \"learning_rate\": 0.1, \"minibatch\": 5, \"entropy\": "
    "0},"
    " \"constraints\": {\"memory_max\": 10000000}}",
    "{\"dataset\": {\"name\": \"mnist\"}, \"space\": {\"stem\": {\"channels\": 8},"
    " \"head\": {\"channels\": 8}, \"stages\": [{\"block\": \"identity\"},"
    " {\"block\": [\"conv\", \"identity\"], \"channels\": [8, 16], \"stride\": [1, 2]}]},"
    " \"baseline\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
    " \"stages\": [{\"block\": \"conv\", \"channels\": 8}]}}",
    "{\"dataset\": {\"name\": \"mnist\"}, \"space\": {\"stem\": {\"channels\": 8},"
    " \"head\": {\"channels\": 8}, \"stages\": [{\"block\": [\"identity\", \"conv\"],"
    " \"channels\": 8}, {\"block\": \"conv\", \"layers\": [1, 2], \"channels\": 8}]},"
    " \"strategy\": {\"name\": \"list\", \"architectures\": [[0, 1], [1, 1],"
    " {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
    " \"stages\": [{\"block\": \"conv\", \"channels\": 8}]}]}}",
};

/* Values that fields do not expect. */
static const char *const odd_values[] = {"null",
                                         "true",
                                         "0",
                                         "-1",
                                         "1",
                                         "2",
                                         "1e308",
                                         "-0.0",
                                         "0.5",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "4294967296",
                                         "65536",
                                         "\"\"",
                                         "\"identity\"",
                                         "\"accuracy\"",
                                         "[]",
                                         "{}",
                                         "[[]]",
                                         "[1, 2, 3]",
                                         "{\"preset\": 1}",
                                         "{\"preset\": \"efficientnetv2-s\"}",
                                         "\"\\ud83d\\ude00\"",
                                         "1.7976931348623157e308"};

/* Pieces that are put anywhere into a text. */
static const char *const odd_pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         "\"",
                                         "\\",
                                         "\\u0000",
                                         "\\ud800",
                                         "NaN",
                                         "1e999",
                                         "-",
                                         "//",
                                         "\"seed\": 1,",
                                         "\xff",
                                         "\xc0\x80",
                                         "99999999999999999999",
                                         "\"name\": \"x\", \"name\": \"y\",",
                                         "\t\n"};

static uint64_t rounds = ROUNDS_DEFAULT, first_seed = 0;

static void check_accepted(const struct spec *spec)
{
    struct text text;
    struct spec *again = NULL;
    struct error error = {0};
    struct strategy *strategy = NULL;
    text_init(&text, SPEC_TEXT_MAX);
    assert_int_equal(spec_to_json(spec, &text), 0);
    if (spec_parse(text_string(&text), text.length, NULL, &again, &error) < 0)
        fail_msg("%s does not read back: %s: %s", text_string(&text), error.pointer, error.message);
    assert_int_equal(again->baseline_cost.params, spec->baseline_cost.params);
    assert_int_equal(strategy_new(spec, &strategy, NULL), 0);
    for (uint64_t k = 0; k < PROPOSALS; k++) {
        struct encoding encoding;
        struct architecture architecture;
        int r = strategy_ask(strategy, k, &encoding);
        if (r == STRATEGY_EXHAUSTED && k > 0)
            break;
        assert_int_equal(r, 0);
        space_architecture(spec->space, &encoding, &architecture);
        assert_int_equal(architecture_validate(&architecture, NULL), 0);
        struct cost cost = cost_of(&architecture, &spec->problem);
        assert_true(spec_feasible(spec, &cost));
    }
    strategy_free(strategy);
    spec_free(again);
    text_release(&text);
}

/* True where the text was accepted. */
static bool check(const char *json, size_t length)
{
    struct spec *spec = NULL;
    struct error error = {.pointer = "unset", .message = "unset"};
    int r = spec_parse(json, length, NULL, &spec, &error);
    if (r == 0) {
        check_accepted(spec);
        spec_free(spec);
        return true;
    }
    assert_null(spec);
    if (r != -EINVAL && r != -E2BIG)
        fail_msg("%.*s: %d at \"%s\": %s", (int)length, json, r, error.pointer, error.message);
    assert_true(error.pointer[0] == '\0' || error.pointer[0] == '/');
    assert_true(strlen(error.message) > 10);
    return false;
}

/* Cuts, repeats, replaces or inserts somewhere. The text has room for JSON_SIZE_MAX bytes. */
static size_t damage_bytes(struct random_stream *random, char *json, size_t length)
{
    size_t at = random_below(random, length + 1), size = random_below(random, 20);
    const char *piece = odd_pieces[random_below(random, ARRAY_LENGTH(odd_pieces))];
    if (size > length - at)
        size = length - at;
    switch (random_below(random, 4)) {
    case 0:
        memmove(json + at, json + at + size, length - at - size);
        return length - size;
    case 1:
        if (length + size > JSON_SIZE_MAX)
            return length;
        memmove(json + at + size, json + at, length - at);
        return length + size;
    case 2:
        if (length > 0)
            json[at < length ? at : length - 1] = (char)random_below(random, 256);
        return length;
    default:
        size = strlen(piece);
        if (length + size > JSON_SIZE_MAX)
            return length;
        memmove(json + at + size, json + at, length - at);
        memcpy(json + at, piece, size);
        return length + size;
    }
}

static void test_texts_with_damaged_bytes(void **state)
{
    (void)state;
    static char json[JSON_SIZE_MAX];
    size_t refused = 0;
    for (uint64_t i = 0; i < rounds * ARRAY_LENGTH(corpus); i++) {
        struct random_stream random = random_stream_of(first_seed, i, RANDOM_MUTATION);
        const char *whole = corpus[i % ARRAY_LENGTH(corpus)];
        size_t length = strlen(whole), damages = 1 + random_below(&random, DAMAGE_MAX);
        memcpy(json, whole, length);
        for (size_t j = 0; j < damages; j++)
            length = damage_bytes(&random, json, length);
        refused += !check(json, length);
    }
    assert_true(refused > 0);
}

/* A random value inside `value`: the container that holds it, and where in it. */
struct place {
    json_t *container;
    const char *key; /* NULL in an array */
    size_t index;
};

static size_t container_size(const json_t *value)
{
    return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

static struct place random_place(struct random_stream *random, json_t *value)
{
    struct place place = {value, NULL, 0};
    while (container_size(value) > 0) {
        place = (struct place){value, NULL, random_below(random, container_size(value))};
        if (json_is_object(value)) {
            void *iterator = json_object_iter(value);
            for (size_t i = 0; i < place.index; i++)
                iterator = json_object_iter_next(value, iterator);
            place.key = json_object_iter_key(iterator);
            value = json_object_iter_value(iterator);
        } else {
            value = json_array_get(value, place.index);
        }
        if (random_below(random, 3) == 0)
            break;
    }
    return place;
}

/* Replaces, removes, renames or repeats one value. */
static void damage_value(struct random_stream *random, json_t *document)
{
    struct place place = random_place(random, document);
    const char *odd = odd_values[random_below(random, ARRAY_LENGTH(odd_values))];
    json_t *value = json_loads(odd, JSON_DECODE_ANY, NULL);
    uint64_t kind = random_below(random, 4);
    assert_non_null(value);
    if (place.key && kind == 0) {
        json_object_del(place.container, place.key);
    } else if (place.key && kind == 1) {
        json_object_set(place.container, "kernel", value);
    } else if (place.key) {
        json_object_set(place.container, place.key, value);
    } else if (json_is_array(place.container) && kind == 0) {
        json_array_remove(place.container, place.index);
    } else if (json_is_array(place.container) && kind == 1) {
        json_t *copy = json_deep_copy(json_array_get(place.container, place.index));
        json_array_append_new(place.container, copy ? copy : json_null());
    } else if (json_is_array(place.container)) {
        json_array_set(place.container, place.index, value);
    }
    json_decref(value);
}

static void test_texts_with_damaged_values(void **state)
{
    (void)state;
    size_t accepted = 0, refused = 0;
    for (uint64_t i = 0; i < rounds * ARRAY_LENGTH(corpus); i++) {
        struct random_stream random = random_stream_of(first_seed, i, RANDOM_PROPOSAL);
        json_t *document = json_loads(corpus[i % ARRAY_LENGTH(corpus)], 0, NULL);
        assert_non_null(document);
        for (size_t j = 1 + random_below(&random, 3); j > 0; j--)
            damage_value(&random, document);
        char *json = json_dumps(document, JSON_ENCODE_ANY);
        assert_non_null(json);
        if (check(json, strlen(json)))
            accepted++;
        else
            refused++;
        free(json);
        json_decref(document);
    }
    assert_true(accepted > 0 && refused > 0);
}

static void test_undamaged_texts_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus); i++)
        assert_true(check(corpus[i], strlen(corpus[i])));
}

static void test_texts_cut_short_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus); i++) {
        for (size_t length = 0; length < strlen(corpus[i]); length++)
            assert_false(check(corpus[i], length));
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        rounds = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undamaged_texts_are_accepted),
        cmocka_unit_test(test_texts_cut_short_are_refused),
        cmocka_unit_test(test_texts_with_damaged_bytes),
        cmocka_unit_test(test_texts_with_damaged_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
