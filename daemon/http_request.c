#include "daemon/http_request.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BLOCK_BYTES = 2048, METHOD_BYTES_MAX = 24, LENGTH_DIGITS_MAX = 18, BODY_BYTES_FIRST = 4096 };

/* Texts of a request, freed with it. */
struct block {
    struct block *next;
    size_t used, size;
    char text[];
};

struct holder {
    struct http_request request; /* first: a request's address is its holder's */
    struct block *blocks;
    char *body;
    size_t body_size;
    size_t headers_bytes;
    const char *authority; /* of an absolute-form target, NULL otherwise */
};

static struct holder *holder_of(struct http_request *request)
{
    return (struct holder *)request;
}

static const struct holder *holder_of_const(const struct http_request *request)
{
    return (const struct holder *)request;
}

static char *text_allocate(struct holder *holder, size_t bytes)
{
    struct block *block = holder->blocks;
    if (!block || block->size - block->used < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof *block + size);
        if (!block)
            return NULL;
        block->next = holder->blocks;
        block->used = 0;
        block->size = size;
        holder->blocks = block;
    }
    char *text = block->text + block->used;
    block->used += bytes;
    return text;
}

static char *text_copy(struct holder *holder, const char *source, size_t length)
{
    char *text = text_allocate(holder, length + 1);
    if (!text)
        return NULL;
    memcpy(text, source, length);
    text[length] = '\0';
    return text;
}

/* RFC 9110, section 5.6.2. */
static bool is_token(const char *text)
{
    if (!*text)
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
            return false;
    return true;
}

int http_request_new(const char *method, const char *version, struct http_request **ret_request)
{
    if (!is_token(method) || strlen(method) > METHOD_BYTES_MAX)
        return -EINVAL;
    struct holder *holder = calloc(1, sizeof *holder);
    if (!holder)
        return -ENOMEM;
    holder->request.head = strcmp(method, "HEAD") == 0;
    holder->request.method =
        holder->request.head ? "GET" : text_copy(holder, method, strlen(method));
    holder->request.http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    holder->request.path = "/";
    holder->request.body = "";
    holder->request.body_bytes_max = HTTP_BODY_BYTES_MAX;
    if (!holder->request.method) {
        http_request_free(&holder->request);
        return -ENOMEM;
    }
    *ret_request = &holder->request;
    return 0;
}

void http_request_free(struct http_request *request)
{
    if (!request)
        return;
    struct holder *holder = holder_of(request);
    while (holder->blocks) {
        struct block *next = holder->blocks->next;
        free(holder->blocks);
        holder->blocks = next;
    }
    free(holder->body);
    free(holder);
}

