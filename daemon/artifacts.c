#include "daemon/artifacts.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0700, FILE_MODE = 0600, NAME_SIZE = 96 };

static const char directory_name[] = "artifacts";
static const char temporary_prefix[] = "upload-";

struct artifact {
    uint8_t sha256[SHA256_SIZE];
    uint64_t bytes;
    uint64_t loose_since_ms; /* UINT64_MAX: somebody wanted it when that was last asked */
};

struct artifacts {
    struct artifacts_options options;
    int fd; /* of the directory */
    struct artifact *items;
    size_t count, capacity;
    uint64_t bytes;
    uint64_t reserved_bytes; /* announced by uploads under way */
    uint64_t uploads, uploads_made;
    int refusal; /* to be told */
    bool refusal_told;
};

struct artifact_upload {
    struct artifacts *artifacts;
    int fd;
    int failure;
    char name[NAME_SIZE];
    uint8_t wanted[SHA256_SIZE];
    uint64_t bytes, received;
    struct sha256 sha256;
};

/* ---- the table ---- */

static struct artifact *find(const struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE])
{
    for (size_t i = 0; i < artifacts->count; i++)
        if (memcmp(artifacts->items[i].sha256, sha256, SHA256_SIZE) == 0)
            return &artifacts->items[i];
    return NULL;
}

/* Room for one more. */
static int reserve(struct artifacts *artifacts)
{
    if (artifacts->count < artifacts->capacity)
        return 0;
    if (artifacts->count == ARTIFACTS_COUNT_MAX)
        return -EDQUOT;
    size_t capacity = artifacts->capacity ? 2 * artifacts->capacity : 64;
    struct artifact *items = realloc(artifacts->items, capacity * sizeof items[0]);
    if (!items)
        return -ENOMEM;
    artifacts->items = items;
    artifacts->capacity = capacity;
    return 0;
}

static void add(struct artifacts *artifacts, const struct artifact *artifact)
{
    assert(artifacts->count < artifacts->capacity);
    artifacts->items[artifacts->count++] = *artifact;
    artifacts->bytes += artifact->bytes;
}

static void name_of(const uint8_t sha256[SHA256_SIZE], char ret_name[SHA256_TEXT_SIZE])
{
    sha256_text(sha256, ret_name);
}

/* ---- opening ---- */

static int take_entry(struct artifacts *artifacts, const char *name)
{
    struct artifact artifact = {.loose_since_ms = UINT64_MAX};
    struct stat status;
    if (strncmp(name, temporary_prefix, strlen(temporary_prefix)) == 0) {
        unlinkat(artifacts->fd, name, 0);
        return 0;
    }
    if (!sha256_from_text(name, artifact.sha256) ||
        fstatat(artifacts->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return 0; /* not ours */
    artifact.bytes = (uint64_t)status.st_size;
    int r = reserve(artifacts);
    if (r == 0)
        add(artifacts, &artifact);
    return r;
}

static int list(struct artifacts *artifacts)
{
    int fd = openat(artifacts->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int code = -errno;
        if (fd >= 0)
            close(fd);
        return code;
    }
    int r = 0;
    for (struct dirent *entry = readdir(directory); entry && r == 0; entry = readdir(directory))
        r = take_entry(artifacts, entry->d_name);
    closedir(directory);
    return r;
}

static int open_directory(struct artifacts *artifacts)
{
    int state_fd = open(artifacts->options.state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state_fd < 0)
        return -errno;
    int r = mkdirat(state_fd, directory_name, DIRECTORY_MODE) < 0 && errno != EEXIST ? -errno : 0;
    if (r == 0)
        artifacts->fd = openat(state_fd, directory_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && artifacts->fd < 0)
        r = -errno;
    if (r == 0 && fsync(state_fd) < 0)
        r = -errno;
    close(state_fd);
    return r;
}

int artifacts_open(const struct artifacts_options *options, struct artifacts **ret_artifacts,
                   struct error *error)
{
    struct artifacts *artifacts = calloc(1, sizeof *artifacts);
    if (!artifacts)
        return error_set(error, -ENOMEM, "", "out of memory");
    artifacts->options = *options;
    artifacts->fd = -1;
    int r = open_directory(artifacts);
    if (r == 0)
        r = list(artifacts);
    if (r < 0) {
        error_set(error, r, "", "cannot use %.300s/%s: %s", options->state_directory,
                  directory_name, strerror(-r));
        artifacts_close(artifacts);
        return r;
    }
    *ret_artifacts = artifacts;
    return 0;
}

void artifacts_close(struct artifacts *artifacts)
{
    if (!artifacts)
        return;
    assert(artifacts->uploads == 0);
    if (artifacts->fd >= 0)
        close(artifacts->fd);
    free(artifacts->items);
    free(artifacts);
}

/* ---- looking ---- */

bool artifacts_has(const struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE],
                   uint64_t bytes)
{
    const struct artifact *artifact = find(artifacts, sha256);
    return artifact && artifact->bytes == bytes;
}

void artifacts_claim(struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE])
{
    struct artifact *artifact = find(artifacts, sha256);
    if (artifact)
        artifact->loose_since_ms = UINT64_MAX;
}

