/* Downloading one file over HTTP, with libcurl; blocking. http_startup first (http_client.h).
 *
 * What has arrived is in the file at once, so that a download which breaks goes on where it was (Range), in the same call
 * or in a later one. A server that cannot do that sends the whole file again. Redirects are followed, but
 * never from https to http. */
#ifndef PROTO_DOWNLOAD_H
#define PROTO_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "search/error.h"

enum {
    DOWNLOAD_REDIRECTS_MAX = 8,
    DOWNLOAD_STALL_SECONDS = 60, /* without a byte */
    DOWNLOAD_TRIES_MAX = 5,      /* in a row without a byte */
};
#define DOWNLOAD_BYTES_MAX (UINT64_C(1) << 42)

struct download_request {
    const char *url;  /* http or https */
    const char *path; /* the file; locked (flock) meanwhile */
    bool resume;      /* what is in the file already is its beginning; else it is emptied */
    uint64_t bytes;   /* that the file must have; 0: not known */
    uint32_t wait_ms; /* before the second try; doubled for each further one */
    /* About once a second and when something arrives; not 0 ends it with -ECANCELED. A total of 0 is not known. May be
     * NULL. */
    int (*on_progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* 0: the file is there with its whole length. Else a message that names the URL, and
 *   -EINVAL no http or https URL; -ENOENT 404 or 410; -EACCES 401 or 403; -EBADMSG another length than `bytes`, longer than
 *   DOWNLOAD_BYTES_MAX, or any other status;
 * after tries in vain -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT, -ECONNRESET, -EIO: what has arrived is in the file;
 *   -ECANCELED the same; -EBUSY another process downloads the file; -ENOMEM, or what writing the file gave. */
int download_run(const struct download_request *request, struct error *error) MUST_USE;

#endif
