#include "proto/download.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/http_client.h"

enum { STATUS_OK = 200, STATUS_PARTIAL = 206, STATUS_RANGE_REFUSED = 416, TAG_SIZE = 256 };

struct download {
    const struct download_request *request;
    struct error *error;
    CURL *curl;
    int fd;
    uint64_t offset;      /* bytes in the file */
    uint64_t total;       /* that it will have; 0: not known */
    bool decided;         /* the response's status and headers have been judged */
    int code;             /* why a callback stopped curl; the error is set */
    char tag[TAG_SIZE];   /* the strong ETag of the first response; "" without one */
    char range[TAG_SIZE]; /* Content-Range of the last response */
    char detail[CURL_ERROR_SIZE];
};

static void file_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void curl_free_handle(CURL **curl)
{
    curl_easy_cleanup(*curl);
}

static void list_free(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static int fail_file(struct download *download, int code)
{
    download->code = error_set(download->error, code, "", "%.300s: %s", download->request->path,
                               strerror(-code));
    return download->code;
}

static int fail(struct download *download, int code, const char *what)
{
    download->code =
        error_set(download->error, code, "", "%.300s: %s", download->request->url, what);
    return download->code;
}

static int fail_size(struct download *download, uint64_t found)
{
    download->code =
        error_set(download->error, -EBADMSG, "", "%.300s: has %" PRIu64 " bytes, expected %" PRIu64,
                  download->request->url, found,
                  download->request->bytes ? download->request->bytes : DOWNLOAD_BYTES_MAX);
    return download->code;
}

static int start_anew(struct download *download)
{
    if (ftruncate(download->fd, 0) < 0)
        return fail_file(download, -errno);
    download->offset = 0;
    return 0;
}

/* ---- what curl calls ---- */

/* Where the header line is `name`, copies its value. */
static void take_header(const char *line, size_t length, const char *name, char ret_value[TAG_SIZE])
{
    size_t start = strlen(name);
    if (length <= start || strncasecmp(line, name, start) != 0)
        return;
    while (start < length && line[start] == ' ')
        start++;
    while (length > start && (line[length - 1] == '\r' || line[length - 1] == '\n'))
        length--;
    size_t kept = length - start < TAG_SIZE ? length - start : 0;
    memcpy(ret_value, line + start, kept);
    ret_value[kept] = '\0';
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct download *download = context;
    size_t length = size * count;
    if (length > 5 && strncmp(line, "HTTP/", 5) == 0) /* of a redirect, or of what it led to */
        download->range[0] = '\0';
    char tag[TAG_SIZE] = "";
    take_header(line, length, "etag:", tag);
    if (tag[0] == '"')
        memcpy(download->tag, tag, sizeof tag);
    take_header(line, length, "content-range:", download->range);
    return length;
}

/* Reads digits and the character behind them ('\0': the end), and moves past both. */
static bool take_number(const char **text, char behind, uint64_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)**text))
        return false;
    *ret_number = strtoull(*text, &end, 10);
    *text = end + (behind != '\0');
    return errno == 0 && *end == behind;
}

/* "bytes FIRST-LAST/TOTAL" with FIRST where the file ends. */
static int judge_range(struct download *download)
{
    static const char unit[] = "bytes ";
    const char *at = download->range + sizeof unit - 1;
    uint64_t first = 0, last = 0, total = 0;
    if (strncasecmp(download->range, unit, sizeof unit - 1) != 0 ||
        !take_number(&at, '-', &first) || !take_number(&at, '/', &last) ||
        !take_number(&at, '\0', &total) || first != download->offset || last < first ||
        last >= total)
        return fail(download, -EBADMSG, "the server sends another part than was asked for");
    download->total = total;
    return 0;
}

static int judge_status(struct download *download, long status)
{
    char text[64];
    snprintf(text, sizeof text, "the server answers %ld", status);
    if (status == 404 || status == 410)
        return fail(download, -ENOENT, text);
    if (status == 401 || status == 403)
        return fail(download, -EACCES, text);
    bool passes = status == 408 || status == 429 || status >= 500;
    return fail(download, passes ? -EIO : -EBADMSG, text);
}

