/* Files of workers: whole or not at all, within limits, and gone when nobody wants them. */
#include "daemon/artifacts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 512, FILE_MAX = 1000, TOTAL_MAX = 2500 };

struct bench {
    char directory[64];
    struct artifacts *artifacts;
};

static void open_again(struct bench *bench)
{
    const struct artifacts_options options = {.state_directory = bench->directory,
                                              .file_bytes_max = FILE_MAX,
                                              .total_bytes_max = TOTAL_MAX};
    struct error error;
    artifacts_close(bench->artifacts);
    if (artifacts_open(&options, &bench->artifacts, &error) < 0)
        fail_msg("%s", error.message);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    snprintf(bench->directory, sizeof bench->directory, "/tmp/archscout_files_XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    open_again(bench);
    *state = bench;
    return 0;
}

/* Calls `visit`, or counts where it is NULL. */
static size_t each_file(const struct bench *bench, void (*visit)(const char *path))
{
    char path[PATH_SIZE];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/artifacts", bench->directory);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *item = readdir(directory); item; item = readdir(directory)) {
        if (item->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, sizeof path, "%s/artifacts/%s", bench->directory, item->d_name);
        if (visit)
            visit(path);
    }
    closedir(directory);
    return count;
}

static void remove_file(const char *path)
{
    unlink(path);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    artifacts_close(bench->artifacts);
    each_file(bench, remove_file);
    snprintf(path, sizeof path, "%s/artifacts", bench->directory);
    rmdir(path);
    rmdir(bench->directory);
    free(bench);
    return 0;
}

static void digest_of(const char *text, uint8_t ret_digest[SHA256_SIZE])
{
    struct sha256 sha256;
    sha256_init(&sha256);
    sha256_add(&sha256, text, strlen(text));
    sha256_finish(&sha256, ret_digest);
}

static int upload(struct bench *bench, const char *named, const char *text, uint64_t now_ms)
{
    uint8_t digest[SHA256_SIZE];
    struct artifact_upload *made = NULL;
    digest_of(named, digest);
    int r = artifact_upload_new(bench->artifacts, digest, strlen(named), &made);
    if (r < 0)
        return r;
    r = artifact_upload_write(made, text, strlen(text) / 2);
    if (r == 0)
        r = artifact_upload_write(made, text + strlen(text) / 2, strlen(text) - strlen(text) / 2);
    if (r == 0)
        r = artifact_upload_finish(made, now_ms);
    artifact_upload_free(made);
    return r;
}

static bool has(const struct bench *bench, const char *text)
{
    uint8_t digest[SHA256_SIZE];
    digest_of(text, digest);
    return artifacts_has(bench->artifacts, digest, strlen(text));
}

static void test_what_was_uploaded_is_read_back(void **state)
{
    struct bench *bench = *state;
    uint8_t digest[SHA256_SIZE];
    char text[16] = "";
    int fd = -1;
    uint64_t bytes = 0;
    assert_int_equal(upload(bench, "content", "content", 1), 0);
    assert_int_equal(upload(bench, "content", "content", 2), 0);
    assert_int_equal(each_file(bench, NULL), 1);
    open_again(bench);
    assert_true(has(bench, "content"));
    assert_int_equal(artifacts_sizes(bench->artifacts).bytes, 7);
    digest_of("content", digest);
    assert_false(artifacts_has(bench->artifacts, digest, 8));
    assert_int_equal(artifacts_read(bench->artifacts, digest, &fd, &bytes), 0);
    assert_int_equal(bytes, 7);
    assert_int_equal(read(fd, text, sizeof text), 7);
    close(fd);
    assert_string_equal(text, "content");
    digest_of("nothing", digest);
    assert_int_equal(artifacts_read(bench->artifacts, digest, &fd, &bytes), -ENOENT);
}

static void test_wrong_content_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(upload(bench, "content", "contenT", 1), -EBADMSG);
    assert_int_equal(upload(bench, "content", "conten", 1), -EBADMSG);
    assert_int_equal(upload(bench, "content", "content and more", 1), -EFBIG);
    assert_int_equal(each_file(bench, NULL), 0);
    assert_int_equal(artifacts_sizes(bench->artifacts).count, 0);
    assert_int_equal(upload(bench, "content", "content", 1), 0);
    assert_int_equal(upload(bench, "content", "contenT", 1), -EBADMSG);
    assert_true(has(bench, "content"));
}

static void test_sizes_are_limited(void **state)
{
    struct bench *bench = *state;
    char text[FILE_MAX + 2];
    memset(text, 'x', sizeof text);
    text[FILE_MAX + 1] = '\0';
    assert_int_equal(upload(bench, text, text, 1), -EFBIG);
    text[FILE_MAX] = '\0';
    assert_int_equal(upload(bench, text, text, 1), 0);
    text[0] = 'y';
    assert_int_equal(upload(bench, text, text, 1), 0);
    assert_int_equal(artifacts_take_refusal(bench->artifacts), 0);
    text[0] = 'z';
    assert_int_equal(upload(bench, text, text, 1), -EDQUOT);
    assert_int_equal(artifacts_take_refusal(bench->artifacts), -EDQUOT);
    assert_int_equal(upload(bench, text, text, 1), -EDQUOT);
    assert_int_equal(artifacts_take_refusal(bench->artifacts), 0); /* told once */
    text[0] = 'y';
    assert_int_equal(upload(bench, text, text, 1), 0); /* it is there */
    assert_int_equal(upload(bench, "small", "small", 1), 0);
}

