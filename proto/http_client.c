#include "proto/http_client.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_client {
    char base_url[HTTP_URL_SIZE]; /* without a final slash */
    bool loopback;
    CURL *curl; /* of blocking requests, keeps the connection; NULL until the first */
};

struct http_exchange {
    CURL *curl;
    bool curl_owned;
    struct curl_slist *headers;
    void *body;
    char url[HTTP_URL_SIZE];
    char detail[CURL_ERROR_SIZE];
    struct http_response response;
    int (*on_data)(void *context, const char *bytes, size_t length);
    int (*on_send)(void *context, char *buffer, size_t size);
    int (*on_tick)(void *context);
    void *context;
    int refused_code; /* why a callback stopped curl: 0, -EMSGSIZE, -ENOMEM, -ECANCELED */
    void *user;
};

int http_startup(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOMEM;
}

void http_shutdown(void)
{
    curl_global_cleanup();
}

void http_response_release(struct http_response *response)
{
    if (response)
        buffer_release(&response->body);
}

/* ---- client ---- */

static bool host_is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

static int read_base_url(struct http_client *client, const char *base_url, struct error *error)
{
    CURLU *url = curl_url();
    if (!url)
        return error_set(error, -ENOMEM, "", "out of memory");
    char *scheme = NULL, *host = NULL, *query = NULL, *fragment = NULL;
    bool good = curl_url_set(url, CURLUPART_URL, base_url, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_NO_QUERY &&
                curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_NO_FRAGMENT &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (good)
        client->loopback = host_is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    curl_free(query);
    curl_free(fragment);
    curl_url_cleanup(url);
    if (!good)
        return error_set(error, -EINVAL, "",
                         "\"%.200s\" is not a server's URL: write http://HOST:PORT", base_url);
    return 0;
}

int http_client_new(const char *base_url, struct http_client **ret_client, struct error *error)
{
    size_t length = strlen(base_url);
    while (length && base_url[length - 1] == '/')
        length--;
    if (length >= HTTP_URL_SIZE)
        return error_set(error, -EINVAL, "", "a server's URL has at most %d characters",
                         HTTP_URL_SIZE - 1);
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        return error_set(error, -ENOMEM, "", "out of memory");
    memcpy(client->base_url, base_url, length);
    int code = read_base_url(client, client->base_url, error);
    if (code < 0) {
        http_client_free(client);
        return code;
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client);
}

const char *http_client_base_url(const struct http_client *client)
{
    return client->base_url;
}

/* ---- what curl calls while a response comes in ---- */

static int store_body(struct http_exchange *exchange, const char *bytes, size_t length)
{
    struct buffer *body = &exchange->response.body;
    int code = buffer_reserve(body, length + 1); /* room for the 0 byte */
    if (code < 0)
        return code;
    memcpy(body->data + body->length, bytes, length);
    body->length += length;
    body->data[body->length] = '\0';
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    size_t length = size * count;
    long status = 0;
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->on_data && status >= 200 && status < 300)
        exchange->refused_code =
            exchange->on_data(exchange->context, bytes, length) ? -ECANCELED : 0;
    else
        exchange->refused_code = store_body(exchange, bytes, length);
    return exchange->refused_code ? CURL_WRITEFUNC_ERROR : length;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    int length = exchange->on_send(exchange->context, buffer, size * count);
    if (length >= 0)
        return (size_t)length;
    exchange->refused_code = -ECANCELED;
    return CURL_READFUNC_ABORT;
}

static int on_progress(void *context, curl_off_t download_total, curl_off_t downloaded,
                       curl_off_t upload_total, curl_off_t uploaded)
{
    struct http_exchange *exchange = context;
    (void)download_total, (void)downloaded, (void)upload_total, (void)uploaded;
    if (exchange->on_tick(exchange->context) == 0)
        return 0;
    exchange->refused_code = -ECANCELED;
    return 1;
}

