/* The HTTP client against a small server in the test. */
#include "proto/http_client.h"

#include <errno.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct server {
    struct MHD_Daemon *http;
    struct http_client *client;
    /* the last request */
    char method[16], path[256], content_type[64], key[64], body[256];
};

static void copy_header(struct MHD_Connection *connection, const char *name, char *ret_text,
                        size_t size)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    snprintf(ret_text, size, "%s", value ? value : "");
}

/* /status/N answers N, /long a megabyte, anything else "hello". */
static enum MHD_Result answer(struct MHD_Connection *connection, const char *path)
{
    static char longer[1 << 20];
    unsigned status =
        strncmp(path, "/status/", 8) == 0 ? (unsigned)strtoul(path + 8, NULL, 10) : 200;
    bool is_long = strcmp(path, "/long") == 0;
    memset(longer, 'z', sizeof longer);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        is_long ? sizeof longer : 5, is_long ? longer : "hello", MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "text/plain");
    MHD_add_response_header(response, "ETag", "\"v7\"");
    MHD_add_response_header(response, "Location", "/elsewhere");
    MHD_add_response_header(response, "Retry-After", "12");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_length, void **state)
{
    (void)version;
    struct server *server = context;
    if (!*state) {
        *state = server;
        server->body[0] = '\0';
        return MHD_YES;
    }
    if (*upload_length) {
        size_t used = strlen(server->body);
        snprintf(server->body + used, sizeof server->body - used, "%.*s", (int)*upload_length,
                 upload);
        *upload_length = 0;
        return MHD_YES;
    }
    snprintf(server->method, sizeof server->method, "%s", method);
    snprintf(server->path, sizeof server->path, "%s", path);
    copy_header(connection, "Content-Type", server->content_type, sizeof server->content_type);
    copy_header(connection, "Idempotency-Key", server->key, sizeof server->key);
    return answer(connection, path);
}

static int set_up(void **state)
{
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->http = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                    server, MHD_OPTION_END);
    assert_non_null(server->http);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/",
             MHD_get_daemon_info(server->http, MHD_DAEMON_INFO_BIND_PORT)->port);
    assert_int_equal(http_client_new(url, &server->client, NULL), 0);
    *state = server;
    return 0;
}

static int tear_down(void **state)
{
    struct server *server = *state;
    http_client_free(server->client);
    MHD_stop_daemon(server->http);
    free(server);
    return 0;
}

static void test_a_response_has_status_headers_and_body(void **state)
{
    struct server *server = *state;
    const struct http_request request = {.method = "GET", .path = "/v1/thing"};
    struct http_response response = {0};
    struct error error;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.content_type, "text/plain");
    assert_string_equal(response.etag, "\"v7\"");
    assert_string_equal(response.location, "/elsewhere");
    assert_int_equal(response.retry_after_s, 12);
    assert_int_equal(response.body.length, 5);
    assert_string_equal((const char *)response.body.data, "hello");
    http_response_release(&response);
    assert_string_equal(server->method, "GET");
    assert_string_equal(server->path, "/v1/thing");
}

static void test_a_request_carries_method_body_and_headers(void **state)
{
    struct server *server = *state;
    static const char *const headers[] = {"Idempotency-Key: k-1", NULL};
    const struct http_request request = {.method = "POST",
                                         .path = "/v1/searches",
                                         .content_type = "application/json",
                                         .body = "{\"a\":1}",
                                         .body_length = 7,
                                         .headers = headers};
    struct http_response response = {0};
    struct error error;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
    http_response_release(&response);
    assert_string_equal(server->method, "POST");
    assert_string_equal(server->content_type, "application/json");
    assert_string_equal(server->key, "k-1");
    assert_string_equal(server->body, "{\"a\":1}");
}

static void test_a_post_without_a_body_and_a_request_after_it_are_clean(void **state)
{
    struct server *server = *state;
    const struct http_request post = {.method = "POST", .path = "/v1/searches/1:pause"};
    const struct http_request get = {.method = "GET", .path = "/x"};
    struct http_response response = {0};
    struct error error;
    assert_int_equal(http_client_perform(server->client, &post, &response, &error), 0);
    http_response_release(&response);
    assert_string_equal(server->method, "POST");
    assert_string_equal(server->content_type, "");
    assert_int_equal(http_client_perform(server->client, &get, &response, &error), 0);
    http_response_release(&response);
    assert_string_equal(server->method, "GET");
}

static void test_statuses_are_no_errors_and_redirects_are_not_followed(void **state)
{
    struct server *server = *state;
    static const long statuses[] = {201, 302, 404, 409, 422, 500, 503};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        char path[32];
        snprintf(path, sizeof path, "/status/%ld", statuses[i]);
        const struct http_request request = {.method = "GET", .path = path};
        struct http_response response = {0};
        struct error error;
        assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
        assert_int_equal(response.status, statuses[i]);
        assert_string_equal(server->path, path);
        http_response_release(&response);
    }
}