int http_request_add_header(struct http_request *request, const char *name, const char *value)
{
    struct holder *holder = holder_of(request);
    size_t name_length = strlen(name), value_length = strlen(value);
    holder->headers_bytes += name_length + value_length;
    if (request->header_count == HTTP_HEADERS_MAX || holder->headers_bytes > HTTP_HEADERS_BYTES_MAX)
        return -E2BIG;
    while (value_length > 0 && strchr(" \t", value[value_length - 1]))
        value_length--;
    struct http_field *field = &request->headers[request->header_count];
    field->name = text_copy(holder, name, name_length);
    field->value = text_copy(holder, value, value_length);
    if (!field->name || !field->value)
        return -ENOMEM;
    request->header_count++;
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Length of the UTF-8 sequence at `text` (Unicode 15, table 3-7); 0 where it is malformed. */
static size_t utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max, length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        if (text[0] < forms[i].first_min || text[0] > forms[i].first_max)
            continue;
        if (forms[i].length > 1 && (text[1] < forms[i].second_min || text[1] > forms[i].second_max))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if (text[k] < 0x80 || text[k] > 0xbf)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* True for UTF-8 without control characters. */
static bool is_clean(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    while (*c) {
        size_t length = utf8_length(c);
        if (length == 0 || *c < 0x20 || *c == 0x7f)
            return false;
        c += length;
    }
    return true;
}

/* Percent-decodes in place. False where an escape is broken or names a character that a text can't
 * hold. */
static bool decode(char *text, bool plus_is_space)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        char c = *from;
        if (c == '%') {
            int high = hex_value(from[1]);
            int low = high < 0 ? -1 : hex_value(from[2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            if (c == '\0' || (c == '/' && !plus_is_space))
                return false;
            from += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        } else if ((unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f) {
            return false;
        }
        *to++ = c;
    }
    *to = '\0';
    return is_clean(text);
}

static bool refuse(struct http_refusal *ret_refusal, int status, const char *detail)
{
    *ret_refusal = (struct http_refusal){.status = status, .detail = detail};
    return false;
}

/* Splits "a=1&b=2" in place. */
static bool set_query(struct http_request *request, char *query, struct http_refusal *ret_refusal)
{
    for (char *rest = query; rest && *rest;) {
        char *name = rest;
        char *end = strchr(rest, '&');
        rest = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        if (!*name)
            continue;
        char *value = strchr(name, '=');
        if (value)
            *value++ = '\0';
        else
            value = name + strlen(name);
        if (!decode(name, true) || !decode(value, true))
            return refuse(ret_refusal, 400, "The query holds a broken percent escape.");
        if (http_request_query(request, name))
            return refuse(ret_refusal, 400, "The query gives a parameter twice.");
        if (request->query_count == HTTP_QUERY_MAX)
            return refuse(ret_refusal, 400, "The query has too many parameters.");
        request->query[request->query_count++] = (struct http_field){name, value};
    }
    return true;
}

bool http_request_set_target(struct http_request *request, const char *target,
                             struct http_refusal *ret_refusal)
{
    static const char scheme[] = "http://";
    struct holder *holder = holder_of(request);
    if (strlen(target) > HTTP_TARGET_BYTES_MAX)
        return refuse(ret_refusal, 414, "The request target is too long.");
    if (strncasecmp(target, scheme, strlen(scheme)) == 0) {
        target += strlen(scheme);
        size_t length = strcspn(target, "/?");
        holder->authority = text_copy(holder, target, length);
        if (!holder->authority)
            return refuse(ret_refusal, 503, "The server is out of memory.");
        target += length;
    }
    if (*target != '/')
        return refuse(ret_refusal, 400, "The request target is not a path.");
    char *path = text_copy(holder, target, strlen(target));
    if (!path)
        return refuse(ret_refusal, 503, "The server is out of memory.");
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    if (!decode(path, false))
        return refuse(ret_refusal, 400, "The path holds a broken or forbidden escape.");
    request->path = path;
    return set_query(request, query, ret_refusal);
}

static size_t header_count(const struct http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += strcasecmp(request->headers[i].name, name) == 0;
    return count;
}

/* libmicrohttpd appends a folded line (obsolete since RFC 7230) to the header's name instead of its value. Where that hides
 * a header which decides framing, the request must not be taken for one without it. */
static bool is_folded_framing(const char *name)
{
    static const char *const framing[] = {"Content-Length", "Transfer-Encoding"};
    for (size_t i = 0; i < ARRAY_LENGTH(framing); i++)
        if (strncasecmp(name, framing[i], strlen(framing[i])) == 0 && name[strlen(framing[i])])
            return true;
    return false;
}

static bool check_syntax(const struct http_request *request, struct http_refusal *ret_refusal)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_token(request->headers[i].name))
            return refuse(ret_refusal, 400, "A header name is malformed.");
        if (is_folded_framing(request->headers[i].name))
            return refuse(ret_refusal, 400, "A header that decides framing is folded.");
        for (const char *c = request->headers[i].value; *c; c++)
            if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
                return refuse(ret_refusal, 400, "A header value holds a control character.");
    }
    return true;
}

