/* Imports of published data, where it is there: EuroSAT as an image folder, CIFAR-10 as JPEG files and as CIFAR's own. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/import.h"
#include "worker/data/pack.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    CIFAR_CLASSES = 10,
    CIFAR_BATCH_1 = 4000, /* images of the subset that are the first of the official order */
    CIFAR_BYTES = 32 * 32 * 3,
};

static void pack_release(struct pack **pack)
{
    pack_free(*pack);
}

/* Imports $ARCHSCOUT_SHARED/data/FILE. Skips, saying so, where it is not there. */
static struct pack *import_shared(const struct fixture *fixture, const char *file, const char *name)
{
    const char *shared = getenv("ARCHSCOUT_SHARED");
    char path[FILE_PATH_SIZE], home[FILE_PATH_SIZE], pack_path[FILE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/data/%s", shared ? shared : "", file);
    if (!shared || access(path, R_OK) < 0) {
        printf("SKIP: no data/%s under ARCHSCOUT_SHARED\n", file);
        skip();
    }
    fixture_path(fixture, "home", home);
    const struct import_request request = {.name = name, .path = path, .test_share = -1};
    struct import_report report;
    struct error error = {0};
    if (import_run(&request, home, &report, &error) < 0)
        fail_msg("%s", error.message);
    assert_int_equal(file_join(pack_path, home, name, ".pack", NULL), 0);
    int fd = open(pack_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct pack *pack = NULL;
    assert_int_equal(pack_open(fd, pack_path, PACK_FINGERPRINT_ANY, &pack, NULL), 0);
    close(fd);
    return pack;
}

static void test_eurosat_has_its_classes(void **state)
{
    static const struct {
        const char *name;
        uint64_t images;
    } classes[] = {
        {"AnnualCrop", 3000},    {"Forest", 3000},      {"HerbaceousVegetation", 3000},
        {"Highway", 2500},       {"Industrial", 2500},  {"Pasture", 2000},
        {"PermanentCrop", 2500}, {"Residential", 3000}, {"River", 2500},
        {"SeaLake", 3000},
    };
    CLEANUP(pack_release)
    struct pack *pack = import_shared(*state, "eurosat-rgb.tar.xz", "eurosat");
    const struct dataset *dataset = pack_dataset(pack);
    assert_int_equal(dataset->image_size, 64);
    assert_int_equal(dataset->image_channels, 3);
    assert_int_equal(dataset->classes, ARRAY_LENGTH(classes));
    assert_int_equal(dataset->train_images, 24300); /* train and val of the archive */
    assert_int_equal(dataset->test_images, 2700);
    uint64_t counts[2][ARRAY_LENGTH(classes)] = {0};
    for (uint64_t i = 0; i < 27000; i++)
        counts[i >= 24300][pack_labels(pack)[i]]++;
    for (uint32_t label = 0; label < ARRAY_LENGTH(classes); label++) {
        assert_string_equal(pack_class_name(pack, label), classes[label].name);
        assert_int_equal(counts[0][label], classes[label].images / 10 * 9);
        assert_int_equal(counts[1][label], classes[label].images / 10);
    }
}

/* Mean over the images of their peak signal-to-noise ratio, in dB. `seen` counts a class's images: the files of the JPEG
 * copy are numbered in the official order, class by class. */
static double mean_ratio(const struct pack *exact, const struct pack *lossy)
{
    uint64_t starts[CIFAR_CLASSES] = {0}, seen[CIFAR_CLASSES] = {0};
    double sum = 0;
    for (uint64_t i = 0; i < 50000; i++)
        for (uint32_t label = pack_labels(lossy)[i] + 1u; label < CIFAR_CLASSES; label++)
            starts[label]++;
    for (uint64_t i = 0; i < CIFAR_BATCH_1; i++) {
        uint16_t label = pack_labels(exact)[i];
        const uint8_t *a = pack_image(exact, i);
        const uint8_t *b = pack_image(lossy, starts[label] + seen[label]++);
        double squares = 0;
        for (uint32_t p = 0; p < CIFAR_BYTES; p++)
            squares += (double)(a[p] - b[p]) * (a[p] - b[p]);
        sum += 10 * log10(255.0 * 255 * CIFAR_BYTES / squares);
    }
    return sum / CIFAR_BATCH_1;
}

/* The same images by two ways: labels, order, channels and rows agree, or the ratio would be about 10 dB. */
static void test_cifar_as_jpeg_is_cifar(void **state)
{
    CLEANUP(pack_release)
    struct pack *exact = import_shared(*state, "cifar10-lossless-subset.tar.xz", "exact");
    CLEANUP(pack_release)
    struct pack *lossy = import_shared(*state, "cifar10-jpeg.tar.xz", "lossy");
    assert_int_equal(pack_dataset(exact)->train_images, 7044);
    assert_int_equal(pack_dataset(exact)->test_images, 761);
    assert_int_equal(pack_dataset(lossy)->train_images, 50000);
    assert_int_equal(pack_dataset(lossy)->test_images, 10000);
    for (uint32_t label = 0; label < CIFAR_CLASSES; label++)
        assert_string_equal(pack_class_name(exact, label), pack_class_name(lossy, label));
    double ratio = mean_ratio(exact, lossy);
    if (ratio < 29.5 || ratio > 31.5) /* 30.5 by another decoder */
        fail_msg("%.2f dB between the JPEG files and the lossless images", ratio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_eurosat_has_its_classes),
        FIXTURE_TEST(test_cifar_as_jpeg_is_cifar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
