/* Imports: what a folder holds is in the pack, and whatever is wrong gives one error that names the file and leaves nothing. */
#include "tests/unit/worker/data/picture.h"
#include "tests/unit/worker/fixture.h"
#include "worker/data/import.h"
#include "worker/data/listing.h"
#include "worker/data/pack.h"
#include "worker/data/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = 16 };

/* Writes FOLDER/`name`, with the directories on the way. */
static void add_picture(const struct fixture *fixture, const char *name, enum picture_kind kind,
                        uint32_t side, uint32_t seed)
{
    char path[FILE_PATH_SIZE], directory[FILE_PATH_SIZE];
    fixture_path(fixture, "folder", directory);
    assert_int_equal(file_join(path, directory, name, "", NULL), 0);
    memcpy(directory, path, sizeof path);
    *strrchr(directory, '/') = '\0';
    assert_int_equal(file_make_directories(directory, 0777, NULL), 0);
    picture_write(path, kind, side, side, seed);
}

/* Two classes, flat: a has 12 images, b has 8; the seed of an image is its number. */
static void add_flat_folder(const struct fixture *fixture)
{
    char name[64];
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%s/%02u.png", i < 12 ? "a" : "b", i);
        add_picture(fixture, name, PICTURE_PNG_RGB, SIDE, i);
    }
}

static struct import_request request_of(const struct fixture *fixture, char folder[FILE_PATH_SIZE])
{
    fixture_path(fixture, "folder", folder);
    return (struct import_request){.name = "set", .path = folder, .test_share = -1};
}

static int run(const struct fixture *fixture, const struct import_request *request,
               struct import_report *ret_report, struct error *error)
{
    char home[FILE_PATH_SIZE];
    fixture_path(fixture, "home", home);
    return import_run(request, home, ret_report, error);
}

static struct pack *open_pack(const struct fixture *fixture)
{
    char path[FILE_PATH_SIZE];
    struct pack *pack;
    fixture_path(fixture, "home/set.pack", path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pack_open(fd, path, PACK_FINGERPRINT_ANY, &pack, NULL), 0);
    close(fd);
    return pack;
}

/* Everything in the home, hidden files too. */
static unsigned files_at_home(const struct fixture *fixture)
{
    char home[FILE_PATH_SIZE];
    fixture_path(fixture, "home", home);
    DIR *directory = opendir(home);
    unsigned count = 0;
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count < 2 ? 0 : count - 2;
}

/* The seed of the picture that an image of the pack is, by its first pixel; SIDE pixels, PNG. */
static bool is_picture(const struct pack *pack, uint64_t image, uint32_t seed)
{
    const uint8_t *pixels = pack_image(pack, image);
    for (uint32_t y = 0; y < SIDE; y++)
        for (uint32_t x = 0; x < SIDE; x++)
            for (uint32_t c = 0; c < 3; c++)
                if (pixels[(y * SIDE + x) * 3 + c] != picture_value(x, y, c, seed))
                    return false;
    return true;
}

static void test_a_folder_with_splits_is_taken_as_it_is(void **state)
{
    add_picture(*state, "train/cat/1.png", PICTURE_PNG_RGB, SIDE, 1);
    add_picture(*state, "train/cat/deep/2.PNG", PICTURE_PNG_RGB, SIDE, 2);
    add_picture(*state, "train/ant/3.png", PICTURE_PNG_RGB, SIDE, 3);
    add_picture(*state, "validation/ant/4.png", PICTURE_PNG_RGB, SIDE, 4);
    add_picture(*state, "validation/cat/5.png", PICTURE_PNG_RGB, SIDE, 5);
    char folder[FILE_PATH_SIZE];
    struct import_request request = request_of(*state, folder);
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(report.dataset.train_images, 3);
    assert_int_equal(report.dataset.test_images, 2);
    assert_int_equal(report.dataset.image_size, SIDE);
    assert_int_equal(report.dataset.image_channels, 3);
    assert_false(report.test_drawn);
    struct pack *pack = open_pack(*state);
    static const uint32_t seeds[] = {3, 1, 2, 4, 5}, labels[] = {0, 1, 1, 0, 1};
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(is_picture(pack, i, seeds[i]));
        assert_int_equal(pack_labels(pack)[i], labels[i]);
    }
    assert_string_equal(pack_class_name(pack, 0), "ant");
    assert_string_equal(pack_class_name(pack, 1), "cat");
    pack_free(pack);
    assert_int_equal(files_at_home(*state), 1);
}