static void test_a_response_beyond_the_maximum_is_refused(void **state)
{
    struct server *server = *state;
    struct http_request request = {.method = "GET", .path = "/long", .response_max = (1 << 20) - 1};
    struct http_response response = {0};
    struct error error;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), -EMSGSIZE);
    assert_non_null(strstr(error.message, "longer than 1048575 bytes"));
    request.response_max = 1 << 20;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
    assert_int_equal(response.body.length, 1 << 20);
    http_response_release(&response);
}

struct reader {
    size_t length, max;
};

static int count_bytes(void *context, const char *bytes, size_t length)
{
    (void)bytes;
    struct reader *reader = context;
    reader->length += length;
    return reader->length > reader->max;
}

static void test_a_body_can_be_read_piece_by_piece_and_stopped(void **state)
{
    struct server *server = *state;
    struct reader reader = {.max = SIZE_MAX};
    struct http_request request = {.method = "GET",
                                   .path = "/long",
                                   .response_max = 10,
                                   .on_data = count_bytes,
                                   .context = &reader};
    struct http_response response = {0};
    struct error error;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
    assert_int_equal(reader.length, 1 << 20);
    assert_int_equal(response.body.length, 0);
    http_response_release(&response);
    reader = (struct reader){.max = 1000};
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), -ECANCELED);
    /* an error's body is no stream */
    request.path = "/status/404";
    reader = (struct reader){.max = 0};
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
    assert_string_equal((const char *)response.body.data, "hello");
    http_response_release(&response);
}

static void test_nobody_listening_is_told_as_such(void **state)
{
    struct server *server = *state;
    const struct http_request request = {.method = "GET", .path = "/"};
    struct http_response response = {0};
    struct error error;
    MHD_stop_daemon(server->http);
    server->http = NULL;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error),
                     -ECONNREFUSED);
    assert_true(error.message[0] != '\0');
    server->http = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                    server, MHD_OPTION_END);
}

static void test_too_many_headers_and_too_long_a_url_are_refused(void **state)
{
    struct server *server = *state;
    const char *headers[HTTP_HEADERS_MAX + 2] = {NULL};
    for (size_t i = 0; i <= HTTP_HEADERS_MAX; i++)
        headers[i] = "X: 1";
    struct http_request request = {.method = "GET", .path = "/", .headers = headers};
    struct http_response response = {0};
    struct error error;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), -EINVAL);
    headers[HTTP_HEADERS_MAX] = NULL;
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), 0);
    http_response_release(&response);
    char path[HTTP_URL_SIZE + 1];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    request = (struct http_request){.method = "GET", .path = path};
    assert_int_equal(http_client_perform(server->client, &request, &response, &error), -EINVAL);
}

static void test_servers_are_http_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *base;
    } rows[] = {
        {"http://127.0.0.1:7700", "http://127.0.0.1:7700"},
        {"http://127.0.0.1:7700///", "http://127.0.0.1:7700"},
        {"https://example.org/archscout/", "https://example.org/archscout"},
        {"http://[::1]:7700", "http://[::1]:7700"},
        {"127.0.0.1:7700", NULL},
        {"ftp://example.org", NULL},
        {"file:///etc/passwd", NULL},
        {"http://", NULL},
        {"http://host:99999", NULL},
        {"http://host/?query", NULL},
        {"http://host/#part", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_client *client = NULL;
        struct error error;
        int code = http_client_new(rows[i].url, &client, &error);
        if ((code == 0) != (rows[i].base != NULL))
            fail_msg("%s: %d", rows[i].url, code);
        if (code == 0)
            assert_string_equal(http_client_base_url(client), rows[i].base);
        http_client_free(client);
    }
}

static void test_only_unreserved_characters_stay_unescaped(void **state)
{
    (void)state;
    char text[32];
    assert_int_equal(http_escape("aZ09-._~", text, sizeof text), 0);
    assert_string_equal(text, "aZ09-._~");
    assert_int_equal(http_escape("a/b?c&\xc3\xa9 ", text, sizeof text), 0);
    assert_string_equal(text, "a%2Fb%3Fc%26%C3%A9%20");
    assert_int_equal(http_escape("////", text, 12), -EMSGSIZE);
    assert_int_equal(http_escape("////", text, 13), 0);
    assert_int_equal(http_escape("", text, 1), 0);
    assert_int_equal(http_escape("", text, 0), -EMSGSIZE);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(test_a_response_has_status_headers_and_body),
        SERVED(test_a_request_carries_method_body_and_headers),
        SERVED(test_a_post_without_a_body_and_a_request_after_it_are_clean),
        SERVED(test_statuses_are_no_errors_and_redirects_are_not_followed),
        SERVED(test_a_response_beyond_the_maximum_is_refused),
        SERVED(test_a_body_can_be_read_piece_by_piece_and_stopped),
        SERVED(test_nobody_listening_is_told_as_such),
        SERVED(test_too_many_headers_and_too_long_a_url_are_refused),
        cmocka_unit_test(test_servers_are_http_urls),
        cmocka_unit_test(test_only_unreserved_characters_stay_unescaped),
    };
    if (http_startup() < 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    http_shutdown();
    return failed;
}
