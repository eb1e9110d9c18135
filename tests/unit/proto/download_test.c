/* Downloads: whole, interrupted and gone on with, and everything that a server may do wrong. */
#include "proto/download.h"
#include "proto/http_client.h"
#include "tests/unit/proto/file_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LENGTH = 20000 };

struct scene {
    uint8_t bytes[LENGTH];
    struct file_server *server;
    char path[64], url[FILE_SERVER_URL_SIZE];
    unsigned progress_calls, stop_after; /* stop_after: bytes; 0: never */
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    for (size_t i = 0; i < LENGTH; i++)
        scene->bytes[i] = (uint8_t)(i * 7 + i / 256);
    scene->server = file_server_start(scene->bytes, LENGTH);
    snprintf(scene->path, sizeof scene->path, "/tmp/archscout-download-XXXXXX");
    int fd = mkstemp(scene->path);
    assert_true(fd >= 0);
    close(fd);
    file_server_url(scene->server, "/file.tar.gz", scene->url);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    file_server_stop(scene->server);
    unlink(scene->path);
    free(scene);
    return 0;
}

static int on_progress(void *context, uint64_t done, uint64_t total)
{
    struct scene *scene = context;
    scene->progress_calls++;
    assert_true(total == 0 || done <= total);
    return scene->stop_after && done >= scene->stop_after;
}

static int download(struct scene *scene, bool resume, uint64_t bytes, struct error *error)
{
    const struct download_request request = {.url = scene->url,
                                             .path = scene->path,
                                             .resume = resume,
                                             .bytes = bytes,
                                             .wait_ms = 1,
                                             .on_progress = on_progress,
                                             .context = scene};
    return download_run(&request, error);
}

static size_t length_of(const struct scene *scene)
{
    struct stat status;
    assert_int_equal(stat(scene->path, &status), 0);
    return (size_t)status.st_size;
}

static void expect_file(const struct scene *scene)
{
    static uint8_t found[LENGTH + 1];
    FILE *file = fopen(scene->path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, sizeof found, file), LENGTH);
    fclose(file);
    assert_memory_equal(found, scene->bytes, LENGTH);
}

static void write_start(const struct scene *scene, size_t length)
{
    FILE *file = fopen(scene->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(scene->bytes, 1, length, file), length);
    fclose(file);
}

static void test_a_file_arrives_whole(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(download(scene, false, 0, NULL), 0);
    expect_file(scene);
    assert_true(scene->progress_calls > 0);
    assert_int_equal(download(scene, false, LENGTH, NULL), 0);
    expect_file(scene);
}

static void test_a_broken_connection_is_taken_up_again(void **state)
{
    struct scene *scene = *state;
    struct file_server_behaviour *behaviour = file_server_behaviour(scene->server);
    behaviour->break_after = 6000;
    behaviour->breaks_left = 3;
    behaviour->tag = "\"one\"";
    assert_int_equal(download(scene, false, 0, NULL), 0);
    expect_file(scene);
    assert_int_equal(file_server_requests(scene->server), 4);
    assert_int_equal(file_server_bytes_sent(scene->server), LENGTH);
}

static void test_a_later_call_goes_on(void **state)
{
    struct scene *scene = *state;
    write_start(scene, 15000);
    assert_int_equal(download(scene, true, LENGTH, NULL), 0);
    expect_file(scene);
    assert_int_equal(file_server_bytes_sent(scene->server), LENGTH - 15000);
    assert_int_equal(download(scene, true, LENGTH, NULL), 0); /* nothing is missing */
    assert_int_equal(file_server_requests(scene->server), 1);
}

static void test_without_resume_the_file_starts_anew(void **state)
{
    struct scene *scene = *state;
    write_start(scene, 15000);
    assert_int_equal(download(scene, false, LENGTH, NULL), 0);
    expect_file(scene);
    assert_int_equal(file_server_bytes_sent(scene->server), LENGTH);
}

static void test_a_server_without_ranges_sends_all_of_it_again(void **state)
{
    struct scene *scene = *state;
    file_server_behaviour(scene->server)->no_ranges = true;
    write_start(scene, 15000);
    assert_int_equal(download(scene, true, LENGTH, NULL), 0);
    expect_file(scene);
    assert_int_equal(file_server_bytes_sent(scene->server), LENGTH);
}

static void test_a_file_that_is_too_long_already_starts_anew(void **state)
{
    struct scene *scene = *state;
    static uint8_t longer[LENGTH + 100];
    FILE *file = fopen(scene->path, "wb");
    assert_int_equal(fwrite(longer, 1, sizeof longer, file), sizeof longer);
    fclose(file);
    assert_int_equal(download(scene, true, LENGTH, NULL), 0);
    expect_file(scene);
    file = fopen(scene->path, "wb"); /* where the length is not known the server says so: 416 */
    assert_int_equal(fwrite(longer, 1, sizeof longer, file), sizeof longer);
    fclose(file);
    assert_int_equal(download(scene, true, 0, NULL), 0);
    expect_file(scene);
}