static bool check_framing(const struct http_request *request, struct http_refusal *ret_refusal)
{
    const char *length = http_request_header(request, "Content-Length");
    const char *coding = http_request_header(request, "Transfer-Encoding");
    if (header_count(request, "Content-Length") > 1)
        return refuse(ret_refusal, 400, "Content-Length is given twice.");
    if (header_count(request, "Transfer-Encoding") > 1)
        return refuse(ret_refusal, 400, "Transfer-Encoding is given twice.");
    if (length && coding)
        return refuse(ret_refusal, 400, "Content-Length and Transfer-Encoding exclude each other.");
    if (coding && (strcasecmp(coding, "chunked") != 0 || request->http_1_0))
        return refuse(ret_refusal, 400, "The only transfer coding understood is chunked.");
    if (length && (!*length || strspn(length, "0123456789") != strlen(length)))
        return refuse(ret_refusal, 400, "Content-Length is not a number.");
    if (length && (strlen(length) > LENGTH_DIGITS_MAX ||
                   strtoull(length, NULL, 10) > request->body_bytes_max))
        return refuse(ret_refusal, 413,
                      request->body_bytes_max > HTTP_BODY_BYTES_MAX
                          ? "The body is larger than this server takes here."
                          : "The body is larger than 1 MiB.");
    const char *encoding = http_request_header(request, "Content-Encoding");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return refuse(ret_refusal, 415, "Content-Encoding is not supported.");
    const char *expect = http_request_header(request, "Expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return refuse(ret_refusal, 417, "The only expectation understood is 100-continue.");
    return true;
}

/* The part of "HOST:PORT" before the port. */
static size_t host_length(const char *authority)
{
    if (*authority == '[') {
        const char *end = strchr(authority, ']');
        return end ? (size_t)(end - authority) + 1 : strlen(authority);
    }
    return strcspn(authority, ":");
}

static bool is_our_host(const char *authority, const struct http_hosts *hosts)
{
    size_t length = host_length(authority);
    const char *port = authority + length;
    if (*port == ':' && strspn(port + 1, "0123456789") == strlen(port + 1))
        port += strlen(port);
    if (*port)
        return false;
    for (size_t i = 0; i < hosts->count; i++)
        if (strlen(hosts->names[i]) == length &&
            strncasecmp(hosts->names[i], authority, length) == 0)
            return true;
    return false;
}

/* A page in somebody's browser must not reach the daemon through that browser: neither under a name
 * of its own that resolves to this machine (DNS rebinding) nor by sending a form or a fetch here
 * (cross-site request forgery). */
static bool check_caller(const struct http_request *request, const struct http_hosts *hosts,
                         struct http_refusal *ret_refusal)
{
    static const char scheme[] = "http://";
    const char *authority = holder_of_const(request)->authority;
    const char *host = http_request_header(request, "Host");
    if (header_count(request, "Host") > 1)
        return refuse(ret_refusal, 400, "Host is given twice.");
    if (!host && !request->http_1_0)
        return refuse(ret_refusal, 400, "Host is missing.");
    if ((host && !is_our_host(host, hosts)) || (authority && !is_our_host(authority, hosts)))
        return refuse(ret_refusal, 421, "This server does not answer to that Host.");
    if (strcmp(request->method, "GET") == 0)
        return true;
    const char *origin = http_request_header(request, "Origin");
    if (header_count(request, "Origin") > 1)
        return refuse(ret_refusal, 400, "Origin is given twice.");
    if (origin && (!host || strncasecmp(origin, scheme, strlen(scheme)) != 0 ||
                   strcasecmp(origin + strlen(scheme), host) != 0))
        return refuse(ret_refusal, 403, "Requests from pages of another origin are refused.");
    const char *site = http_request_header(request, "Sec-Fetch-Site");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return refuse(ret_refusal, 403, "Requests from pages of another site are refused.");
    return true;
}

bool http_request_check(const struct http_request *request, const struct http_hosts *hosts,
                        struct http_refusal *ret_refusal)
{
    return check_syntax(request, ret_refusal) && check_framing(request, ret_refusal) &&
           check_caller(request, hosts, ret_refusal);
}

uint64_t http_request_length(const struct http_request *request)
{
    if (http_request_header(request, "Transfer-Encoding"))
        return UINT64_MAX;
    const char *length = http_request_header(request, "Content-Length");
    return length ? strtoull(length, NULL, 10) : 0;
}

int http_request_append_body(struct http_request *request, const char *data, size_t bytes)
{
    struct holder *holder = holder_of(request);
    assert(request->body_bytes <= HTTP_BODY_BYTES_MAX);
    if (bytes > HTTP_BODY_BYTES_MAX - request->body_bytes)
        return -E2BIG;
    size_t need = request->body_bytes + bytes;
    if (need > holder->body_size) {
        size_t size = holder->body_size ? holder->body_size : BODY_BYTES_FIRST;
        while (size < need)
            size *= 2;
        char *body = realloc(holder->body, size);
        if (!body)
            return -ENOMEM;
        holder->body = body;
        holder->body_size = size;
        request->body = body;
    }
    if (bytes > 0)
        memcpy(holder->body + request->body_bytes, data, bytes);
    request->body_bytes = need;
    return 0;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->query_count; i++)
        if (strcmp(request->query[i].name, name) == 0)
            return request->query[i].value;
    return NULL;
}

bool http_request_content_is(const struct http_request *request, const char *type)
{
    const char *value = http_request_header(request, "Content-Type");
    size_t length = strlen(type);
    return value && strncasecmp(value, type, length) == 0 &&
           strspn(value + length, " \t") == strcspn(value + length, ";");
}
