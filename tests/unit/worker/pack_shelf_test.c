/* The shelf of mapped packs. */
#include "worker/pack_shelf.h"

#include "tests/unit/worker/fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct synthetic tiny = {.size = 2, .classes = 2, .train_images = 4, .test_images = 2};

static void name_of(int i, char ret_name[8])
{
    snprintf(ret_name, 8, "set%d", i);
}

static void test_packs_stay_until_others_need_their_place(void **state)
{
    const struct fixture *fixture = *state;
    struct catalog *catalog;
    assert_int_equal(catalog_new(&catalog), 0);
    char name[8], note[PACK_NOTE_SIZE];
    for (int i = 0; i <= PACK_SHELF_PACKS; i++) {
        name_of(i, name);
        fixture_write_synthetic(fixture, name, &tiny);
    }
    assert_int_equal(catalog_add(catalog, fixture->directory, NULL), 0);
    struct pack_shelf *shelf;
    char cache[FILE_PATH_SIZE];
    fixture_path(fixture, "cache", cache);
    assert_int_equal(pack_shelf_new(catalog, cache, &shelf), 0);
    const struct pack *pack, *first;
    assert_int_equal(pack_shelf_get(shelf, "set0", &first, note, NULL), 0);
    assert_string_equal(note, "set0: pack made");
    for (int i = 1; i <= PACK_SHELF_PACKS; i++) {
        name_of(i, name);
        assert_int_equal(pack_shelf_get(shelf, name, &pack, note, NULL), 0);
        assert_string_equal(pack_dataset(pack)->name, name);
        /* set0 is used again and again, and so never the oldest. */
        assert_int_equal(pack_shelf_get(shelf, "set0", &pack, note, NULL), 0);
        assert_string_equal(note, "");
        assert_ptr_equal(pack, first);
    }
    assert_int_equal(pack_shelf_get(shelf, "set1", &pack, note, NULL), 0);
    assert_string_equal(note, "set1: pack mapped");
    pack_shelf_free(shelf);
    catalog_free(catalog);
}

static void test_an_unknown_data_set_is_an_error(void **state)
{
    struct catalog *catalog;
    struct pack_shelf *shelf;
    assert_int_equal(catalog_new(&catalog), 0);
    assert_int_equal(pack_shelf_new(catalog, NULL, &shelf), 0);
    const struct pack *pack;
    char note[PACK_NOTE_SIZE];
    struct error error = {0};
    assert_int_equal(pack_shelf_get(shelf, "nothing", &pack, note, &error), -ENOENT);
    assert_non_null(strstr(error.message, "nothing"));
    pack_shelf_free(shelf);
    catalog_free(catalog);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_packs_stay_until_others_need_their_place),
        FIXTURE_TEST(test_an_unknown_data_set_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