/* Decides from status and headers where the body goes. */
static int judge_response(struct download *download)
{
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(download->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    download->decided = true;
    int r = 0;
    if (status == STATUS_PARTIAL)
        r = judge_range(download);
    else if (status == STATUS_OK)
        r = start_anew(download);
    else
        r = judge_status(download, status);
    if (r < 0)
        return r;
    if (status == STATUS_OK)
        download->total = length > 0 ? (uint64_t)length : 0;
    const uint64_t expected = download->request->bytes;
    if (download->total && expected && download->total != expected)
        return fail_size(download, download->total);
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct download *download = context;
    const size_t length = size * count;
    const uint64_t max = download->request->bytes ? download->request->bytes : DOWNLOAD_BYTES_MAX;
    if (!download->decided && judge_response(download) < 0)
        return CURL_WRITEFUNC_ERROR;
    if (length > max - download->offset) {
        fail_size(download, download->offset + length);
        return CURL_WRITEFUNC_ERROR;
    }
    for (size_t done = 0; done < length;) {
        ssize_t wrote = pwrite(download->fd, bytes + done, length - done, (off_t)download->offset);
        if (wrote < 0 && errno != EINTR) {
            fail_file(download, -errno);
            return CURL_WRITEFUNC_ERROR;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
        download->offset += wrote > 0 ? (uint64_t)wrote : 0;
    }
    return length;
}

static int on_transfer(void *context, curl_off_t download_total, curl_off_t downloaded,
                       curl_off_t upload_total, curl_off_t uploaded)
{
    struct download *download = context;
    (void)download_total, (void)downloaded, (void)upload_total, (void)uploaded;
    const struct download_request *request = download->request;
    uint64_t total = download->total ? download->total : request->bytes;
    if (!request->on_progress ||
        request->on_progress(request->context, download->offset, total) == 0)
        return 0;
    fail(download, -ECANCELED, "stopped");
    return 1;
}

/* ---- one try ---- */

static void set_options(struct download *download, struct curl_slist *headers)
{
    CURL *curl = download->curl;
    const char *url = download->request->url;
    const bool secure = strncasecmp(url, "https:", 6) == 0;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)DOWNLOAD_REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "archscout/" ARCHSCOUT_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)DOWNLOAD_STALL_SECONDS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, download->detail);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, download);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, download);
}

/* Asks for what is missing, on the condition that the file is still the same where that is known. */
static int add_range(struct download *download, struct curl_slist **headers)
{
    char line[TAG_SIZE + 16];
    if (download->offset == 0)
        return 0;
    snprintf(line, sizeof line, "Range: bytes=%" PRIu64 "-", download->offset);
    *headers = curl_slist_append(NULL, line);
    if (!*headers)
        return fail(download, -ENOMEM, "out of memory");
    if (download->tag[0] == '\0')
        return 0;
    snprintf(line, sizeof line, "If-Range: %s", download->tag);
    return curl_slist_append(*headers, line) ? 0 : fail(download, -ENOMEM, "out of memory");
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
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
        return -EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* 0, or a code with the error set. */
static int download_try(struct download *download)
{
    CLEANUP(list_free) struct curl_slist *headers = NULL;
    download->decided = false;
    download->code = 0;
    download->total = 0;
    download->detail[0] = '\0';
    int r = add_range(download, &headers);
    if (r < 0)
        return r;
    set_options(download, headers);
    CURLcode code = curl_easy_perform(download->curl);
    if (download->code < 0)
        return download->code;
    if (code != CURLE_OK)
        return fail(download, code_of_curl(code),
                    download->detail[0] ? download->detail : curl_easy_strerror(code));
    if (!download->decided && judge_response(download) < 0)
        return download->code;
    if (download->request->bytes && download->offset != download->request->bytes)
        return fail_size(download, download->offset);
    return 0;
}

/* ---- all tries ---- */

static bool may_pass(int code)
{
    return code == -ECONNREFUSED || code == -EHOSTUNREACH || code == -ETIMEDOUT ||
           code == -ECONNRESET || code == -EIO;
}

static void pause_ms(uint64_t ms)
{
    const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                                   .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&pause, NULL);
}

/* True where the file is whole before anything was asked for. */
static bool is_whole(const struct download *download)
{
    return download->request->bytes && download->offset == download->request->bytes;
}

static int download_tries(struct download *download)
{
    const struct download_request *request = download->request;
    for (unsigned tries = 1; !is_whole(download); tries++) {
        const uint64_t before = download->offset;
        int r = download_try(download);
        long status = 0;
        curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
        bool anew = r < 0 && before > 0 && status == STATUS_RANGE_REFUSED;
        if (anew && start_anew(download) < 0)
            return download->code;
        if (anew)
            continue;
        if (download->offset > before)
            tries = 1;
        if (r == 0 || !may_pass(r) || tries >= DOWNLOAD_TRIES_MAX)
            return r;
        pause_ms((uint64_t)request->wait_ms << (tries - 1));
    }
    return 0;
}

static int open_file(struct download *download)
{
    const struct download_request *request = download->request;
    struct stat status;
    download->fd = open(request->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (download->fd < 0)
        return fail_file(download, -errno);
    if (flock(download->fd, LOCK_EX | LOCK_NB) < 0)
        return fail(download, errno == EWOULDBLOCK ? -EBUSY : -errno,
                    "is being downloaded by another process");
    if (fstat(download->fd, &status) < 0)
        return fail_file(download, -errno);
    download->offset = (uint64_t)status.st_size;
    bool usable = request->resume && (!request->bytes || download->offset <= request->bytes);
    return usable ? 0 : start_anew(download);
}

int download_run(const struct download_request *request, struct error *error)
{
    CLEANUP(curl_free_handle) CURL *curl = curl_easy_init();
    struct download download = {.request = request, .error = error, .curl = curl, .fd = -1};
    if (!curl)
        return fail(&download, -ENOMEM, "out of memory");
    int r = open_file(&download);
    if (r == 0)
        r = download_tries(&download);
    if (r == 0 && fsync(download.fd) < 0)
        r = fail_file(&download, -errno);
    file_close(&download.fd);
    return r;
}
