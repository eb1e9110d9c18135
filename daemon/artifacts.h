/* Files that workers hand over, named by their content (SHA-256), in one directory: checkpoints.
 *
 * Layer: may be used by api, loop, main and tests. Knows nothing of searches: who needs a file is asked of a callback.
 * Single-threaded.
 *
 * A file is there whole or not at all: an upload goes to a temporary file, its digest is compared, it is synced and renamed,
 * and the directory is synced, before artifact_upload_finish returns 0. A file that nobody has asked to keep is loose and
 * stays for ARTIFACTS_LOOSE_MS, in which whoever has uploaded it can say what it is for.
 *
 * Legal order: artifacts_open; artifacts_sweep once after it and whenever files may have become superfluous; uploads and
 * reads; artifacts_close once all uploads are freed. */
#ifndef DAEMON_ARTIFACTS_H
#define DAEMON_ARTIFACTS_H

#include "proto/sha256.h"
#include "search/error.h"

enum {
    ARTIFACTS_LOOSE_MS = 600000,
    ARTIFACTS_COUNT_MAX = 100000,
    ARTIFACTS_UPLOADS_MAX = 256, /* at the same time */
};

struct artifacts;

struct artifacts_options {
    const char *state_directory; /* the files are in its sub-directory "artifacts" */
    uint64_t file_bytes_max;
    uint64_t total_bytes_max;
    uint64_t free_bytes_min; /* of the file system, left to others */
};

/* Makes the directory where needed, removes half-made files. Negative errno with a message. */
int artifacts_open(const struct artifacts_options *options, struct artifacts **ret_artifacts,
                   struct error *error) MUST_USE;
void artifacts_close(struct artifacts *artifacts); /* NULL is legal */

bool artifacts_has(const struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE],
                   uint64_t bytes);
/* Whoever has uploaded the file has said what it is for: from now on it stays as long as it is wanted. */
void artifacts_claim(struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE]);
struct artifacts_sizes {
    uint64_t count, bytes;
};
struct artifacts_sizes artifacts_sizes(const struct artifacts *artifacts);
uint64_t artifacts_file_bytes_max(const struct artifacts *artifacts);

/* Removes the files that `is_wanted` denies, except those that are loose since less than ARTIFACTS_LOOSE_MS. Returns how
 * many. */
uint64_t artifacts_sweep(struct artifacts *artifacts, uint64_t now_ms,
                         bool (*is_wanted)(void *context, const uint8_t sha256[SHA256_SIZE]),
                         void *context);
/* When the next loose file may go; UINT64_MAX = there is none. */
uint64_t artifacts_due_ms(const struct artifacts *artifacts);

/* A descriptor to read from, which stays good when the file is removed, and the size. -ENOENT and other errnos. */
int artifacts_read(const struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE],
                   int *ret_fd, uint64_t *ret_bytes) MUST_USE;

/* ---- uploads ---- */

struct artifact_upload;

/* `bytes` will follow. -EFBIG above the limit of a file; -EDQUOT above the limit of all; -ENOSPC on a disk that is too
 * full; -EBUSY for too many at a time; others. */
int artifact_upload_new(struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE],
                        uint64_t bytes, struct artifact_upload **ret_upload) MUST_USE;
/* -EFBIG for more than was announced, -ENOSPC, -EIO. After a failure it stays failed. */
int artifact_upload_write(struct artifact_upload *upload, const char *bytes,
                          size_t length) MUST_USE;
/* 0: durable; a file of this name that was there is replaced, as it may be damaged. -EBADMSG where content or length are not what was announced. */
int artifact_upload_finish(struct artifact_upload *upload, uint64_t now_ms) MUST_USE;
/* -EDQUOT or -ENOSPC once after an upload was refused with it, until one was stored; else 0. For the log. */
int artifacts_take_refusal(struct artifacts *artifacts);
/* Removes what is not finished. NULL is legal. */
void artifact_upload_free(struct artifact_upload *upload);

#endif
