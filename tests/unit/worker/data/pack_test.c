/* Packs: what was decoded comes back, and no damage goes unnoticed. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct synthetic small = {
    .size = 5, .classes = 3, .train_images = 12, .test_images = 7, .gzip = true};

static void write_pack(const struct source *source, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(pack_write(fd, path, source, NULL), 0);
    close(fd);
}

static int open_pack(const char *path, uint64_t fingerprint, struct pack **ret_pack,
                     struct error *error)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    int r = pack_open(fd, path, fingerprint, ret_pack, error);
    close(fd);
    return r;
}

static void test_pack_holds_what_the_source_held(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "pack", path);
    write_pack(&source, path);
    struct pack *pack;
    assert_int_equal(open_pack(path, source_fingerprint(&source), &pack, NULL), 0);
    const struct dataset *dataset = pack_dataset(pack);
    assert_string_equal(dataset->name, "small");
    assert_int_equal(dataset->image_size, 5);
    assert_int_equal(dataset->image_channels, 1);
    assert_int_equal(dataset->classes, 3);
    assert_int_equal(dataset->train_images, 12);
    assert_int_equal(dataset->test_images, 7);
    for (uint32_t i = 0; i < 19; i++) {
        bool test = i >= 12;
        uint32_t image = test ? i - 12 : i;
        assert_int_equal(pack_labels(pack)[i], image % 3);
        for (uint32_t p = 0; p < 25; p++)
            assert_int_equal(pack_image(pack, i)[p],
                             synthetic_pixel(&small, test, image, p / 5, p % 5));
    }
    pack_free(pack);
}

static void test_statistics_are_those_of_the_training_images(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "pack", path);
    write_pack(&source, path);
    struct pack *pack;
    assert_int_equal(open_pack(path, source_fingerprint(&source), &pack, NULL), 0);
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < 12 * 25; i++) {
        double value = synthetic_pixel(&small, false, i / 25, i % 25 / 5, i % 5) / 255.0;
        sum += value;
        squares += value * value;
    }
    double mean = sum / (12 * 25);
    assert_true(fabs(pack_mean(pack)[0] - mean) < 1e-12);
    assert_true(fabs(pack_deviation(pack)[0] - sqrt(squares / (12 * 25) - mean * mean)) < 1e-12);
    pack_free(pack);
}

static void test_every_flipped_byte_is_noticed(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "pack", path);
    write_pack(&source, path);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    size_t last = (size_t)status.st_size - 1;
    const size_t offsets[] = {0, 8, 13, 20, 80, 100, 140, 4096, 4096 + 300, last - 20, last};
    for (size_t i = 0; i < ARRAY_LENGTH(offsets); i++) {
        struct pack *pack = NULL;
        struct error error = {0};
        fixture_flip_byte(path, offsets[i]);
        assert_int_equal(open_pack(path, source_fingerprint(&source), &pack, &error), -EBADMSG);
        assert_non_null(strstr(error.message, path));
        assert_null(pack);
        fixture_flip_byte(path, offsets[i]);
    }
    struct pack *pack;
    assert_int_equal(open_pack(path, source_fingerprint(&source), &pack, NULL), 0);
    pack_free(pack);
}

static void test_a_pack_cut_short_or_grown_is_noticed(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "pack", path);
    write_pack(&source, path);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    const off_t lengths[] = {status.st_size + 1, status.st_size - 1, 4097, 4096, 4095, 10, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        struct pack *pack;
        struct error error = {0};
        assert_int_equal(truncate(path, lengths[i]), 0);
        assert_int_equal(open_pack(path, source_fingerprint(&source), &pack, &error), -EBADMSG);
        assert_non_null(strstr(error.message, lengths[i] < 4096 ? "too short" : "expected"));
    }
}

static void test_a_pack_of_other_source_files_is_stale(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "pack", path);
    write_pack(&source, path);
    source.files[1].modified_ns++;
    struct pack *pack;
    assert_int_equal(open_pack(path, source_fingerprint(&source), &pack, NULL), -ESTALE);
}

static void test_damaged_sources_make_no_pack(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char images[FILE_PATH_SIZE], path[FILE_PATH_SIZE];
    fixture_path(*state, "small/t10k-images-idx3-ubyte.gz", images);
    struct stat status;
    assert_int_equal(stat(images, &status), 0);
    assert_int_equal(truncate(images, status.st_size - 9), 0);
    fixture_path(*state, "pack", path);
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    struct error error = {0};
    assert_int_equal(pack_write(fd, path, &source, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "t10k-images"));
    struct pack *pack;
    assert_int_equal(pack_open(fd, path, source_fingerprint(&source), &pack, NULL), -EBADMSG);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_pack_holds_what_the_source_held),
        FIXTURE_TEST(test_statistics_are_those_of_the_training_images),
        FIXTURE_TEST(test_every_flipped_byte_is_noticed),
        FIXTURE_TEST(test_a_pack_cut_short_or_grown_is_noticed),
        FIXTURE_TEST(test_a_pack_of_other_source_files_is_stale),
        FIXTURE_TEST(test_damaged_sources_make_no_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
