#include "tests/unit/worker/fixture.h"

#include "search/random.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cmocka.h>

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/archscout-test-XXXXXX");
    if (!mkdtemp(fixture->directory)) {
        free(fixture);
        return -1;
    }
    *state = fixture;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    int r = nftw(fixture->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return r;
}

void fixture_path(const struct fixture *fixture, const char *name, char ret_path[FILE_PATH_SIZE])
{
    assert_int_equal(file_join(ret_path, fixture->directory, name, "", NULL), 0);
}

void fixture_make_directory(const struct fixture *fixture, const char *name)
{
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, name, path);
    assert_int_equal(mkdir(path, 0777), 0);
}

void fixture_write(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

void fixture_write_gz(const char *path, const void *bytes, size_t length)
{
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)length), length);
    assert_int_equal(gzclose(file), Z_OK);
}

uint8_t *fixture_read(const char *path, size_t *ret_length)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    uint8_t *bytes = malloc((size_t)status.st_size + 1);
    assert_non_null(bytes);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, (size_t)status.st_size, file), status.st_size);
    fclose(file);
    *ret_length = (size_t)status.st_size;
    return bytes;
}

void fixture_flip_byte(const char *path, size_t offset)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

uint8_t synthetic_pixel(const struct synthetic *synthetic, bool test, uint32_t image, uint32_t y,
                        uint32_t x)
{
    uint32_t label = image % synthetic->classes;
    uint64_t counter = (((uint64_t)test << 40 | image) << 16) + y * synthetic->size + x;
    struct random_stream stream = random_stream_of(99, counter, RANDOM_AUGMENT);
    uint32_t noise = (uint32_t)random_below(&stream, 100);
    uint32_t place = (label + 1) * synthetic->size / (synthetic->classes + 1);
    return (uint8_t)(noise + (y == place ? 150 : 0));
}

static void put_big_endian(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void write_split(const struct fixture *fixture, const char *prefix,
                        const struct synthetic *synthetic, bool test)
{
    const uint32_t count = test ? synthetic->test_images : synthetic->train_images;
    const uint32_t size = synthetic->size;
    uint8_t *images = malloc(16 + (size_t)count * size * size), *labels = malloc(8 + count);
    assert_non_null(images);
    assert_non_null(labels);
    const uint32_t header[4] = {0x803, count, size, size};
    for (int i = 0; i < 4; i++)
        put_big_endian(images + 4 * i, header[i]);
    put_big_endian(labels, 0x801);
    put_big_endian(labels + 4, count);
    for (uint32_t i = 0; i < count; i++) {
        labels[8 + i] = (uint8_t)(i % synthetic->classes);
        for (uint32_t p = 0; p < size * size; p++)
            images[16 + (size_t)i * size * size + p] =
                synthetic_pixel(synthetic, test, i, p / size, p % size);
    }
    void (*write)(const char *, const void *, size_t) =
        synthetic->gzip ? fixture_write_gz : fixture_write;
    const char *suffix = synthetic->gzip ? ".gz" : "";
    char path[FILE_PATH_SIZE], name[128];
    snprintf(name, sizeof name, "%s-images-idx3-ubyte%s", prefix, suffix);
    fixture_path(fixture, name, path);
    write(path, images, 16 + (size_t)count * size * size);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte%s", prefix, suffix);
    fixture_path(fixture, name, path);
    write(path, labels, 8 + count);
    free(images);
    free(labels);
}

void fixture_write_synthetic(const struct fixture *fixture, const char *name,
                             const struct synthetic *synthetic)
{
    fixture_make_directory(fixture, name);
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s/train", name);
    write_split(fixture, prefix, synthetic, false);
    snprintf(prefix, sizeof prefix, "%s/t10k", name);
    write_split(fixture, prefix, synthetic, true);
}

struct source fixture_source(const struct fixture *fixture, const char *name,
                             const struct synthetic *synthetic)
{
    fixture_write_synthetic(fixture, name, synthetic);
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, name, path);
    struct source source;
    assert_int_equal(source_detect(path, name, &source, NULL), 0);
    return source;
}
