/* Files of workers: uploads that go straight to disk, and downloads that come straight from there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/api_internal.h"
#include "proto/worker_api.h"

/* ---- uploads ---- */

static void refuse_upload(const struct api *api, int code, struct http_reply *ret_reply)
{
    char detail[160];
    switch (code) {
    case -EFBIG:
        snprintf(detail, sizeof detail, "A file has at most %llu bytes.",
                 (unsigned long long)artifacts_file_bytes_max(api->options.artifacts));
        problem_reply(ret_reply, PROBLEM_TOO_LARGE, detail);
        break;
    case -EDQUOT:
        problem_reply(ret_reply, PROBLEM_INSUFFICIENT_STORAGE,
                      "The files of workers take all the room that they are given.");
        break;
    case -ENOSPC:
        problem_reply(ret_reply, PROBLEM_INSUFFICIENT_STORAGE, "The disk is full.");
        break;
    case -EBADMSG:
        problem_reply(ret_reply, PROBLEM_CONTENT_MISMATCH,
                      "The body's SHA-256 is not the one that the path names.");
        break;
    default:
        problem_reply(ret_reply, PROBLEM_UNAVAILABLE,
                      "The file could not be stored; nothing of it was kept.");
    }
}

static int on_write(void *context, const char *bytes, size_t length)
{
    return artifact_upload_write(context, bytes, length);
}

static void on_close(void *context)
{
    artifact_upload_free(context);
}

bool api_open_sink(struct api *api, const struct http_request *request, struct http_sink *ret_sink,
                   struct http_reply *ret_reply)
{
    uint8_t sha256[SHA256_SIZE];
    struct artifact_upload *upload = NULL;
    if (!sha256_from_text(request->path + strlen(API_LARGE_PATH), sha256)) {
        problem_reply(ret_reply, PROBLEM_NOT_FOUND,
                      "A file is named by its SHA-256, 64 lower-case hexadecimal digits.");
        return false;
    }
    int r = coordinator_ready(api->options.coordinator);
    if (r == 0)
        r = artifact_upload_new(api->options.artifacts, sha256, http_request_length(request),
                                &upload);
    if (r < 0) {
        refuse_upload(api, r, ret_reply);
        return false;
    }
    *ret_sink = (struct http_sink){.write = on_write, .close = on_close, .context = upload};
    return true;
}

int api_artifact_put(struct api_call *call)
{
    struct artifact_upload *upload = call->request->sink;
    if (!upload)
        return api_problem(call, PROBLEM_NOT_FOUND, "There is no such path.");
    int r = call->request->sink_failure;
    if (r == 0)
        r = artifact_upload_finish(upload, call->api->options.now_ms(call->api->options.context));
    if (r < 0)
        refuse_upload(call->api, r, &call->reply);
    else
        call->reply = (struct http_reply){.status = 204};
    return API_REPLIED;
}

/* ---- downloads ---- */

struct download {
    int fd;
    uint64_t left;
};

static ssize_t on_read(void *context, char *buffer, size_t size)
{
    struct download *download = context;
    size_t wanted = download->left < size ? (size_t)download->left : size;
    ssize_t count = wanted > 0 ? read(download->fd, buffer, wanted) : 0;
    if (count <= 0)
        return HTTP_STREAM_END; /* where it ends too early, the reader's digest tells */
    download->left -= (uint64_t)count;
    return count;
}

static void on_read_close(void *context)
{
    struct download *download = context;
    close(download->fd);
    free(download);
}

int api_artifact_get(struct api_call *call)
{
    uint8_t sha256[SHA256_SIZE];
    struct download *download = calloc(1, sizeof *download);
    if (!download)
        return -ENOMEM;
    int r = -ENOENT;
    if (sha256_from_text(call->parameters.text[0], sha256))
        r = artifacts_read(call->api->options.artifacts, sha256, &download->fd, &download->left);
    if (r < 0) {
        free(download);
        return r == -ENOENT ? error_set(&call->error, r, "", "There is no such file.") : -EIO;
    }
    const struct http_stream stream = {.content_type = "application/octet-stream",
                                       .heartbeat = "",
                                       .read = on_read,
                                       .close = on_read_close,
                                       .context = download};
    http_exchange_stream(call->exchange, &stream);
    return API_TAKEN;
}

/* ---- removing ---- */

static bool is_wanted(void *context, const uint8_t sha256[SHA256_SIZE])
{
    return coordinator_wants_artifact(context, sha256);
}

uint64_t api_sweep_artifacts(struct api *api, uint64_t now_ms)
{
    return artifacts_sweep(api->options.artifacts, now_ms, is_wanted, api->options.coordinator);
}
