/* The readers on published data: Debian's Fashion-MNIST, and a lossless part of CIFAR-10 where it is there. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/cache.h"
#include "worker/data/catalog.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

extern char **environ;

static struct pack *open_by_name(const struct catalog *catalog, const char *name)
{
    const struct catalog_entry *entry;
    struct error reason, error = {0};
    struct pack *pack = NULL;
    if (catalog_find(catalog, name, &entry, &error) < 0 ||
        cache_open(NULL, &entry->source, &pack, &reason, &error) < 0)
        fail_msg("%s", error.message);
    return pack;
}

static void assert_statistic(double value, double expected)
{
    if (fabs(value - expected) > 5e-4)
        fail_msg("%.5f is not %.4f", value, expected);
}

static void count_classes(const struct pack *pack, uint64_t first, uint64_t images,
                          uint64_t ret_counts[10])
{
    memset(ret_counts, 0, 10 * sizeof *ret_counts);
    for (uint64_t i = 0; i < images; i++) {
        assert_in_range(pack_labels(pack)[first + i], 0, 9);
        ret_counts[pack_labels(pack)[first + i]]++;
    }
}

static void test_fashion_mnist_is_read(void **state)
{
    (void)state;
    struct catalog *catalog;
    assert_int_equal(catalog_new(&catalog), 0);
    int r = catalog_add(catalog, "/usr/share/datasets/fashion-mnist", NULL);
    if (r == -ENOENT) {
        printf("SKIP: Fashion-MNIST is not installed (Debian: dataset-fashion-mnist)\n");
        catalog_free(catalog);
        skip();
    }
    struct pack *pack = open_by_name(catalog, "fashion-mnist");
    const struct dataset *dataset = pack_dataset(pack), *known = dataset_known("fashion-mnist");
    assert_int_equal(dataset->image_size, known->image_size);
    assert_int_equal(dataset->image_channels, known->image_channels);
    assert_int_equal(dataset->classes, known->classes);
    assert_int_equal(dataset->train_images, known->train_images);
    assert_int_equal(dataset->test_images, known->test_images);
    static const uint16_t first_labels[] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5};
    assert_memory_equal(pack_labels(pack), first_labels, sizeof first_labels);
    uint64_t counts[10];
    count_classes(pack, 0, 60000, counts);
    for (int c = 0; c < 10; c++)
        assert_int_equal(counts[c], 6000);
    count_classes(pack, 60000, 10000, counts);
    for (int c = 0; c < 10; c++)
        assert_int_equal(counts[c], 1000);
    assert_statistic(pack_mean(pack)[0], 0.2860);
    assert_statistic(pack_deviation(pack)[0], 0.3530);
    pack_free(pack);
    catalog_free(catalog);
}

/* False where the archive is not there. */
static bool unpack_cifar(const struct fixture *fixture)
{
    const char *shared = getenv("ARCHSCOUT_SHARED");
    char archive[FILE_PATH_SIZE];
    snprintf(archive, sizeof archive, "%s/data/cifar10-lossless-subset.tar.xz",
             shared ? shared : "../shared");
    if (access(archive, R_OK) < 0)
        return false;
    const char *const words[] = {"tar", "--extract",        "--file", archive,
                                 "-C",  fixture->directory, NULL};
    pid_t child;
    int status;
    assert_int_equal(
        posix_spawnp(&child, "tar", NULL, NULL, (char *const *)(uintptr_t)words, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return true;
}

static void test_cifar_10_is_read(void **state)
{
    if (!unpack_cifar(*state)) {
        printf("SKIP: no data/cifar10-lossless-subset.tar.xz under ARCHSCOUT_SHARED\n");
        skip();
    }
    const struct fixture *fixture = *state;
    struct catalog *catalog;
    assert_int_equal(catalog_new(&catalog), 0);
    assert_int_equal(catalog_add(catalog, fixture->directory, NULL), 0);
    struct pack *pack = open_by_name(catalog, "cifar10-lossless-subset");
    const struct dataset *dataset = pack_dataset(pack);
    assert_int_equal(dataset->image_size, 32);
    assert_int_equal(dataset->image_channels, 3);
    assert_int_equal(dataset->classes, 10);
    assert_int_equal(dataset->train_images, 4000 + 4 * 761);
    assert_int_equal(dataset->test_images, 761);
    /* The first record is a frog; its first pixels are well known. */
    assert_int_equal(pack_labels(pack)[0], 6);
    static const uint8_t first_pixels[] = {59, 62, 63, 43, 46, 45, 50, 48, 43};
    assert_memory_equal(pack_image(pack, 0), first_pixels, sizeof first_pixels);
    static const double mean[] = {0.4914, 0.4822, 0.4465}, deviation[] = {0.2470, 0.2435, 0.2616};
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(pack_mean(pack)[c] - mean[c]) < 0.01);
        assert_true(fabs(pack_deviation(pack)[c] - deviation[c]) < 0.01);
    }
    pack_free(pack);
    catalog_free(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_fashion_mnist_is_read),
        FIXTURE_TEST(test_cifar_10_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
