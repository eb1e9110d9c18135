/* Archives: what is in them comes out, and nothing leads out of the directory. */
#include "tests/unit/worker/data/picture.h"
#include "tests/unit/worker/fixture.h"
#include "worker/data/archive.h"
#include "worker/data/import.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include <cmocka.h>

enum archive_kind { KIND_TAR, KIND_TAR_GZ, KIND_TAR_XZ, KIND_ZIP, KINDS };

static struct archive *archive_start(const char *path, enum archive_kind kind)
{
    struct archive *archive = archive_write_new();
    assert_non_null(archive);
    if (kind == KIND_ZIP)
        archive_write_set_format_zip(archive);
    else
        archive_write_set_format_pax_restricted(archive);
    if (kind == KIND_TAR_GZ)
        archive_write_add_filter_gzip(archive);
    if (kind == KIND_TAR_XZ)
        archive_write_add_filter_xz(archive);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    return archive;
}

static void archive_end(struct archive *archive)
{
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}

/* A file with its name as content, or a link to `target`. */
static void add_entry(struct archive *archive, const char *name, mode_t type, const char *target)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(entry, target);
    else if (target)
        archive_entry_set_hardlink(entry, target);
    bool has_content = type == AE_IFREG && !target;
    archive_entry_set_size(entry, has_content ? (la_int64_t)strlen(name) : 0);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (has_content)
        assert_int_equal(archive_write_data(archive, name, strlen(name)), strlen(name));
    archive_entry_free(entry);
}

static int unpack(const struct fixture *fixture, const char *path, struct error *error)
{
    char directory[FILE_PATH_SIZE];
    fixture_path(fixture, "out", directory);
    const struct archive_request request = {.path = path, .directory = directory};
    return archive_unpack(&request, error);
}

static void test_each_kind_is_unpacked(void **state)
{
    char path[FILE_PATH_SIZE], file[FILE_PATH_SIZE];
    for (enum archive_kind kind = 0; kind < KINDS; kind++) {
        char directory[32];
        snprintf(directory, sizeof directory, "out%u", (unsigned)kind);
        fixture_make_directory(*state, directory);
        fixture_path(*state, "archive", path);
        struct archive *archive = archive_start(path, kind);
        add_entry(archive, "top", AE_IFDIR, NULL);
        add_entry(archive, "./top/inner/file.txt", AE_IFREG, NULL);
        add_entry(archive, "top/a..b", AE_IFREG, NULL);
        archive_end(archive);
        fixture_path(*state, directory, file);
        const struct archive_request request = {.path = path, .directory = file};
        assert_int_equal(archive_unpack(&request, NULL), 0);
        snprintf(directory, sizeof directory, "out%u/top/a..b", (unsigned)kind);
        fixture_path(*state, directory, file);
        size_t length;
        uint8_t *bytes = fixture_read(file, &length);
        assert_int_equal(length, strlen("top/a..b"));
        assert_memory_equal(bytes, "top/a..b", length);
        free(bytes);
        snprintf(directory, sizeof directory, "out%u/top/inner/file.txt", (unsigned)kind);
        fixture_path(*state, directory, file);
        assert_int_equal(access(file, R_OK), 0);
    }
}

static void test_what_leads_out_is_refused(void **state)
{
    static const struct {
        const char *name;
        mode_t type;
        const char *target, *reason;
    } cases[] = {
        {"../evil", AE_IFREG, NULL, "leads out"},
        {"top/../../evil", AE_IFREG, NULL, "leads out"},
        {"top/..", AE_IFDIR, NULL, "leads out"},
        {"/tmp/archscout-evil", AE_IFREG, NULL, "absolute"},
        {"link", AE_IFLNK, "/etc", "link"},
        {"link", AE_IFLNK, "good", "link"},
        {"hard", AE_IFREG, "good", "link"},
        {"pipe", AE_IFIFO, NULL, "neither"},
        {"good", AE_IFREG, NULL, "twice"},
    };
    char path[FILE_PATH_SIZE], evil[FILE_PATH_SIZE];
    fixture_make_directory(*state, "out");
    fixture_path(*state, "evil.tar", path);
    fixture_path(*state, "evil", evil);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct archive *archive = archive_start(path, KIND_TAR);
        add_entry(archive, "good", AE_IFREG, NULL);
        add_entry(archive, cases[i].name, cases[i].type, cases[i].target);
        archive_end(archive);
        struct error error = {0};
        assert_int_equal(unpack(*state, path, &error), -EBADMSG);
        if (!strstr(error.message, "evil.tar") || !strstr(error.message, cases[i].name) ||
            !strstr(error.message, cases[i].reason))
            fail_msg("\"%s\" does not say archive, %s, %s", error.message, cases[i].name,
                     cases[i].reason);
        assert_int_equal(access(evil, F_OK), -1);
        assert_int_equal(access("/tmp/archscout-evil", F_OK), -1);
        char good[FILE_PATH_SIZE];
        fixture_path(*state, "out/good", good);
        assert_int_equal(unlink(good), 0);
    }
}