static void test_val_joins_the_training_images_where_there_is_a_test_split(void **state)
{
    static const char *const names[] = {"train/a/1.png", "train/b/2.png", "val/a/3.png",
                                        "test/b/4.png"};
    for (uint32_t i = 0; i < ARRAY_LENGTH(names); i++)
        add_picture(*state, names[i], PICTURE_PNG_RGB, SIDE, i + 1);
    char folder[FILE_PATH_SIZE];
    struct import_request request = request_of(*state, folder);
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_true(report.val_is_training);
    assert_int_equal(report.dataset.train_images, 3);
    struct pack *pack = open_pack(*state);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(is_picture(pack, i, i + 1));
    pack_free(pack);
}

static void test_the_test_split_is_drawn_by_class_and_seed(void **state)
{
    add_flat_folder(*state);
    char folder[FILE_PATH_SIZE];
    struct import_request request = request_of(*state, folder);
    struct import_report report;
    uint64_t drawn[3] = {0};
    for (uint32_t run_index = 0; run_index < 3; run_index++) {
        char path[FILE_PATH_SIZE];
        request.test_share = 0.25;
        request.seed = run_index == 2;
        assert_int_equal(run(*state, &request, &report, NULL), 0);
        assert_true(report.test_drawn);
        assert_int_equal(report.dataset.train_images, 15);
        assert_int_equal(report.dataset.test_images, 5);
        struct pack *pack = open_pack(*state);
        uint32_t of_class[2] = {0};
        for (uint64_t i = 0; i < 20; i++) {
            uint32_t seed = 0;
            while (seed < 20 && !is_picture(pack, i, seed))
                seed++;
            assert_in_range(seed, 0, 19);
            assert_int_equal(pack_labels(pack)[i], seed < 12 ? 0 : 1);
            if (i >= 15) {
                of_class[pack_labels(pack)[i]]++;
                drawn[run_index] |= UINT64_C(1) << seed;
            }
        }
        assert_int_equal(of_class[0], 3);
        assert_int_equal(of_class[1], 2);
        pack_free(pack);
        fixture_path(*state, "home/set.pack", path);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(drawn[0], drawn[1]);
    assert_int_not_equal(drawn[0], drawn[2]);
}

static void test_images_become_square_and_one_size(void **state)
{
    char path[FILE_PATH_SIZE], folder[FILE_PATH_SIZE];
    add_picture(*state, "a/1.png", PICTURE_PNG_RGB, 20, 1);
    add_picture(*state, "b/2.png", PICTURE_PNG_RGB, 64, 2);
    fixture_path(*state, "folder/b/3.png", path);
    picture_write(path, PICTURE_PNG_RGB, 50, 30, 3);
    struct import_request request = request_of(*state, folder);
    request.test_share = 0;
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(report.dataset.image_size, 30); /* the median of 20, 30 and 64 */
    assert_int_equal(report.dataset.test_images, 0);
    struct pack *pack = open_pack(*state);
    /* 50 x 30: ten columns go at each side */
    const uint8_t *pixels = pack_image(pack, 2);
    for (uint32_t y = 0; y < 30; y++)
        for (uint32_t x = 0; x < 30; x++)
            assert_int_equal(pixels[(y * 30 + x) * 3 + 1], picture_value(x + 10, y, 1, 3));
    pack_free(pack);
}

static void test_grey_images_among_colour_become_rgb(void **state)
{
    char folder[FILE_PATH_SIZE];
    add_picture(*state, "a/1.png", PICTURE_PNG_GREY, SIDE, 1);
    add_picture(*state, "b/2.png", PICTURE_PNG_RGB, SIDE, 2);
    struct import_request request = request_of(*state, folder);
    request.test_share = 0;
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(report.grey_converted, 1);
    struct pack *pack = open_pack(*state);
    for (uint32_t i = 0; i < SIDE * SIDE * 3; i++)
        assert_int_equal(pack_image(pack, 0)[i], picture_value(i / 3 % SIDE, i / 3 / SIDE, 0, 1));
    assert_true(is_picture(pack, 1, 2));
    pack_free(pack);
}

static void test_a_grey_folder_has_one_channel(void **state)
{
    char folder[FILE_PATH_SIZE];
    add_picture(*state, "a/1.png", PICTURE_PNG_GREY, SIDE, 1);
    add_picture(*state, "b/2.jpg", PICTURE_JPEG_GREY, SIDE, 2);
    struct import_request request = request_of(*state, folder);
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(report.dataset.image_channels, 1);
    assert_int_equal(report.grey_converted, 0);
}

static void test_idx_files_are_taken_with_their_names(void **state)
{
    static const struct synthetic small = {
        .size = 5, .classes = 3, .train_images = 12, .test_images = 7, .gzip = true};
    static const char *const names[] = {"x", "y", "z", NULL};
    char folder[FILE_PATH_SIZE];
    fixture_write_synthetic(*state, "folder", &small);
    struct import_request request = request_of(*state, folder);
    request.class_names = names;
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(report.dataset.test_images, 7);
    struct pack *pack = open_pack(*state);
    assert_string_equal(pack_class_name(pack, 2), "z");
    assert_int_equal(pack_image(pack, 13)[6], synthetic_pixel(&small, true, 1, 1, 1));
    pack_free(pack);
}

/* ---- what is refused ---- */

static void expect_refusal(const struct fixture *fixture, const struct import_request *request,
                           int code, const char *name)
{
    struct error error = {0};
    struct import_report report;
    int found = run(fixture, request, &report, &error);
    if (found != code || !strstr(error.message, name))
        fail_msg("%d \"%s\" is not %d with \"%s\"", found, error.message, code, name);
    assert_int_equal(files_at_home(fixture), 0);
}

static void test_bad_pictures_end_the_import_by_their_names(void **state)
{
    static const struct {
        const char *name;
        enum picture_kind kind;
        uint32_t side, kept; /* kept: in hundredths of the file */
    } cases[] = {
        {"b/truncated.jpg", PICTURE_JPEG_RGB, SIDE, 70},
        {"b/truncated.png", PICTURE_PNG_RGB, SIDE, 70},
        {"b/one.png", PICTURE_PNG_RGB, 1, 100},
        {"b/cmyk.jpg", PICTURE_JPEG_CMYK, SIDE, 100},
        {"b/deep.png", PICTURE_PNG_16_BIT, SIDE, 100},
        {"b/clear.png", PICTURE_PNG_CLEAR, SIDE, 100},
        {"b/empty.jpg", PICTURE_JPEG_RGB, SIDE, 0},
    };
    char folder[FILE_PATH_SIZE], path[FILE_PATH_SIZE];
    add_flat_folder(*state);
    struct import_request request = request_of(*state, folder);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        add_picture(*state, cases[i].name, cases[i].kind, cases[i].side, 1);
        assert_int_equal(file_join(path, folder, cases[i].name, "", NULL), 0);
        size_t length;
        free(fixture_read(path, &length));
        assert_int_equal(truncate(path, (off_t)(length * cases[i].kept / 100)), 0);
        expect_refusal(*state, &request, -EBADMSG, cases[i].name);
        assert_int_equal(unlink(path), 0);
    }
    struct import_report report;
    assert_int_equal(run(*state, &request, &report, NULL), 0); /* it was their fault alone */
}

