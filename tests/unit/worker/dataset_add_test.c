/* `archscout dataset add` of URLs: what is downloaded is checked, imported and gone; an interruption is gone on with. */
#include "proto/http_client.h"
#include "tests/unit/proto/file_server.h"
#include "tests/unit/worker/fixture.h"
#include "worker/data/pack.h"
#include "worker/dataset_add.h"
#include "worker/dataset_digest.h"
#include "worker/dataset_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include <cmocka.h>

static const struct synthetic small = {
    .size = 6, .classes = 3, .train_images = 12, .test_images = 7, .gzip = true};

static const char *const idx_names[] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};

struct scene {
    struct fixture *fixture;
    struct file_server *server;
    struct dataset_progress progress;
    uint8_t *bytes;
    size_t length;
    char url[FILE_SERVER_URL_SIZE], sha256[DIGEST_SIZE], home[FILE_PATH_SIZE];
};

/* A zip of the IDX files. */
static void write_archive(const struct fixture *fixture, const char *path)
{
    struct archive *archive = archive_write_new();
    archive_write_set_format_zip(archive);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    fixture_write_synthetic(fixture, "idx", &small);
    for (size_t i = 0; i < ARRAY_LENGTH(idx_names); i++) {
        char name[64], file[FILE_PATH_SIZE];
        snprintf(name, sizeof name, "idx/%s", idx_names[i]);
        fixture_path(fixture, name, file);
        size_t length;
        uint8_t *bytes = fixture_read(file, &length);
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_size(entry, (la_int64_t)length);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(archive, bytes, length), length);
        archive_entry_free(entry);
        free(bytes);
    }
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    void *fixture = NULL;
    if (!scene || fixture_setup(&fixture) < 0)
        return -1;
    scene->fixture = fixture;
    scene->progress = (struct dataset_progress){.signals = -1};
    char path[FILE_PATH_SIZE];
    fixture_path(fixture, "set.zip", path);
    fixture_path(fixture, "home", scene->home);
    write_archive(fixture, path);
    scene->bytes = fixture_read(path, &scene->length);
    assert_int_equal(digest_file(path, scene->sha256, NULL), 0);
    scene->server = file_server_start(scene->bytes, scene->length);
    file_server_url(scene->server, "/path/set.zip?version=1", scene->url);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    file_server_stop(scene->server);
    free(scene->bytes);
    void *fixture = scene->fixture;
    int r = fixture_teardown(&fixture);
    free(scene);
    return r;
}

static struct dataset_options options_of(const struct scene *scene)
{
    return (struct dataset_options){
        .command = DATASET_ADD, .name = "set", .place = scene->url, .test_share = -1};
}

static int add(struct scene *scene, const struct dataset_options *options, struct error *error)
{
    struct import_report report;
    return dataset_add(options, scene->home, &scene->progress, &report, error);
}

/* True where nothing but `name` (NULL: nothing at all) is in the home. */
static bool home_holds(const struct scene *scene, const char *name)
{
    char path[FILE_PATH_SIZE];
    bool there = name && file_join(path, scene->home, name, "", NULL) == 0 &&
                 access(path, F_OK) == 0 && unlink(path) == 0;
    return there == (name != NULL) && (rmdir(scene->home) == 0 || errno == ENOENT);
}

static void expect_refusal(struct scene *scene, const struct dataset_options *options, int code,
                           const char *text)
{
    struct error error = {0};
    int r = add(scene, options, &error);
    if (r != code || !strstr(error.message, text))
        fail_msg("%d \"%s\" is not %d with \"%s\"", r, error.message, code, text);
    assert_true(home_holds(scene, NULL));
}

static void test_an_archive_behind_a_url_is_added(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    options.sha256 = scene->sha256;
    options.bytes = scene->length;
    assert_int_equal(add(scene, &options, NULL), 0);
    char path[FILE_PATH_SIZE];
    struct pack_summary summary;
    assert_int_equal(file_join(path, scene->home, "set", ".pack", NULL), 0);
    int fd = open(path, O_RDONLY);
    assert_int_equal(pack_look(fd, path, &summary, NULL), 0);
    close(fd);
    assert_int_equal(summary.dataset.train_images, 12);
    assert_string_equal(summary.origin, scene->url);
    assert_true(home_holds(scene, "set.pack"));
}

static void test_what_is_not_as_it_must_be_is_refused(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    char wrong[DIGEST_SIZE];
    memset(wrong, 'a', sizeof wrong - 1);
    wrong[sizeof wrong - 1] = '\0';
    options.sha256 = wrong;
    expect_refusal(scene, &options, -EBADMSG, scene->sha256);
    expect_refusal(scene, &options, -EBADMSG, scene->url);
    options.sha256 = scene->sha256;
    options.bytes = scene->length - 1;
    expect_refusal(scene, &options, -EBADMSG, "bytes, expected");
    options = options_of(scene);
    file_server_behaviour(scene->server)->status = 404;
    expect_refusal(scene, &options, -ENOENT, "404");
}

