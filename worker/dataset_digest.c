#include "worker/dataset_digest.h"

#include "proto/sha256.h"
#include "worker/data/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <strings.h>
#include <sys/stat.h>

enum { DIGEST_BLOCK = 1 << 16 };
static_assert((int)DIGEST_SIZE == (int)SHA256_TEXT_SIZE, "a digest's text");

int digest_file(const char *path, char ret_sha256[DIGEST_SIZE], struct error *error)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, path);
    struct sha256 sha256;
    uint8_t block[DIGEST_BLOCK], digest[SHA256_SIZE];
    sha256_init(&sha256);
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_error(error, -errno, path);
        if (got == 0)
            break;
        sha256_add(&sha256, block, (size_t)got);
    }
    sha256_finish(&sha256, digest);
    sha256_text(digest, ret_sha256);
    return 0;
}

int digest_check(const char *path, uint64_t bytes, const char *sha256, struct error *error)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return file_error(error, -errno, path);
    if (bytes && (uint64_t)status.st_size != bytes)
        return error_set(error, -EBADMSG, "", "%.300s: has %" PRIu64 " bytes, expected %" PRIu64,
                         path, (uint64_t)status.st_size, bytes);
    char found[DIGEST_SIZE];
    int r = sha256 ? digest_file(path, found, error) : 0;
    if (r < 0)
        return r;
    if (sha256 && strcasecmp(found, sha256) != 0)
        return error_set(error, -EBADMSG, "", "%.200s: has SHA-256 %s, expected %.64s", path, found,
                         sha256);
    return 0;
}
