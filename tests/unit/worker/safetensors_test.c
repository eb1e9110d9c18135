/* Files of named tensors: what was written is read back, whatever is wrong with a file is found, and a file is there whole
 * or not at all. */
#include "tests/unit/worker/fixture.h"
#include "worker/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { BYTES_MAX = 1 << 20 };

static const float weights[6] = {0.5F, -1, 2, -3.25F, 1e-30F, 7};
static const uint64_t steps[1] = {UINT64_C(0xfedcba9876543210)};

static const struct safetensors_tensor weights_tensor = {
    .name = "stem.weight", .type = SAFETENSORS_F32, .dimension_count = 2, .dimensions = {2, 3}};
static const struct safetensors_tensor steps_tensor = {.name = "steps", .type = SAFETENSORS_U64};
static const struct safetensors_tensor empty_tensor = {
    .name = "empty", .type = SAFETENSORS_I64, .dimension_count = 1, .dimensions = {0}};

static void check(int code, const struct error *error)
{
    if (code < 0)
        fail_msg("%s", error->message);
}

static void write_sample(const char *path)
{
    struct error error = {0};
    struct safetensors_writer *writer = NULL;
    check(safetensors_create(path, BYTES_MAX, &writer, &error), &error);
    check(safetensors_note(writer, "architecture", "\"quoted\" \xc3\xa9", &error), &error);
    check(safetensors_declare(writer, &weights_tensor, &error), &error);
    check(safetensors_declare(writer, &empty_tensor, &error), &error);
    check(safetensors_declare(writer, &steps_tensor, &error), &error);
    check(safetensors_write(writer, weights, 5, &error), &error);
    check(safetensors_write(writer, (const char *)weights + 5, sizeof weights - 5, &error), &error);
    check(safetensors_write(writer, steps, sizeof steps, &error), &error);
    check(safetensors_finish(writer, &error), &error);
    size_t length;
    free(fixture_read(path, &length));
    assert_int_equal(safetensors_written_bytes(writer), length);
    safetensors_writer_free(writer);
}