static void test_bad_directories_end_the_import_by_their_names(void **state)
{
    char folder[FILE_PATH_SIZE], path[FILE_PATH_SIZE];
    add_flat_folder(*state);
    struct import_request request = request_of(*state, folder);

    fixture_make_directory(*state, "folder/empty");
    expect_refusal(*state, &request, -EBADMSG, "folder/empty");
    fixture_path(*state, "folder/empty", path);
    assert_int_equal(rmdir(path), 0);

    fixture_path(*state, "folder/b/around", path);
    assert_int_equal(symlink("../../folder", path), 0);
    expect_refusal(*state, &request, -ELOOP, "around");
    assert_int_equal(unlink(path), 0);

    fixture_path(*state, "folder/b/self.jpg", path);
    assert_int_equal(symlink("self.jpg", path), 0);
    expect_refusal(*state, &request, -ELOOP, "self.jpg");
    assert_int_equal(unlink(path), 0);

    fixture_path(*state, "folder/b/gone.jpg", path);
    assert_int_equal(symlink("nowhere", path), 0);
    expect_refusal(*state, &request, -ENOENT, "gone.jpg");
    assert_int_equal(unlink(path), 0);

    fixture_path(*state, "folder/b/other.gif", path);
    fixture_write(path, "GIF89a", 6);
    expect_refusal(*state, &request, -EBADMSG, "other.gif");
    assert_int_equal(unlink(path), 0);

    add_picture(*state, "stray.png", PICTURE_PNG_RGB, SIDE, 1);
    expect_refusal(*state, &request, -EBADMSG, "stray.png");
}

