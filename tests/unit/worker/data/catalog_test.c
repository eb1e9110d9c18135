/* Which data sets are found, under which names, and what is said of those that cannot be used. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/cache.h"
#include "worker/data/catalog.h"
#include "worker/data/cifar.h"
#include "worker/data/home.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct synthetic small = {
    .size = 4, .classes = 3, .train_images = 9, .test_images = 4};

static struct catalog *catalog_of(const struct fixture *fixture, const char *name)
{
    struct catalog *catalog;
    assert_int_equal(catalog_new(&catalog), 0);
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, name, path);
    assert_int_equal(catalog_add(catalog, path, NULL), 0);
    return catalog;
}

static void write_cifar(const struct fixture *fixture, const char *directory, const char *file,
                        size_t images, size_t label_bytes)
{
    size_t record = label_bytes + CIFAR_IMAGE_BYTES;
    uint8_t *bytes = calloc(images, record);
    assert_non_null(bytes);
    for (size_t i = 0; i < images; i++)
        bytes[i * record + label_bytes - 1] = (uint8_t)(i % 5);
    char name[128], path[FILE_PATH_SIZE];
    snprintf(name, sizeof name, "%s/%s", directory, file);
    fixture_path(fixture, name, path);
    fixture_write(path, bytes, images * record);
    free(bytes);
}

static void test_sub_directories_are_data_sets_by_their_names(void **state)
{
    const struct fixture *fixture = *state;
    struct synthetic zipped = small;
    zipped.gzip = true;
    fixture_write_synthetic(fixture, "plain", &small);
    fixture_write_synthetic(fixture, "zipped.v2", &zipped);
    fixture_make_directory(fixture, "empty");
    fixture_write_synthetic(fixture, "Not A Name", &small);
    struct catalog *catalog = catalog_of(fixture, "");
    assert_int_equal(catalog_count(catalog), 2);
    static const char *const names[] = {"plain", "zipped.v2"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct catalog_entry *entry;
        assert_int_equal(catalog_find(catalog, names[i], &entry, NULL), 0);
        assert_string_equal(entry->dataset.name, names[i]);
        assert_int_equal(entry->dataset.image_size, 4);
        assert_int_equal(entry->dataset.image_channels, 1);
        assert_int_equal(entry->dataset.classes, 3);
        assert_int_equal(entry->dataset.train_images, 9);
        assert_int_equal(entry->dataset.test_images, 4);
    }
    catalog_free(catalog);
}

static void test_the_directory_itself_may_be_a_data_set(void **state)
{
    fixture_write_synthetic(*state, "letters", &small);
    struct catalog *catalog = catalog_of(*state, "letters");
    assert_int_equal(catalog_count(catalog), 1);
    assert_string_equal(catalog_at(catalog, 0)->dataset.name, "letters");
    catalog_free(catalog);
}

static void test_the_published_cifar_directories_have_short_names(void **state)
{
    const struct fixture *fixture = *state;
    fixture_make_directory(fixture, "cifar-10-batches-bin");
    for (int i = 1; i <= 5; i++) {
        char file[32];
        snprintf(file, sizeof file, "data_batch_%d.bin", i);
        write_cifar(fixture, "cifar-10-batches-bin", file, 5 + (size_t)i, 1);
    }
    write_cifar(fixture, "cifar-10-batches-bin", "test_batch.bin", 7, 1);
    fixture_make_directory(fixture, "cifar-100-binary");
    write_cifar(fixture, "cifar-100-binary", "train.bin", 11, 2);
    write_cifar(fixture, "cifar-100-binary", "test.bin", 6, 2);
    struct catalog *catalog = catalog_of(fixture, "");
    const struct catalog_entry *entry;
    assert_int_equal(catalog_find(catalog, "cifar10", &entry, NULL), 0);
    assert_int_equal(entry->dataset.train_images, 6 + 7 + 8 + 9 + 10);
    assert_int_equal(entry->dataset.test_images, 7);
    assert_int_equal(entry->dataset.image_channels, 3);
    assert_int_equal(catalog_find(catalog, "cifar100", &entry, NULL), 0);
    assert_int_equal(entry->dataset.train_images, 11);
    assert_int_equal(entry->dataset.classes, 5);
    catalog_free(catalog);
}

static void test_an_incomplete_data_set_is_kept_with_its_reason(void **state)
{
    const struct fixture *fixture = *state;
    fixture_write_synthetic(fixture, "broken", &small);
    fixture_write_synthetic(fixture, "good", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, "broken/t10k-labels-idx1-ubyte", path);
    assert_int_equal(unlink(path), 0);
    struct catalog *catalog = catalog_of(fixture, "");
    const struct catalog_entry *entry;
    struct error error = {0};
    assert_int_equal(catalog_find(catalog, "broken", &entry, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "t10k-labels-idx1-ubyte is missing"));
    assert_int_equal(catalog_find(catalog, "good", &entry, NULL), 0);
    catalog_free(catalog);
}

static void test_images_and_labels_that_differ_in_number_are_refused(void **state)
{
    const struct fixture *fixture = *state;
    struct synthetic fewer = small;
    fewer.train_images--;
    fixture_write_synthetic(fixture, "first", &small);
    fixture_write_synthetic(fixture, "second", &fewer);
    char from[FILE_PATH_SIZE], to[FILE_PATH_SIZE];
    fixture_path(fixture, "second/train-labels-idx1-ubyte", from);
    fixture_path(fixture, "first/train-labels-idx1-ubyte", to);
    assert_int_equal(rename(from, to), 0);
    struct catalog *catalog = catalog_of(fixture, "");
    const struct catalog_entry *entry;
    struct error error = {0};
    assert_int_equal(catalog_find(catalog, "first", &entry, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "9 images"));
    assert_non_null(strstr(error.message, "8 labels"));
    catalog_free(catalog);
}

static void test_the_first_directory_wins(void **state)
{
    const struct fixture *fixture = *state;
    struct synthetic other = small;
    other.classes = 2;
    fixture_make_directory(fixture, "a");
    fixture_make_directory(fixture, "b");
    fixture_write_synthetic(fixture, "a/same", &small);
    fixture_write_synthetic(fixture, "b/same", &other);
    struct catalog *catalog = catalog_of(fixture, "b");
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, "a", path);
    assert_int_equal(catalog_add(catalog, path, NULL), 0);
    assert_int_equal(catalog_count(catalog), 1);
    assert_int_equal(catalog_at(catalog, 0)->dataset.classes, 2);
    catalog_free(catalog);
}

static void test_what_is_not_there_is_said(void **state)
{
    fixture_write_synthetic(*state, "letters", &small);
    struct catalog *catalog = catalog_of(*state, "");
    const struct catalog_entry *entry;
    struct error error = {0};
    assert_int_equal(catalog_find(catalog, "imagenet", &entry, &error), -ENOENT);
    assert_non_null(strstr(error.message, "imagenet"));
    assert_non_null(strstr(error.message, "letters"));
    assert_int_equal(catalog_add(catalog, "/nonexistent/directory", &error), -ENOENT);
    assert_non_null(strstr(error.message, "/nonexistent/directory"));
    catalog_free(catalog);
}

/* ---- packs ---- */