static void test_a_page_instead_of_an_archive_is_refused_by_its_url(void **state)
{
    static const uint8_t page[] = "<html>please log in</html>";
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    file_server_serve(scene->server, page, sizeof page - 1);
    expect_refusal(scene, &options, -EBADMSG, "no archive");
    expect_refusal(scene, &options, -EBADMSG, scene->url);
}

/* The connection breaks, nobody is there for a while, and a later call takes up what has arrived. */
static void test_an_interrupted_download_is_gone_on_with_where_its_sum_is_known(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    const size_t half = scene->length / 2;
    const struct known_dataset wanted = {
        .name = "set", .file_count = 1, .files = {{scene->url, scene->length, scene->sha256}}};
    struct fetched fetched = {0};
    assert_int_equal(fetch(&wanted, scene->home, &scene->progress, &fetched, NULL), 0);
    assert_int_equal(truncate(fetched.path, (off_t)half), 0);
    options.sha256 = scene->sha256;
    uint64_t before = file_server_bytes_sent(scene->server);
    assert_int_equal(add(scene, &options, NULL), 0);
    assert_int_equal(file_server_bytes_sent(scene->server) - before, scene->length - half);
    assert_true(home_holds(scene, "set.pack"));
}

static void test_without_a_sum_a_download_starts_anew(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    const struct known_dataset wanted = {
        .name = "set", .file_count = 1, .files = {{scene->url, scene->length, scene->sha256}}};
    struct fetched fetched = {0};
    assert_int_equal(fetch(&wanted, scene->home, &scene->progress, &fetched, NULL), 0);
    assert_int_equal(truncate(fetched.path, (off_t)(scene->length / 2)), 0);
    uint64_t before = file_server_bytes_sent(scene->server);
    assert_int_equal(add(scene, &options, NULL), 0);
    assert_int_equal(file_server_bytes_sent(scene->server) - before, scene->length);
    assert_true(home_holds(scene, "set.pack"));
}

static void test_a_name_that_is_taken_costs_no_download(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    assert_int_equal(add(scene, &options, NULL), 0);
    unsigned before = file_server_requests(scene->server);
    assert_int_equal(add(scene, &options, NULL), -EEXIST);
    assert_int_equal(file_server_requests(scene->server), before);
    assert_true(home_holds(scene, "set.pack"));
}

static void test_only_known_names_need_no_place(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    options.place = NULL;
    expect_refusal(scene, &options, -EINVAL, "cifar10, cifar100, eurosat, fashion-mnist");
    options.name = "cifar10";
    options.sha256 = scene->sha256;
    expect_refusal(scene, &options, -EINVAL, "are known");
}

static void test_a_local_archive_is_checked_as_well(void **state)
{
    struct scene *scene = *state;
    struct dataset_options options = options_of(scene);
    char path[FILE_PATH_SIZE];
    fixture_path(scene->fixture, "set.zip", path);
    options.place = path;
    options.bytes = 3;
    expect_refusal(scene, &options, -EBADMSG, "expected 3");
    options.bytes = scene->length;
    options.sha256 = scene->sha256;
    assert_int_equal(add(scene, &options, NULL), 0);
    assert_true(home_holds(scene, "set.pack"));
}

/* Every entry has a place, a size and a sum, so that none can be left out by mistake. */
static void test_known_data_sets_are_complete(void **state)
{
    static const char *const names[] = {"cifar10", "cifar100", "eurosat", "fashion-mnist",
                                        "imagenette"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct known_dataset *known = known_find(names[i]);
        assert_non_null(known);
        assert_non_null(strstr(known_names(), names[i]));
        assert_in_range(known->file_count, 1, KNOWN_FILES_MAX);
        for (uint32_t k = 0; k < known->file_count; k++) {
            assert_true(fetch_is_url(known->files[k].url));
            assert_true(known->files[k].bytes > 1000);
            assert_int_equal(strspn(known->files[k].sha256, "0123456789abcdef"), 64);
            assert_int_equal(strlen(known->files[k].sha256), 64);
        }
    }
    assert_null(known_find("nothing"));
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_an_archive_behind_a_url_is_added),
        SCENE_TEST(test_what_is_not_as_it_must_be_is_refused),
        SCENE_TEST(test_a_page_instead_of_an_archive_is_refused_by_its_url),
        SCENE_TEST(test_an_interrupted_download_is_gone_on_with_where_its_sum_is_known),
        SCENE_TEST(test_without_a_sum_a_download_starts_anew),
        SCENE_TEST(test_a_name_that_is_taken_costs_no_download),
        SCENE_TEST(test_only_known_names_need_no_place),
        SCENE_TEST(test_a_local_archive_is_checked_as_well),
        cmocka_unit_test(test_known_data_sets_are_complete),
    };
    if (http_startup() < 0)
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    http_shutdown();
    return failures;
}