static void test_a_class_that_is_only_tested_is_refused(void **state)
{
    char folder[FILE_PATH_SIZE];
    add_picture(*state, "train/a/1.png", PICTURE_PNG_RGB, SIDE, 1);
    add_picture(*state, "train/b/1.png", PICTURE_PNG_RGB, SIDE, 1);
    add_picture(*state, "test/c/1.png", PICTURE_PNG_RGB, SIDE, 1);
    struct import_request request = request_of(*state, folder);
    expect_refusal(*state, &request, -EBADMSG, "test/c");
}

static void test_wrong_requests_are_refused(void **state)
{
    char folder[FILE_PATH_SIZE];
    add_flat_folder(*state);
    const struct import_request good = request_of(*state, folder);
    struct import_request request = good;
    static const char *const names[] = {"", "Upper", "../up", "a/b", "a.b", "-a", ".a"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        request.name = names[i];
        expect_refusal(*state, &request, -EINVAL, "name");
    }
    request = good;
    request.image_size = 2000;
    expect_refusal(*state, &request, -EINVAL, "image size");
    request = good;
    request.path = "/nowhere/at/all";
    expect_refusal(*state, &request, -ENOENT, "/nowhere/at/all");
    request = good;
    request.name = "cifar10";
    expect_refusal(*state, &request, -EINVAL, "well-known");
    request = good;
    request.test_share = 0.99;
    expect_refusal(*state, &request, -EINVAL, "at least 1");
}

static void test_a_name_is_taken_once(void **state)
{
    char folder[FILE_PATH_SIZE];
    struct error error = {0};
    struct import_report report;
    add_flat_folder(*state);
    struct import_request request = request_of(*state, folder);
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(run(*state, &request, &report, &error), -EEXIST);
    assert_non_null(strstr(error.message, "set.pack"));
    assert_int_equal(files_at_home(*state), 1);
}

static int stop_at_decoding(void *context, enum import_phase phase, uint64_t done, uint64_t total)
{
    (void)context, (void)total;
    return phase == IMPORT_DECODING && done >= 3;
}

static void test_an_import_that_is_stopped_leaves_nothing(void **state)
{
    char folder[FILE_PATH_SIZE];
    add_flat_folder(*state);
    struct import_request request = request_of(*state, folder);
    request.on_progress = stop_at_decoding;
    expect_refusal(*state, &request, -ECANCELED, "stopped");
}

static void test_what_a_killed_import_left_is_swept(void **state)
{
    char folder[FILE_PATH_SIZE], home[FILE_PATH_SIZE];
    struct import_report report;
    add_flat_folder(*state);
    fixture_make_directory(*state, "home");
    fixture_make_directory(*state, "home/.tmp-dead");
    fixture_path(*state, "home/.tmp-dead/file", home);
    fixture_write(home, "x", 1);
    fixture_path(*state, "home", home);
    struct temporary living;
    assert_int_equal(temporary_file(home, &living, NULL), 0);
    struct import_request request = request_of(*state, folder);
    assert_int_equal(run(*state, &request, &report, NULL), 0);
    assert_int_equal(files_at_home(*state), 2); /* the pack and the living one */
    temporary_release(&living);
    assert_int_equal(files_at_home(*state), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_a_folder_with_splits_is_taken_as_it_is),
        FIXTURE_TEST(test_val_joins_the_training_images_where_there_is_a_test_split),
        FIXTURE_TEST(test_the_test_split_is_drawn_by_class_and_seed),
        FIXTURE_TEST(test_images_become_square_and_one_size),
        FIXTURE_TEST(test_grey_images_among_colour_become_rgb),
        FIXTURE_TEST(test_a_grey_folder_has_one_channel),
        FIXTURE_TEST(test_idx_files_are_taken_with_their_names),
        FIXTURE_TEST(test_bad_pictures_end_the_import_by_their_names),
        FIXTURE_TEST(test_bad_directories_end_the_import_by_their_names),
        FIXTURE_TEST(test_a_class_that_is_only_tested_is_refused),
        FIXTURE_TEST(test_wrong_requests_are_refused),
        FIXTURE_TEST(test_a_name_is_taken_once),
        FIXTURE_TEST(test_an_import_that_is_stopped_leaves_nothing),
        FIXTURE_TEST(test_what_a_killed_import_left_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
