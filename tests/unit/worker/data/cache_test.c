/* The cache: packs are made once, made again when they cannot be used, and never seen half-made. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static const struct synthetic small = {
    .size = 6, .classes = 4, .train_images = 16, .test_images = 8};

/* Opens the pack, checks a pixel, and returns the outcome. */
static int open_and_close(const struct fixture *fixture, const struct source *source,
                          struct error *ret_reason)
{
    char cache[FILE_PATH_SIZE];
    fixture_path(fixture, "deep/cache", cache);
    struct pack *pack = NULL;
    struct error error = {0};
    int outcome = cache_open(cache, source, &pack, ret_reason, &error);
    if (outcome < 0)
        fail_msg("%s", error.message);
    assert_int_equal(pack_image(pack, 3)[7], synthetic_pixel(&small, false, 3, 1, 1));
    pack_free(pack);
    return outcome;
}

/* The one file in the cache whose name ends so. */
static void find_in_cache(const struct fixture *fixture, const char *suffix,
                          char ret_path[FILE_PATH_SIZE])
{
    char cache[FILE_PATH_SIZE];
    fixture_path(fixture, "deep/cache", cache);
    DIR *directory = opendir(cache);
    assert_non_null(directory);
    int found = 0;
    for (struct dirent *item = readdir(directory); item; item = readdir(directory)) {
        size_t length = strlen(item->d_name), tail = strlen(suffix);
        if (length < tail || strcmp(item->d_name + length - tail, suffix) != 0)
            continue;
        found++;
        assert_int_equal(file_join(ret_path, cache, item->d_name, "", NULL), 0);
    }
    closedir(directory);
    assert_int_equal(found, 1);
}

static void test_a_pack_is_made_once(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    struct error reason;
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE);
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_FOUND);
}

static void test_a_damaged_pack_is_made_again_with_the_reason(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    struct error reason = {0};
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE);
    char path[FILE_PATH_SIZE];
    find_in_cache(*state, ".pack", path);
    fixture_flip_byte(path, 4100);
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE_AGAIN);
    assert_non_null(strstr(reason.message, "damaged content"));
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE_AGAIN);
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_FOUND);
}

static void test_changed_source_files_make_the_pack_again(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    struct error reason = {0};
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "small/train-images-idx3-ubyte", path);
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    fixture_path(*state, "small", path);
    assert_int_equal(source_detect(path, "small", &source, NULL), 0);
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE_AGAIN);
    assert_non_null(strstr(reason.message, "other source files"));
    find_in_cache(*state, ".pack", path);
}

static void test_what_a_killed_maker_left_behind_does_not_matter(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    struct error reason;
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE);
    char path[FILE_PATH_SIZE], temporary[FILE_PATH_SIZE];
    find_in_cache(*state, ".pack", path);
    snprintf(temporary, sizeof temporary, "%.*s.tmp", (int)strlen(path) - 5, path);
    assert_int_equal(rename(path, temporary), 0);
    assert_int_equal(truncate(temporary, 100000), 0);
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE);
    assert_int_equal(access(temporary, F_OK), -1);
}

/* The children wait at a pipe, so that they start together. */
static void test_concurrent_makers_agree(void **state)
{
    enum { MAKERS = 6 };
    struct source source = fixture_source(*state, "small", &small);
    char cache[FILE_PATH_SIZE];
    fixture_path(*state, "cache", cache);
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    pid_t children[MAKERS];
    for (int i = 0; i < MAKERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            char byte;
            struct pack *pack;
            struct error reason;
            close(gate[1]);
            ssize_t got = read(gate[0], &byte, 1);
            int outcome = cache_open(cache, &source, &pack, &reason, NULL);
            bool good = got == 0 && outcome > 0 &&
                        pack_image(pack, 3)[7] == synthetic_pixel(&small, false, 3, 1, 1);
            _exit(good ? outcome : 99);
        }
    }
    close(gate[0]);
    close(gate[1]);
    int made = 0;
    for (int i = 0; i < MAKERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == CACHE_FOUND || WEXITSTATUS(status) == CACHE_MADE);
        made += WEXITSTATUS(status) == CACHE_MADE;
    }
    assert_int_equal(made, 1);
}

static void test_the_maker_that_holds_the_lock_is_waited_for(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    struct error reason;
    assert_int_equal(open_and_close(*state, &source, &reason), CACHE_MADE);
    char pack_path[FILE_PATH_SIZE], lock_path[FILE_PATH_SIZE], away[FILE_PATH_SIZE];
    find_in_cache(*state, ".pack", pack_path);
    find_in_cache(*state, ".lock", lock_path);
    fixture_path(*state, "away", away);
    assert_int_equal(rename(pack_path, away), 0);
    int lock = open(lock_path, O_RDWR);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(lock);
        _exit(open_and_close(*state, &source, &reason));
    }
    usleep(100 * 1000);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    assert_int_equal(rename(away, pack_path), 0);
    close(lock);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CACHE_FOUND);
}

static void test_without_a_usable_directory_the_pack_is_private(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char file[FILE_PATH_SIZE];
    fixture_path(*state, "file", file);
    fixture_write(file, "x", 1);
    const char *const directories[] = {NULL, file, "/proc/nothing/here"};
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        struct pack *pack;
        struct error reason = {0};
        assert_int_equal(cache_open(directories[i], &source, &pack, &reason, NULL), CACHE_PRIVATE);
        assert_true(reason.message[0]);
        assert_int_equal(pack_labels(pack)[5], 1);
        pack_free(pack);
    }
}

static void test_damaged_source_files_are_an_error(void **state)
{
    struct source source = fixture_source(*state, "small", &small);
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "small/train-images-idx3-ubyte", path);
    assert_int_equal(truncate(path, 200), 0);
    struct pack *pack;
    struct error reason, error = {0};
    char cache[FILE_PATH_SIZE];
    fixture_path(*state, "cache", cache);
    assert_int_equal(cache_open(cache, &source, &pack, &reason, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "train-images"));
}

static void test_directory_comes_from_the_environment(void **state)
{
    (void)state;
    char directory[FILE_PATH_SIZE];
    setenv("HOME", "/home/somebody", 1);
    setenv("XDG_CACHE_HOME", "/var/cache/x", 1);
    setenv("ARCHSCOUT_CACHE", "/packs", 1);
    assert_int_equal(cache_directory(directory, NULL), 0);
    assert_string_equal(directory, "/packs/");
    unsetenv("ARCHSCOUT_CACHE");
    assert_int_equal(cache_directory(directory, NULL), 0);
    assert_string_equal(directory, "/var/cache/x/archscout/packs");
    setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
    assert_int_equal(cache_directory(directory, NULL), 0);
    assert_string_equal(directory, "/home/somebody/.cache/archscout/packs");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_int_equal(cache_directory(directory, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_a_pack_is_made_once),
        FIXTURE_TEST(test_a_damaged_pack_is_made_again_with_the_reason),
        FIXTURE_TEST(test_changed_source_files_make_the_pack_again),
        FIXTURE_TEST(test_what_a_killed_maker_left_behind_does_not_matter),
        FIXTURE_TEST(test_concurrent_makers_agree),
        FIXTURE_TEST(test_the_maker_that_holds_the_lock_is_waited_for),
        FIXTURE_TEST(test_without_a_usable_directory_the_pack_is_private),
        FIXTURE_TEST(test_damaged_source_files_are_an_error),
        FIXTURE_TEST(test_directory_comes_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