static size_t files_in(const struct fixture *fixture)
{
    size_t count = 0;
    DIR *directory = opendir(fixture->directory);
    assert_non_null(directory);
    for (struct dirent *item = readdir(directory); item; item = readdir(directory))
        count += item->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void test_what_was_written_is_read_back(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    write_sample(path);
    assert_int_equal(files_in(*state), 1);
    struct error error = {0};
    struct safetensors *file = NULL;
    check(safetensors_open(path, BYTES_MAX, &file, &error), &error);
    assert_true(safetensors_is_verified(file));
    assert_int_equal(safetensors_count(file), 3);
    assert_string_equal(safetensors_text(file, "architecture"), "\"quoted\" \xc3\xa9");
    assert_null(safetensors_text(file, "nothing"));
    int index = safetensors_find(file, "stem.weight");
    assert_int_equal(index, 0);
    const struct safetensors_tensor *tensor = safetensors_at(file, 0);
    assert_int_equal(tensor->type, SAFETENSORS_F32);
    assert_int_equal(tensor->dimension_count, 2);
    assert_int_equal(tensor->dimensions[1], 3);
    float values[6];
    check(safetensors_read(file, 0, values, &error), &error);
    assert_memory_equal(values, weights, sizeof weights);
    uint64_t number = 0;
    check(safetensors_read(file, (size_t)safetensors_find(file, "steps"), &number, &error), &error);
    assert_int_equal(number, steps[0]);
    assert_int_equal(safetensors_bytes(safetensors_at(file, 1)), 0);
    assert_int_equal(safetensors_find(file, "stem"), -ENOENT);
    safetensors_free(file);
}

static void test_a_new_file_replaces_the_old_one(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    fixture_write(path, "old", 3);
    write_sample(path);
    struct safetensors *file = NULL;
    struct error error = {0};
    check(safetensors_open(path, BYTES_MAX, &file, &error), &error);
    safetensors_free(file);
    assert_int_equal(files_in(*state), 1);
}

/* The old file stays, and nothing is left of the new one. */
static void test_an_unfinished_file_leaves_nothing(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    fixture_write(path, "old", 3);
    struct error error = {0};
    struct safetensors_writer *writer = NULL;
    check(safetensors_create(path, BYTES_MAX, &writer, &error), &error);
    check(safetensors_declare(writer, &weights_tensor, &error), &error);
    check(safetensors_write(writer, weights, sizeof weights, &error), &error);
    safetensors_writer_free(writer);
    size_t length;
    uint8_t *bytes = fixture_read(path, &length);
    assert_int_equal(length, 3);
    free(bytes);
    assert_int_equal(files_in(*state), 1);
}

static void test_a_disk_that_is_full_is_an_error(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    static const char zeros[1 << 16];
    const struct safetensors_tensor large = {.name = "large",
                                             .type = SAFETENSORS_U8,
                                             .dimension_count = 1,
                                             .dimensions = {sizeof zeros}};
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    struct error error = {0};
    struct safetensors_writer *writer = NULL;
    check(safetensors_create(path, BYTES_MAX, &writer, &error), &error);
    check(safetensors_declare(writer, &large, &error), &error);
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = safetensors_write(writer, zeros, sizeof zeros, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(code, -EFBIG);
    assert_non_null(strstr(error.message, path));
    safetensors_writer_free(writer);
    assert_int_equal(files_in(*state), 0);
}

static void test_limits_and_names_are_checked_when_writing(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    struct error error = {0};
    struct safetensors_writer *writer = NULL;
    check(safetensors_create(path, 1000, &writer, &error), &error);
    struct safetensors_tensor tensor = weights_tensor;
    check(safetensors_declare(writer, &tensor, &error), &error);
    assert_int_equal(safetensors_declare(writer, &tensor, &error), -EINVAL);
    snprintf(tensor.name, sizeof tensor.name, "__metadata__");
    assert_int_equal(safetensors_declare(writer, &tensor, &error), -EINVAL);
    snprintf(tensor.name, sizeof tensor.name, "large");
    tensor.dimensions[0] = 1000;
    assert_int_equal(safetensors_declare(writer, &tensor, &error), -EFBIG);
    tensor.dimensions[0] = tensor.dimensions[1] = UINT64_C(1) << 33;
    assert_int_equal(safetensors_declare(writer, &tensor, &error), -EFBIG);
    assert_int_equal(safetensors_note(writer, SAFETENSORS_CHECKSUM, "", &error), -EINVAL);
    assert_int_equal(safetensors_note(writer, "text", "\xff", &error), -EINVAL);
    safetensors_writer_free(writer);
    assert_int_equal(safetensors_create("/nowhere/at/all.safetensors", BYTES_MAX, &writer, &error),
                     -ENOENT);
    assert_non_null(strstr(error.message, "/nowhere/at/all.safetensors"));
}

/* Opens it; true where it counts as a good file of ours. */
static bool is_good(const char *path)
{
    struct error error = {0};
    struct safetensors *file = NULL;
    int code = safetensors_open(path, BYTES_MAX, &file, &error);
    if (code < 0) {
        assert_int_equal(code, -EBADMSG);
        assert_non_null(strstr(error.message, path));
        return false;
    }
    bool verified = safetensors_is_verified(file);
    safetensors_free(file);
    return verified;
}

static void test_every_flipped_byte_is_found(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    write_sample(path);
    assert_true(is_good(path));
    size_t length;
    free(fixture_read(path, &length));
    for (size_t i = 0; i < length; i++) {
        fixture_flip_byte(path, i);
        assert_false(is_good(path));
        fixture_flip_byte(path, i);
    }
    assert_true(is_good(path));
}

static void test_every_shorter_file_is_refused(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    write_sample(path);
    size_t length;
    free(fixture_read(path, &length));
    while (length-- > 0) {
        assert_int_equal(truncate(path, (off_t)length), 0);
        assert_false(is_good(path));
    }
}

/* A file of a header and zeros. */
static int open_made(const struct fixture *fixture, const char *header, size_t values,
                     struct safetensors **ret_file)
{
    char path[FILE_PATH_SIZE];
    uint8_t bytes[1024] = {0};
    uint64_t length = strlen(header);
    struct error error = {0};
    fixture_path(fixture, "made.safetensors", path);
    memcpy(bytes, &length, sizeof length);
    memcpy(bytes + sizeof length, header, length);
    fixture_write(path, bytes, sizeof length + length + values);
    return safetensors_open(path, BYTES_MAX, ret_file, &error);
}

static void test_wrong_headers_are_refused(void **state)
{
    static const struct {
        const char *header;
        size_t values;
    } cases[] = {
        {"", 0},
        {"[]", 0},
        {" {}", 0},
        {"{", 0},
        {"{}", 1},
        {"{\"a\":1}", 0},
        {"{\"__metadata__\":{\"a\":1}}", 0},
        {"{\"__metadata__\":[]}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct safetensors *file = NULL;
        int code = open_made(*state, cases[i].header, cases[i].values, &file);
        if (code != -EBADMSG)
            fail_msg("%s: %d", cases[i].header, code);
    }
}

/* As other programs write them: no checksum, tensors in any order, blanks at the end. */
static void test_files_of_other_programs_are_read(void **state)
{
    struct safetensors *file = NULL;
    assert_int_equal(open_made(*state,
                               "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[4,8]},"
                               "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}    ",
                               8, &file),
                     0);
    assert_false(safetensors_is_verified(file));
    assert_string_equal(safetensors_at(file, 0)->name, "a");
    assert_string_equal(safetensors_at(file, 1)->name, "b");
    assert_null(safetensors_text(file, "a"));
    safetensors_free(file);
}

static void test_headers_and_files_have_limits(void **state)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "a.safetensors", path);
    const uint64_t length = UINT64_MAX - 7;
    fixture_write(path, &length, sizeof length);
    assert_false(is_good(path));
    write_sample(path);
    struct safetensors *file = NULL;
    struct error error = {0};
    assert_int_equal(safetensors_open(path, 100, &file, &error), -EFBIG);
    assert_int_equal(safetensors_open("/nowhere", 100, &file, &error), -ENOENT);
    assert_int_equal(safetensors_open("/dev/null", 100, &file, &error), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_what_was_written_is_read_back),
        FIXTURE_TEST(test_a_new_file_replaces_the_old_one),
        FIXTURE_TEST(test_an_unfinished_file_leaves_nothing),
        FIXTURE_TEST(test_a_disk_that_is_full_is_an_error),
        FIXTURE_TEST(test_limits_and_names_are_checked_when_writing),
        FIXTURE_TEST(test_every_flipped_byte_is_found),
        FIXTURE_TEST(test_every_shorter_file_is_refused),
        FIXTURE_TEST(test_wrong_headers_are_refused),
        FIXTURE_TEST(test_files_of_other_programs_are_read),
        FIXTURE_TEST(test_headers_and_files_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