static void test_damaged_archives_are_refused(void **state)
{
    char path[FILE_PATH_SIZE], good[FILE_PATH_SIZE];
    fixture_make_directory(*state, "out");
    fixture_path(*state, "out/good", good);
    fixture_path(*state, "cut.tar.gz", path);
    struct archive *archive = archive_start(path, KIND_TAR_GZ);
    add_entry(archive, "good", AE_IFREG, NULL);
    archive_end(archive);
    size_t length;
    uint8_t *bytes = fixture_read(path, &length);
    for (size_t cut = 0; cut < length - 8; cut += 7) {
        struct error error = {0};
        fixture_write(path, bytes, cut);
        int r = unpack(*state, path, &error);
        if (r != -EBADMSG || !strstr(error.message, "cut.tar.gz"))
            fail_msg("cut at %zu: %d \"%s\"", cut, r, error.message);
        unlink(good);
    }
    fixture_write(path, "no archive at all, just text", 28);
    assert_int_equal(unpack(*state, path, NULL), -EBADMSG);
    free(bytes);
}

/* A tar of zeros that compresses a thousandfold. */
static void test_an_archive_that_grows_without_end_is_stopped(void **state)
{
    enum { BLOCK = 1 << 20, BLOCKS = 20 };
    char path[FILE_PATH_SIZE];
    fixture_make_directory(*state, "out");
    fixture_path(*state, "bomb.tar.gz", path);
    struct archive *archive = archive_start(path, KIND_TAR_GZ);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, "zeros");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)BLOCK * BLOCKS);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    uint8_t *zeros = calloc(1, BLOCK);
    assert_non_null(zeros);
    for (int i = 0; i < BLOCKS; i++)
        assert_int_equal(archive_write_data(archive, zeros, BLOCK), BLOCK);
    free(zeros);
    archive_entry_free(entry);
    archive_end(archive);
    struct error error = {0};
    char directory[FILE_PATH_SIZE];
    fixture_path(*state, "out", directory);
    const struct archive_request request = {
        .path = path, .directory = directory, .growth_free = BLOCK};
    assert_int_equal(archive_unpack(&request, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "far more"));
}

/* The way of `archscout dataset add`, with a directory around the classes and a name that is not ASCII. */
static void test_an_archive_of_images_is_imported(void **state)
{
    static const char *const names[] = {"wrap/caf\xc3\xa9/1.png", "wrap/dog/2.png"};
    char path[FILE_PATH_SIZE], picture[FILE_PATH_SIZE], home[FILE_PATH_SIZE];
    fixture_path(*state, "images.zip", path);
    fixture_path(*state, "picture.png", picture);
    fixture_path(*state, "home", home);
    for (int damaged = 1; damaged >= 0; damaged--) {
        struct archive *archive = archive_start(path, damaged ? KIND_TAR_XZ : KIND_TAR_GZ);
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
            picture_write(picture, PICTURE_PNG_RGB, 16, 16, (uint32_t)i);
            size_t length;
            uint8_t *bytes = fixture_read(picture, &length);
            length -= damaged && i == 1 ? 20 : 0;
            struct archive_entry *entry = archive_entry_new();
            archive_entry_copy_pathname(entry, names[i]);
            archive_entry_set_filetype(entry, AE_IFREG);
            archive_entry_set_size(entry, (la_int64_t)length);
            assert_true(archive_write_header(archive, entry) >= ARCHIVE_WARN);
            assert_int_equal(archive_write_data(archive, bytes, length), length);
            archive_entry_free(entry);
            free(bytes);
        }
        archive_end(archive);
        const struct import_request request = {.name = "set", .path = path, .test_share = 0};
        struct import_report report;
        struct error error = {0};
        int r = import_run(&request, home, &report, &error);
        assert_int_equal(r, damaged ? -EBADMSG : 0);
        char expected[FILE_PATH_SIZE + 64];
        snprintf(expected, sizeof expected, "%s: wrap/dog/2.png: damaged PNG", path);
        if (damaged && strncmp(error.message, expected, strlen(expected)) != 0)
            fail_msg("\"%s\" is not \"%s\"", error.message, expected);
        assert_int_equal(rmdir(home), -1 + damaged); /* empty where it failed */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_each_kind_is_unpacked),
        FIXTURE_TEST(test_what_leads_out_is_refused),
        FIXTURE_TEST(test_damaged_archives_are_refused),
        FIXTURE_TEST(test_an_archive_that_grows_without_end_is_stopped),
        FIXTURE_TEST(test_an_archive_of_images_is_imported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
