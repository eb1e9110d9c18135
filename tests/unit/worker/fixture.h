/* Temporary directories and small data sets for the tests of worker/. Failures end the test. */
#ifndef TESTS_UNIT_WORKER_FIXTURE_H
#define TESTS_UNIT_WORKER_FIXTURE_H

#include "worker/data/file.h"
#include "worker/data/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fixture {
    char directory[256];
};

/* For cmocka: *state becomes a struct fixture with an empty directory, which goes with the teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A cmocka test with that state. */
#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

void fixture_path(const struct fixture *fixture, const char *name, char ret_path[FILE_PATH_SIZE]);
void fixture_make_directory(const struct fixture *fixture, const char *name);
void fixture_write(const char *path, const void *bytes, size_t length);
void fixture_write_gz(const char *path, const void *bytes, size_t length);
/* The whole file, to be freed. */
uint8_t *fixture_read(const char *path, size_t *ret_length);
void fixture_flip_byte(const char *path, size_t offset);

/* A data set in IDX: image i of a split has label i % classes; a bright bar whose place tells the class, under noise. */
struct synthetic {
    uint32_t size, classes;
    uint32_t train_images, test_images;
    bool gzip;
};
uint8_t synthetic_pixel(const struct synthetic *synthetic, bool test, uint32_t image, uint32_t y,
                        uint32_t x);
/* Writes it into sub-directory `name`. */
void fixture_write_synthetic(const struct fixture *fixture, const char *name,
                             const struct synthetic *synthetic);
/* The same, and finds it. */
struct source fixture_source(const struct fixture *fixture, const char *name,
                             const struct synthetic *synthetic);

#endif