struct artifacts_sizes artifacts_sizes(const struct artifacts *artifacts)
{
    return (struct artifacts_sizes){.count = artifacts->count, .bytes = artifacts->bytes};
}

uint64_t artifacts_file_bytes_max(const struct artifacts *artifacts)
{
    return artifacts->options.file_bytes_max;
}

int artifacts_read(const struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE],
                   int *ret_fd, uint64_t *ret_bytes)
{
    char name[SHA256_TEXT_SIZE];
    const struct artifact *artifact = find(artifacts, sha256);
    if (!artifact)
        return -ENOENT;
    name_of(sha256, name);
    int fd = openat(artifacts->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    *ret_bytes = artifact->bytes;
    return 0;
}

/* ---- removing ---- */

static bool is_superfluous(struct artifact *artifact, uint64_t now_ms, bool wanted)
{
    if (wanted) {
        artifact->loose_since_ms = UINT64_MAX;
        return false;
    }
    return artifact->loose_since_ms == UINT64_MAX ||
           now_ms - artifact->loose_since_ms >= ARTIFACTS_LOOSE_MS;
}

uint64_t artifacts_sweep(struct artifacts *artifacts, uint64_t now_ms,
                         bool (*is_wanted)(void *context, const uint8_t sha256[SHA256_SIZE]),
                         void *context)
{
    size_t kept = 0;
    uint64_t removed = 0;
    for (size_t i = 0; i < artifacts->count; i++) {
        struct artifact *artifact = &artifacts->items[i];
        char name[SHA256_TEXT_SIZE];
        name_of(artifact->sha256, name);
        if (is_superfluous(artifact, now_ms, is_wanted(context, artifact->sha256)) &&
            (unlinkat(artifacts->fd, name, 0) == 0 || errno == ENOENT)) {
            artifacts->bytes -= artifact->bytes;
            removed++;
        } else {
            if (artifact->loose_since_ms != UINT64_MAX &&
                now_ms - artifact->loose_since_ms >= ARTIFACTS_LOOSE_MS)
                artifact->loose_since_ms = now_ms; /* it could not be removed: again later */
            artifacts->items[kept++] = *artifact;
        }
    }
    artifacts->count = kept;
    return removed;
}

uint64_t artifacts_due_ms(const struct artifacts *artifacts)
{
    uint64_t due_ms = UINT64_MAX;
    for (size_t i = 0; i < artifacts->count; i++) {
        uint64_t since_ms = artifacts->items[i].loose_since_ms;
        if (since_ms != UINT64_MAX && since_ms + ARTIFACTS_LOOSE_MS < due_ms)
            due_ms = since_ms + ARTIFACTS_LOOSE_MS;
    }
    return due_ms;
}

/* ---- uploads ---- */

/* The disk must keep room for the database: a checkpoint can be written again, a result cannot. */
static int check_space(const struct artifacts *artifacts, uint64_t bytes)
{
    const struct artifacts_options *options = &artifacts->options;
    struct statvfs file_system;
    if (bytes > options->file_bytes_max)
        return -EFBIG;
    if (artifacts->uploads == ARTIFACTS_UPLOADS_MAX)
        return -EBUSY;
    if (artifacts->bytes + artifacts->reserved_bytes + bytes > options->total_bytes_max)
        return -EDQUOT;
    if (fstatvfs(artifacts->fd, &file_system) < 0)
        return -errno;
    const uint64_t needed = bytes + artifacts->reserved_bytes + options->free_bytes_min;
    return file_system.f_blocks && file_system.f_bavail * file_system.f_frsize < needed ? -ENOSPC
                                                                                        : 0;
}

static void note_refusal(struct artifacts *artifacts, int code)
{
    if ((code == -EDQUOT || code == -ENOSPC) && !artifacts->refusal_told)
        artifacts->refusal = code;
}

int artifacts_take_refusal(struct artifacts *artifacts)
{
    int refusal = artifacts->refusal;
    artifacts->refusal = 0;
    artifacts->refusal_told |= refusal < 0;
    return refusal;
}

static int open_temporary(struct artifact_upload *upload)
{
    struct artifacts *artifacts = upload->artifacts;
    snprintf(upload->name, sizeof upload->name, "%s%llu", temporary_prefix,
             (unsigned long long)++artifacts->uploads_made);
    upload->fd =
        openat(artifacts->fd, upload->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    return upload->fd < 0 ? -errno : 0;
}

int artifact_upload_new(struct artifacts *artifacts, const uint8_t sha256[SHA256_SIZE],
                        uint64_t bytes, struct artifact_upload **ret_upload)
{
    const bool present = artifacts_has(artifacts, sha256, bytes);
    int r = present ? 0 : check_space(artifacts, bytes);
    note_refusal(artifacts, r);
    if (r < 0)
        return r;
    struct artifact_upload *upload = calloc(1, sizeof *upload);
    if (!upload)
        return -ENOMEM;
    upload->artifacts = artifacts;
    r = open_temporary(upload);
    if (r < 0) {
        free(upload);
        return r;
    }
    memcpy(upload->wanted, sha256, SHA256_SIZE);
    sha256_init(&upload->sha256);
    upload->bytes = bytes;
    artifacts->reserved_bytes += bytes;
    artifacts->uploads++;
    *ret_upload = upload;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, bytes, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno == ENOSPC || errno == EDQUOT ? -ENOSPC : -EIO;
        bytes += count;
        length -= (size_t)count;
    }
    return 0;
}

int artifact_upload_write(struct artifact_upload *upload, const char *bytes, size_t length)
{
    if (upload->failure)
        return upload->failure;
    if (length > upload->bytes - upload->received)
        upload->failure = -EFBIG;
    else
        upload->failure = write_all(upload->fd, bytes, length);
    note_refusal(upload->artifacts, upload->failure);
    if (upload->failure)
        return upload->failure;
    sha256_add(&upload->sha256, bytes, length);
    upload->received += length;
    return 0;
}

static int make_durable(struct artifact_upload *upload)
{
    struct artifacts *artifacts = upload->artifacts;
    char name[SHA256_TEXT_SIZE];
    name_of(upload->wanted, name);
    if (fsync(upload->fd) < 0)
        return errno == ENOSPC || errno == EDQUOT ? -ENOSPC : -EIO;
    if (renameat(artifacts->fd, upload->name, artifacts->fd, name) < 0)
        return errno == ENOSPC ? -ENOSPC : -EIO;
    upload->name[0] = '\0';
    return fsync(artifacts->fd) < 0 ? -EIO : 0;
}

static int keep(struct artifact_upload *upload, uint64_t now_ms)
{
    struct artifacts *artifacts = upload->artifacts;
    int r = reserve(artifacts);
    if (r == 0)
        r = make_durable(upload);
    if (r < 0)
        return r;
    struct artifact *present = find(artifacts, upload->wanted);
    if (!present) {
        struct artifact artifact = {.bytes = upload->bytes, .loose_since_ms = now_ms};
        memcpy(artifact.sha256, upload->wanted, SHA256_SIZE);
        add(artifacts, &artifact);
    } else if (present->loose_since_ms != UINT64_MAX) {
        present->loose_since_ms = now_ms;
    }
    artifacts->refusal_told = false;
    return 0;
}

int artifact_upload_finish(struct artifact_upload *upload, uint64_t now_ms)
{
    uint8_t digest[SHA256_SIZE];
    if (upload->failure)
        return upload->failure;
    sha256_finish(&upload->sha256, digest);
    if (upload->received != upload->bytes || memcmp(digest, upload->wanted, sizeof digest) != 0)
        upload->failure = -EBADMSG;
    else
        upload->failure = keep(upload, now_ms);
    return upload->failure;
}

void artifact_upload_free(struct artifact_upload *upload)
{
    if (!upload)
        return;
    close(upload->fd);
    if (upload->name[0])
        unlinkat(upload->artifacts->fd, upload->name, 0);
    upload->artifacts->reserved_bytes -= upload->bytes;
    upload->artifacts->uploads--;
    free(upload);
}