static void write_pack(const struct fixture *fixture, const char *source_name, const char *path)
{
    struct source source = fixture_source(fixture, source_name, &small);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(pack_write(fd, path, &source, NULL), 0);
    close(fd);
}

static void test_packs_are_data_sets_by_their_names(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_make_directory(*state, "packs");
    fixture_path(*state, "packs/flowers.pack", path);
    write_pack(*state, "flowers", path);
    fixture_path(*state, "packs/.pack", path);
    fixture_write(path, "x", 1);
    fixture_path(*state, "packs/Upper.pack", path);
    fixture_write(path, "x", 1);
    struct catalog *catalog = catalog_of(*state, "packs");
    assert_int_equal(catalog_count(catalog), 1);
    const struct catalog_entry *entry;
    assert_int_equal(catalog_find(catalog, "flowers", &entry, NULL), 0);
    assert_int_equal(entry->dataset.train_images, 9);
    struct pack *pack;
    struct error reason;
    assert_int_equal(cache_open(NULL, &entry->source, &pack, &reason, NULL), CACHE_FOUND);
    assert_string_equal(pack_class_name(pack, 2), "2");
    pack_free(pack);
    catalog_free(catalog);
}

static void test_packs_that_cannot_be_used_are_kept_with_the_reason(void **state)
{
    char path[FILE_PATH_SIZE];
    struct error error = {0};
    const struct catalog_entry *entry;
    fixture_make_directory(*state, "packs");
    fixture_path(*state, "packs/cut.pack", path);
    write_pack(*state, "cut", path);
    assert_int_equal(truncate(path, 4200), 0);
    fixture_path(*state, "packs/renamed.pack", path);
    write_pack(*state, "before", path);
    fixture_path(*state, "packs/text.pack", path);
    fixture_write(path, "x", 1);
    struct catalog *catalog = catalog_of(*state, "packs");
    static const struct {
        const char *name, *reason;
    } cases[] = {{"cut", "packs/cut.pack: has 4200 bytes"},
                 {"renamed", "holds data set before"},
                 {"text", "packs/text.pack: too short"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(catalog_find(catalog, cases[i].name, &entry, &error), -EBADMSG);
        assert_non_null(strstr(error.message, cases[i].reason));
    }
    catalog_free(catalog);
}

static void test_the_home_of_data_sets_is_looked_at_where_it_is(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "data", path);
    assert_int_equal(unsetenv("ARCHSCOUT_DATASETS"), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", path, 1), 0);
    struct catalog *catalog;
    assert_int_equal(catalog_new(&catalog), 0);
    assert_int_equal(catalog_add_home(catalog, NULL), 0);
    assert_int_equal(catalog_count(catalog), 0);
    fixture_path(*state, "data/archscout/datasets", path);
    assert_int_equal(file_make_directories(path, 0777, NULL), 0);
    fixture_path(*state, "data/archscout/datasets/flowers.pack", path);
    write_pack(*state, "flowers", path);
    assert_int_equal(catalog_add_home(catalog, NULL), 0);
    assert_int_equal(catalog_count(catalog), 1);
    fixture_path(*state, "elsewhere", path);
    assert_int_equal(setenv("ARCHSCOUT_DATASETS", path, 1), 0);
    char home[FILE_PATH_SIZE];
    assert_int_equal(dataset_home(home, NULL), 0);
    assert_int_equal(strncmp(home, path, strlen(path)), 0);
    catalog_free(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_sub_directories_are_data_sets_by_their_names),
        FIXTURE_TEST(test_the_directory_itself_may_be_a_data_set),
        FIXTURE_TEST(test_the_published_cifar_directories_have_short_names),
        FIXTURE_TEST(test_an_incomplete_data_set_is_kept_with_its_reason),
        FIXTURE_TEST(test_images_and_labels_that_differ_in_number_are_refused),
        FIXTURE_TEST(test_the_first_directory_wins),
        FIXTURE_TEST(test_what_is_not_there_is_said),
        FIXTURE_TEST(test_packs_are_data_sets_by_their_names),
        FIXTURE_TEST(test_packs_that_cannot_be_used_are_kept_with_the_reason),
        FIXTURE_TEST(test_the_home_of_data_sets_is_looked_at_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