/* Uploads under way count, too. */
static void test_announced_sizes_count(void **state)
{
    struct bench *bench = *state;
    uint8_t digest[SHA256_SIZE] = {1};
    struct artifact_upload *first = NULL, *second = NULL, *third = NULL;
    assert_int_equal(artifact_upload_new(bench->artifacts, digest, FILE_MAX, &first), 0);
    assert_int_equal(artifact_upload_new(bench->artifacts, digest, FILE_MAX, &second), 0);
    assert_int_equal(artifact_upload_new(bench->artifacts, digest, FILE_MAX, &third), -EDQUOT);
    artifact_upload_free(first);
    assert_int_equal(artifact_upload_new(bench->artifacts, digest, FILE_MAX, &third), 0);
    artifact_upload_free(second);
    artifact_upload_free(third);
    assert_int_equal(each_file(bench, NULL), 0);
}

static void test_a_disk_that_is_full_is_an_error_and_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 3;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int r = upload(bench, "content", "content", 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(r, -EIO);
    assert_int_equal(each_file(bench, NULL), 0);
    assert_int_equal(upload(bench, "content", "content", 1), 0);
}

static bool wants(void *context, const uint8_t sha256[SHA256_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    digest_of(context, digest);
    return memcmp(digest, sha256, sizeof digest) == 0;
}

static void test_what_nobody_wants_goes_after_a_while(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(upload(bench, "one", "one", 1000), 0);
    assert_int_equal(upload(bench, "two", "two", 2000), 0);
    assert_int_equal(artifacts_sweep(bench->artifacts, 3000, wants, "one"), 0);
    assert_int_equal(artifacts_due_ms(bench->artifacts), 2000 + ARTIFACTS_LOOSE_MS);
    assert_int_equal(upload(bench, "two", "two", 5000), 0); /* again: it has more time */
    assert_int_equal(artifacts_sweep(bench->artifacts, 2000 + ARTIFACTS_LOOSE_MS, wants, "one"), 0);
    assert_int_equal(artifacts_sweep(bench->artifacts, 5000 + ARTIFACTS_LOOSE_MS, wants, "one"), 1);
    assert_true(has(bench, "one") && !has(bench, "two"));
    assert_int_equal(artifacts_due_ms(bench->artifacts), UINT64_MAX);
    assert_int_equal(artifacts_sweep(bench->artifacts, 6000, wants, "two"), 1); /* was wanted */
    assert_int_equal(each_file(bench, NULL), 0);
    assert_int_equal(artifacts_sizes(bench->artifacts).bytes, 0);
}

static void test_claimed_file_has_no_time_left(void **state)
{
    struct bench *bench = *state;
    uint8_t digest[SHA256_SIZE];
    digest_of("two", digest);
    assert_int_equal(upload(bench, "two", "two", 1000), 0);
    artifacts_claim(bench->artifacts, digest);
    assert_int_equal(artifacts_due_ms(bench->artifacts), UINT64_MAX);
    assert_int_equal(artifacts_sweep(bench->artifacts, 1001, wants, "one"), 1);
}

static void test_damaged_file_is_replaced_by_a_good_one(void **state)
{
    struct bench *bench = *state;
    uint8_t digest[SHA256_SIZE];
    char name[SHA256_TEXT_SIZE], path[PATH_SIZE], text[8] = "";
    assert_int_equal(upload(bench, "content", "content", 1000), 0);
    digest_of("content", digest);
    sha256_text(digest, name);
    snprintf(path, sizeof path, "%s/artifacts/%s", bench->directory, name);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "k", 1, 0), 1);
    close(fd);
    assert_int_equal(upload(bench, "content", "content", 1000), 0);
    uint64_t bytes = 0;
    assert_int_equal(artifacts_read(bench->artifacts, digest, &fd, &bytes), 0);
    assert_int_equal(read(fd, text, sizeof text - 1), 7);
    close(fd);
    assert_string_equal(text, "content");
    assert_int_equal(artifacts_sizes(bench->artifacts).bytes, 7);
}

static void test_leftovers_go_at_the_start(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    assert_int_equal(upload(bench, "one", "one", 1000), 0);
    snprintf(path, sizeof path, "%s/artifacts/upload-7", bench->directory);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    open_again(bench);
    assert_int_equal(each_file(bench, NULL), 1);
    assert_int_equal(artifacts_sweep(bench->artifacts, 0, wants, "two"), 1);
    assert_int_equal(each_file(bench, NULL), 0);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_what_was_uploaded_is_read_back),
        BENCH_TEST(test_wrong_content_leaves_nothing),
        BENCH_TEST(test_sizes_are_limited),
        BENCH_TEST(test_announced_sizes_count),
        BENCH_TEST(test_a_disk_that_is_full_is_an_error_and_leaves_nothing),
        BENCH_TEST(test_what_nobody_wants_goes_after_a_while),
        BENCH_TEST(test_claimed_file_has_no_time_left),
        BENCH_TEST(test_damaged_file_is_replaced_by_a_good_one),
        BENCH_TEST(test_leftovers_go_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
