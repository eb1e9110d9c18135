#include "worker/data/digest.h"

#include "worker/data/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/evp.h>

enum { DIGEST_BLOCK = 1 << 16, SHA256_BYTES = 32 };

static void context_free(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static int digest_content(EVP_MD_CTX *context, int fd, const char *path, struct error *error)
{
    uint8_t block[DIGEST_BLOCK];
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_error(error, -errno, path);
        if (got == 0)
            return 0;
        if (!EVP_DigestUpdate(context, block, (size_t)got))
            return file_error(error, -EIO, path);
    }
}

int digest_file(const char *path, char ret_sha256[DIGEST_SIZE], struct error *error)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, path);
    CLEANUP(context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        return file_error(error, -ENOMEM, path);
    int r = digest_content(context, fd, path, error);
    if (r < 0)
        return r;
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_DigestFinal_ex(context, sum, &length) || length != SHA256_BYTES)
        return file_error(error, -EIO, path);
    for (unsigned i = 0; i < SHA256_BYTES; i++)
        snprintf(ret_sha256 + (size_t)2 * i, DIGEST_SIZE - (size_t)2 * i, "%02x", sum[i]);
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