/* Where the header line is `name`, copies its value without the blanks around it. */
static bool take_header(const char *line, size_t length, const char *name,
                        char ret_value[HTTP_VALUE_SIZE])
{
    size_t name_length = strlen(name);
    if (length <= name_length || line[name_length] != ':' ||
        strncasecmp(line, name, name_length) != 0)
        return false;
    size_t start = name_length + 1;
    while (start < length && isspace((unsigned char)line[start]))
        start++;
    while (length > start && isspace((unsigned char)line[length - 1]))
        length--;
    size_t kept = length - start < HTTP_VALUE_SIZE ? length - start : HTTP_VALUE_SIZE - 1;
    memcpy(ret_value, line + start, kept);
    ret_value[kept] = '\0';
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct http_response *response = &((struct http_exchange *)context)->response;
    size_t length = size * count;
    char seconds[HTTP_VALUE_SIZE];
    if (!take_header(line, length, "content-type", response->content_type) &&
        !take_header(line, length, "etag", response->etag) &&
        !take_header(line, length, "location", response->location) &&
        take_header(line, length, "retry-after", seconds)) {
        char *end = NULL;
        long value = strtol(seconds, &end, 10);
        response->retry_after_s = *end == '\0' && value > 0 ? value : 0;
    }
    return length;
}

/* ---- one exchange ---- */

static int add_header(struct http_exchange *exchange, const char *line)
{
    struct curl_slist *list = curl_slist_append(exchange->headers, line);
    if (!list)
        return -ENOMEM;
    exchange->headers = list;
    return 0;
}

static int add_headers(struct http_exchange *exchange, const struct http_request *request)
{
    char type[HTTP_VALUE_SIZE];
    /* It costs a round trip: only where it may spare a body that is not wanted. */
    int code = add_header(exchange, request->on_send ? "Expect: 100-continue" : "Expect:");
    if (code < 0)
        return code;
    if (request->content_type)
        snprintf(type, sizeof type, "Content-Type: %s", request->content_type);
    else
        snprintf(type, sizeof type, "Content-Type:");
    code = add_header(exchange, type);
    size_t count = 0;
    for (const char *const *line = request->headers; code == 0 && line && *line; line++) {
        if (++count > HTTP_HEADERS_MAX)
            return -EINVAL;
        code = add_header(exchange, *line);
    }
    return code;
}

static void set_options(struct http_exchange *exchange, const struct http_client *client,
                        const struct http_request *request)
{
    CURL *curl = exchange->curl;
    curl_easy_setopt(curl, CURLOPT_URL, exchange->url);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->detail);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "archscout/" ARCHSCOUT_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    if (exchange->on_tick) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    }
    if (client->loopback)
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (request->on_send) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_length);
    } else if (exchange->body || strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->body ? exchange->body : "");
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static int copy_request(struct http_exchange *exchange, const struct http_client *client,
                        const struct http_request *request, struct error *error)
{
    int length =
        snprintf(exchange->url, sizeof exchange->url, "%s%s", client->base_url, request->path);
    if (length < 0 || (size_t)length >= sizeof exchange->url)
        return error_set(error, -EINVAL, "", "the URL is longer than %d characters",
                         HTTP_URL_SIZE - 1);
    if (request->body_length && !request->on_send) {
        exchange->body = malloc(request->body_length);
        if (!exchange->body)
            return error_set(error, -ENOMEM, "", "out of memory");
        memcpy(exchange->body, request->body, request->body_length);
    }
    int code = add_headers(exchange, request);
    return code < 0
               ? error_set(error, code, "", code == -ENOMEM ? "out of memory" : "too many headers")
               : 0;
}