/* The server has another file behind the same URL when the rest is asked for. */
static void test_a_file_that_changes_meanwhile_starts_anew(void **state)
{
    struct scene *scene = *state;
    struct file_server_behaviour *behaviour = file_server_behaviour(scene->server);
    behaviour->tag = "\"old\"";
    behaviour->next_tag = "\"new\"";
    behaviour->break_after = 6000;
    behaviour->breaks_left = 1;
    assert_int_equal(download(scene, false, 0, NULL), 0);
    expect_file(scene);
    assert_int_equal(file_server_bytes_sent(scene->server), 6000 + LENGTH);
}

static void test_a_part_that_was_not_asked_for_is_refused(void **state)
{
    struct scene *scene = *state;
    struct error error = {0};
    file_server_behaviour(scene->server)->wrong_range = true;
    write_start(scene, 15000);
    assert_int_equal(download(scene, true, 0, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "another part"));
}

static void test_a_wrong_size_is_refused(void **state)
{
    struct scene *scene = *state;
    struct error error = {0};
    assert_int_equal(download(scene, false, LENGTH + 1, &error), -EBADMSG);
    assert_non_null(strstr(error.message, scene->url));
    assert_non_null(strstr(error.message, "has 20000 bytes, expected 20001"));
    assert_int_equal(download(scene, false, LENGTH - 1, &error), -EBADMSG);
    assert_int_equal(file_server_requests(scene->server), 2);
}

static void test_statuses_are_told_apart(void **state)
{
    static const struct {
        unsigned status;
        int code;
        unsigned requests;
    } cases[] = {{404, -ENOENT, 1},
                 {410, -ENOENT, 1},
                 {403, -EACCES, 1},
                 {400, -EBADMSG, 1},
                 {503, -EIO, DOWNLOAD_TRIES_MAX}};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct error error = {0};
        char text[8];
        unsigned before = file_server_requests(scene->server);
        file_server_behaviour(scene->server)->status = cases[i].status;
        assert_int_equal(download(scene, false, 0, &error), cases[i].code);
        snprintf(text, sizeof text, "%u", cases[i].status);
        assert_non_null(strstr(error.message, text));
        assert_non_null(strstr(error.message, scene->url));
        assert_int_equal(file_server_requests(scene->server) - before, cases[i].requests);
        assert_int_equal(length_of(scene), 0);
    }
}

static void test_an_unable_server_is_asked_again(void **state)
{
    struct scene *scene = *state;
    file_server_behaviour(scene->server)->status = 503;
    file_server_behaviour(scene->server)->failures_left = 2;
    assert_int_equal(download(scene, false, 0, NULL), 0);
    expect_file(scene);
    assert_int_equal(file_server_requests(scene->server), 3);
}

static void test_redirects_are_followed(void **state)
{
    struct scene *scene = *state;
    char target[FILE_SERVER_URL_SIZE];
    file_server_url(scene->server, "/file.tar.gz", target);
    file_server_behaviour(scene->server)->redirect = target;
    file_server_url(scene->server, "/moved", scene->url);
    assert_int_equal(download(scene, false, LENGTH, NULL), 0);
    expect_file(scene);
    file_server_behaviour(scene->server)->redirect = scene->url; /* round and round */
    assert_int_equal(download(scene, false, 0, NULL), -EINVAL);
    file_server_behaviour(scene->server)->redirect = "file:///etc/passwd";
    assert_int_equal(download(scene, false, 0, NULL), -EINVAL);
}

static void test_what_has_arrived_stays_when_it_is_stopped(void **state)
{
    struct scene *scene = *state;
    struct error error = {0};
    file_server_behaviour(scene->server)->break_after = 6000;
    file_server_behaviour(scene->server)->breaks_left = 1;
    scene->stop_after = 6000;
    assert_int_equal(download(scene, false, 0, &error), -ECANCELED);
    assert_true(length_of(scene) >= 6000);
    scene->stop_after = 0;
    assert_int_equal(download(scene, true, LENGTH, NULL), 0);
    expect_file(scene);
}

static void test_nobody_there_and_nothing_to_speak(void **state)
{
    struct scene *scene = *state;
    struct error error = {0};
    snprintf(scene->url, sizeof scene->url, "http://127.0.0.1:1/file");
    assert_int_equal(download(scene, false, 0, &error), -ECONNREFUSED);
    assert_non_null(strstr(error.message, scene->url));
    snprintf(scene->url, sizeof scene->url, "file:///etc/passwd");
    assert_int_equal(download(scene, false, 0, &error), -EINVAL);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_a_file_arrives_whole),
        SCENE_TEST(test_a_broken_connection_is_taken_up_again),
        SCENE_TEST(test_a_later_call_goes_on),
        SCENE_TEST(test_without_resume_the_file_starts_anew),
        SCENE_TEST(test_a_server_without_ranges_sends_all_of_it_again),
        SCENE_TEST(test_a_file_that_is_too_long_already_starts_anew),
        SCENE_TEST(test_a_file_that_changes_meanwhile_starts_anew),
        SCENE_TEST(test_a_part_that_was_not_asked_for_is_refused),
        SCENE_TEST(test_a_wrong_size_is_refused),
        SCENE_TEST(test_statuses_are_told_apart),
        SCENE_TEST(test_an_unable_server_is_asked_again),
        SCENE_TEST(test_redirects_are_followed),
        SCENE_TEST(test_what_has_arrived_stays_when_it_is_stopped),
        SCENE_TEST(test_nobody_there_and_nothing_to_speak),
    };
    if (http_startup() < 0)
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    http_shutdown();
    return failures;
}
