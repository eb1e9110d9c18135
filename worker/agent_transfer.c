#include "worker/agent_transfer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRANSFER_TIMEOUT_MS = 600000, FILE_MODE = 0600, ROUTE_SIZE = 128 };

bool transfer_is_idle(const struct transfer *transfer)
{
    return transfer->call == NULL;
}

static void close_file(struct transfer *transfer, bool keep)
{
    close(transfer->fd);
    if (transfer->fetching && !keep)
        unlink(transfer->path);
}

static int on_send(void *context, char *buffer, size_t size)
{
    struct transfer *transfer = context;
    ssize_t count = pread(transfer->fd, buffer, size, (off_t)transfer->moved);
    if (count < 0)
        return -errno;
    transfer->moved += (uint64_t)count;
    return (int)count;
}

/* More bytes than were announced end it. */
static int on_data(void *context, const char *bytes, size_t length)
{
    struct transfer *transfer = context;
    if (length > transfer->file.bytes - transfer->moved)
        return -EFBIG;
    sha256_add(&transfer->sha256, bytes, length);
    transfer->moved += length;
    while (length > 0) {
        ssize_t count = write(transfer->fd, bytes, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        bytes += count;
        length -= (size_t)count;
    }
    return 0;
}

static bool is_whole(struct transfer *transfer)
{
    uint8_t digest[SHA256_SIZE];
    sha256_finish(&transfer->sha256, digest);
    return transfer->moved == transfer->file.bytes &&
           memcmp(digest, transfer->file.sha256, sizeof digest) == 0;
}

static void on_done(void *user, int code, const struct http_response *response,
                    const struct error *error)
{
    struct transfer *transfer = user;
    struct error damaged;
    struct answer answer = {transfer->fetching ? "fetching a checkpoint" : "sending a checkpoint",
                            code, response, error};
    bool good = code == 0 && response->status == 200;
    transfer->call = NULL;
    if (transfer->fetching && good && !is_whole(transfer)) {
        answer.code = error_set(&damaged, -EBADMSG, "", "the file came damaged");
        answer.error = &damaged;
        good = false;
    }
    close_file(transfer, good);
    transfer->done(transfer->user, &answer);
    agent_wake(transfer->shared);
}

static int start(struct transfer *transfer)
{
    char route[ROUTE_SIZE], digest[SHA256_TEXT_SIZE];
    sha256_text(transfer->file.sha256, digest);
    snprintf(route, sizeof route, "/worker/v1/artifacts/%s", digest);
    struct http_request request = {.method = transfer->fetching ? "GET" : "PUT",
                                   .path = route,
                                   .timeout_ms = TRANSFER_TIMEOUT_MS,
                                   .response_max = WORKER_API_BODY_MAX,
                                   .context = transfer};
    if (transfer->fetching) {
        request.on_data = on_data;
    } else {
        request.on_send = on_send;
        request.body_length = transfer->file.bytes;
    }
    transfer->moved = 0;
    sha256_init(&transfer->sha256);
    return http_loop_start(transfer->shared->http, &request, on_done, transfer, &transfer->call);
}

static int begin(struct transfer *transfer, const char *path, const struct wire_checkpoint *file,
                 int flags)
{
    assert(transfer_is_idle(transfer));
    transfer->file = *file;
    snprintf(transfer->path, sizeof transfer->path, "%s", path);
    transfer->fd = open(path, flags | O_CLOEXEC, FILE_MODE);
    if (transfer->fd < 0)
        return -errno;
    int code = start(transfer);
    if (code < 0)
        close_file(transfer, false);
    return code;
}

int transfer_send(struct transfer *transfer, const char *path, const struct wire_checkpoint *file)
{
    transfer->fetching = false;
    return begin(transfer, path, file, O_RDONLY);
}

int transfer_fetch(struct transfer *transfer, const char *path, const struct wire_checkpoint *file)
{
    transfer->fetching = true;
    return begin(transfer, path, file, O_WRONLY | O_CREAT | O_TRUNC);
}

void transfer_cancel(struct transfer *transfer)
{
    if (transfer_is_idle(transfer))
        return;
    http_loop_cancel(transfer->call);
    transfer->call = NULL;
    close_file(transfer, false);
}
