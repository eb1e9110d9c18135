#include "worker/data/idx.h"

#include "search/architecture.h"
#include "worker/data/file.h"

#include <errno.h>
#include <zlib.h>

enum {
    IDX_MAGIC_LABELS = 0x00000801, /* unsigned bytes, one dimension */
    IDX_MAGIC_IMAGES = 0x00000803, /* unsigned bytes, three dimensions */
    IDX_READ_BUFFER = 128 * 1024,
    IDX_LABEL_BLOCK = 4096
};

static void idx_close(gzFile *file)
{
    if (*file)
        gzclose(*file);
}

static int idx_open(const char *path, gzFile *ret_file, struct error *error)
{
    errno = 0;
    gzFile file = gzopen(path, "rbe");
    if (!file)
        return file_error(error, errno ? -errno : -ENOMEM, path);
    gzbuffer(file, IDX_READ_BUFFER);
    *ret_file = file;
    return 0;
}

/* Reads exactly `length` bytes. */
static int idx_read_exact(gzFile file, const char *path, void *ret_bytes, uint64_t length,
                          struct error *error)
{
    uint8_t *at = ret_bytes;
    while (length > 0) {
        unsigned piece = length < IDX_READ_BUFFER ? (unsigned)length : IDX_READ_BUFFER;
        int got = gzread(file, at, piece);
        if (got <= 0) {
            int code = Z_OK;
            const char *detail = gzerror(file, &code);
            if (code == Z_ERRNO)
                return file_error(error, errno ? -errno : -EIO, path);
            if (code == Z_OK || code == Z_BUF_ERROR || code == Z_STREAM_END)
                return error_set(error, -EBADMSG, "", "%.300s: ends too early", path);
            return error_set(error, -EBADMSG, "", "%.300s: damaged gzip data: %s", path, detail);
        }
        at += got;
        length -= (uint64_t)got;
    }
    return 0;
}

/* The end of the file, with a good gzip checksum. */
static int idx_expect_end(gzFile file, const char *path, struct error *error)
{
    uint8_t extra;
    int got = gzread(file, &extra, 1);
    int code = Z_OK;
    const char *detail = gzerror(file, &code);
    if (got > 0)
        return error_set(error, -EBADMSG, "", "%.300s: has data after its last item", path);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
        return error_set(error, -EBADMSG, "", "%.300s: damaged gzip data: %s", path, detail);
    return 0;
}

static uint32_t big_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

static int idx_read_count(gzFile file, const char *path, uint32_t magic, uint64_t *ret_count,
                          struct error *error)
{
    uint8_t bytes[8];
    int r = idx_read_exact(file, path, bytes, sizeof bytes, error);
    if (r < 0)
        return r;
    if (big_endian(bytes) != magic)
        return error_set(error, -EBADMSG, "", "%.300s: starts with 0x%08x, not IDX's 0x%08x", path,
                         big_endian(bytes), magic);
    uint32_t count = big_endian(bytes + 4);
    if (count == 0 || count > IDX_COUNT_MAX)
        return error_set(error, -EBADMSG, "", "%.300s: has %u items, must be 1 to %d", path, count,
                         IDX_COUNT_MAX);
    *ret_count = count;
    return 0;
}

static int idx_read_header(gzFile file, const char *path, uint32_t magic,
                           struct idx_header *ret_header, struct error *error)
{
    struct idx_header header = {0};
    int r = idx_read_count(file, path, magic, &header.count, error);
    if (r < 0)
        return r;
    if (magic == IDX_MAGIC_IMAGES) {
        uint8_t bytes[8];
        r = idx_read_exact(file, path, bytes, sizeof bytes, error);
        if (r < 0)
            return r;
        uint32_t rows = big_endian(bytes), columns = big_endian(bytes + 4);
        if (rows != columns || rows == 0 || rows > IMAGE_SIZE_MAX)
            return error_set(error, -EBADMSG, "",
                             "%.300s: images are %u x %u, must be square and 1 to %d pixels a side",
                             path, rows, columns, IMAGE_SIZE_MAX);
        header.image_size = rows;
    }
    *ret_header = header;
    return 0;
}

static int idx_header_of(const char *path, uint32_t magic, struct idx_header *ret_header,
                         struct error *error)
{
    CLEANUP(idx_close) gzFile file = NULL;
    int r = idx_open(path, &file, error);
    if (r < 0)
        return r;
    return idx_read_header(file, path, magic, ret_header, error);
}

int idx_images_header(const char *path, struct idx_header *ret_header, struct error *error)
{
    return idx_header_of(path, IDX_MAGIC_IMAGES, ret_header, error);
}

int idx_labels_header(const char *path, struct idx_header *ret_header, struct error *error)
{
    return idx_header_of(path, IDX_MAGIC_LABELS, ret_header, error);
}

/* Opens the file and reads its header, which must be `expected`. */
static int idx_open_expected(const char *path, uint32_t magic, const struct idx_header *expected,
                             gzFile *ret_file, struct error *error)
{
    CLEANUP(idx_close) gzFile file = NULL;
    int r = idx_open(path, &file, error);
    if (r < 0)
        return r;
    struct idx_header header;
    r = idx_read_header(file, path, magic, &header, error);
    if (r < 0)
        return r;
    if (header.count != expected->count || header.image_size != expected->image_size)
        return error_set(error, -EBADMSG, "", "%.300s: changed while it was read", path);
    *ret_file = file;
    file = NULL;
    return 0;
}

int idx_images_read(const char *path, const struct idx_header *expected, uint8_t *ret_pixels,
                    struct error *error)
{
    CLEANUP(idx_close) gzFile file = NULL;
    int r = idx_open_expected(path, IDX_MAGIC_IMAGES, expected, &file, error);
    if (r < 0)
        return r;
    uint64_t image_bytes = (uint64_t)expected->image_size * expected->image_size;
    r = idx_read_exact(file, path, ret_pixels, expected->count * image_bytes, error);
    if (r < 0)
        return r;
    return idx_expect_end(file, path, error);
}

int idx_labels_read(const char *path, const struct idx_header *expected, uint16_t *ret_labels,
                    struct error *error)
{
    CLEANUP(idx_close) gzFile file = NULL;
    int r = idx_open_expected(path, IDX_MAGIC_LABELS, expected, &file, error);
    if (r < 0)
        return r;
    uint8_t block[IDX_LABEL_BLOCK];
    for (uint64_t done = 0; done < expected->count;) {
        uint64_t left = expected->count - done;
        uint64_t piece = left < IDX_LABEL_BLOCK ? left : IDX_LABEL_BLOCK;
        r = idx_read_exact(file, path, block, piece, error);
        if (r < 0)
            return r;
        for (uint64_t i = 0; i < piece; i++)
            ret_labels[done + i] = block[i];
        done += piece;
    }
    return idx_expect_end(file, path, error);
}