/* `curl` is used when given and stays the caller's, else a handle is made. */
static int exchange_new(const struct http_client *client, const struct http_request *request,
                        CURL *curl, struct http_exchange **ret_exchange, struct error *error)
{
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return error_set(error, -ENOMEM, "", "out of memory");
    size_t max = request->response_max ? request->response_max : HTTP_BODY_MAX_DEFAULT;
    buffer_init(&exchange->response.body, max + 1);
    exchange->on_data = request->on_data;
    exchange->on_send = request->on_send;
    exchange->on_tick = request->on_tick;
    exchange->context = request->context;
    exchange->curl = curl ? curl : curl_easy_init();
    exchange->curl_owned = !curl;
    int code = exchange->curl ? copy_request(exchange, client, request, error)
                              : error_set(error, -ENOMEM, "", "out of memory");
    /* an empty body is a string as well */
    if (code == 0 && buffer_reserve(&exchange->response.body, 1) < 0)
        code = error_set(error, -ENOMEM, "", "out of memory");
    if (code < 0) {
        http_exchange_free(exchange);
        return code;
    }
    exchange->response.body.data[0] = '\0';
    set_options(exchange, client, request);
    *ret_exchange = exchange;
    return 0;
}

int http_exchange_new(const struct http_client *client, const struct http_request *request,
                      void *user, struct http_exchange **ret_exchange, struct error *error)
{
    int code = exchange_new(client, request, NULL, ret_exchange, error);
    if (code == 0)
        (*ret_exchange)->user = user;
    return code;
}

void http_exchange_free(struct http_exchange *exchange)
{
    if (!exchange)
        return;
    if (exchange->curl_owned)
        curl_easy_cleanup(exchange->curl);
    curl_slist_free_all(exchange->headers);
    free(exchange->body);
    http_response_release(&exchange->response);
    free(exchange);
}

void *http_exchange_handle(struct http_exchange *exchange)
{
    return exchange->curl;
}

struct http_exchange *http_exchange_of_handle(void *handle)
{
    char *exchange = NULL;
    curl_easy_getinfo(handle, CURLINFO_PRIVATE, &exchange);
    return (struct http_exchange *)(void *)exchange;
}

void *http_exchange_user(const struct http_exchange *exchange)
{
    return exchange->user;
}

static int code_of_curl(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return -ECONNRESET;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return -EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

int http_exchange_finish(struct http_exchange *exchange, int curl_code,
                         struct http_response *ret_response, struct error *error)
{
    if (exchange->refused_code == -EMSGSIZE)
        return error_set(error, -EMSGSIZE, "", "the response of %s is longer than %zu bytes",
                         exchange->url, exchange->response.body.max - 1);
    if (exchange->refused_code == -ECANCELED)
        return error_set(error, -ECANCELED, "", "stopped by the reader");
    if (exchange->refused_code)
        return error_set(error, exchange->refused_code, "", "out of memory");
    if (curl_code != CURLE_OK) {
        const char *detail =
            exchange->detail[0] ? exchange->detail : curl_easy_strerror((CURLcode)curl_code);
        return error_set(error, code_of_curl((CURLcode)curl_code), "", "%s", detail);
    }
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->response.status);
    *ret_response = exchange->response;
    exchange->response = (struct http_response){0};
    return 0;
}

int http_client_perform(struct http_client *client, const struct http_request *request,
                        struct http_response *ret_response, struct error *error)
{
    if (!client->curl)
        client->curl = curl_easy_init();
    if (!client->curl)
        return error_set(error, -ENOMEM, "", "out of memory");
    struct http_exchange *exchange = NULL;
    int code = exchange_new(client, request, client->curl, &exchange, error);
    if (code < 0)
        return code;
    CURLcode curl_code = curl_easy_perform(client->curl);
    code = http_exchange_finish(exchange, (int)curl_code, ret_response, error);
    curl_easy_reset(client->curl); /* forgets what points into the exchange, keeps the connection */
    http_exchange_free(exchange);
    return code;
}

int http_escape(const char *text, char *ret_text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;
    for (const unsigned char *from = (const unsigned char *)text; *from; from++) {
        bool plain = isalnum(*from) || strchr("-._~", *from);
        if (used + (plain ? 1 : 3) >= size)
            return -EMSGSIZE;
        if (plain) {
            ret_text[used++] = (char)*from;
            continue;
        }
        ret_text[used++] = '%';
        ret_text[used++] = digits[*from >> 4];
        ret_text[used++] = digits[*from & 15];
    }
    if (used >= size)
        return -EMSGSIZE;
    ret_text[used] = '\0';
    return 0;
}
