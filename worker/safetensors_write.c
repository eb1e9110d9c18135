/* Writing; worker/safetensors.c has the format's types and reading. */
#include "worker/safetensors_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are written as they are");

enum { FILE_MODE = 0600, HEADER_ALIGNMENT = 8 };

struct safetensors_writer {
    char path[PATH_MAX], temporary[PATH_MAX];
    int fd;
    bool made; /* the temporary file is there */
    bool begun, finished;
    uint64_t bytes_max;
    json_t *header, *texts;
    uint64_t declared_bytes, written_bytes; /* of values */
    uint64_t header_bytes;                  /* with the length before it */
    struct sha256 sha256;
};

static int fail(const struct safetensors_writer *writer, int code, struct error *error)
{
    return error_set(error, code, "", "%.300s: %s", writer->path, strerror(-code));
}

int safetensors_create(const char *path, uint64_t bytes_max, struct safetensors_writer **ret_writer,
                       struct error *error)
{
    struct safetensors_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return error_set(error, -ENOMEM, "", "%.300s: out of memory", path);
    writer->fd = -1;
    writer->bytes_max = bytes_max;
    snprintf(writer->path, sizeof writer->path, "%s", path);
    int length = snprintf(writer->temporary, sizeof writer->temporary, "%s.XXXXXX.tmp", path);
    int r = length < 0 || (size_t)length >= sizeof writer->temporary ? -ENAMETOOLONG : 0;
    writer->header = json_object();
    writer->texts = json_object();
    /* Both first, so that the checksum's place in the file is known. */
    if (r == 0 && (json_object_set(writer->header, "__metadata__", writer->texts) < 0 ||
                   json_object_set_new(writer->texts, SAFETENSORS_CHECKSUM,
                                       json_string(safetensors_no_checksum)) < 0))
        r = -ENOMEM;
    if (r == 0)
        writer->fd = mkostemps(writer->temporary, (int)strlen(".tmp"), O_CLOEXEC);
    writer->made = writer->fd >= 0;
    if (r == 0 && !writer->made)
        r = -errno;
    if (r < 0) {
        fail(writer, r, error);
        safetensors_writer_free(writer);
        return r;
    }
    *ret_writer = writer;
    return 0;
}

void safetensors_writer_free(struct safetensors_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->made && !writer->finished)
        unlink(writer->temporary);
    json_decref(writer->header);
    json_decref(writer->texts);
    free(writer);
}

int safetensors_note(struct safetensors_writer *writer, const char *key, const char *text,
                     struct error *error)
{
    assert(!writer->begun);
    if (json_object_size(writer->texts) > SAFETENSORS_TEXTS_MAX ||
        strlen(text) > SAFETENSORS_TEXT_BYTES_MAX)
        return error_set(error, -EFBIG, "", "%.300s: too much text under \"%.60s\"", writer->path,
                         key);
    if (json_object_get(writer->texts, key))
        return error_set(error, -EINVAL, "", "%.300s: \"%.60s\" is given twice", writer->path, key);
    if (json_object_set_new(writer->texts, key, json_string(text)) < 0)
        return error_set(error, -EINVAL, "", "%.300s: \"%.60s\" is not UTF-8", writer->path, key);
    return 0;
}

static json_t *shape_of(const struct safetensors_tensor *tensor)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < tensor->dimension_count; i++) {
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->dimensions[i])) < 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return shape;
}

int safetensors_declare(struct safetensors_writer *writer, const struct safetensors_tensor *tensor,
                        struct error *error)
{
    assert(!writer->begun);
    const uint64_t bytes = safetensors_bytes(tensor);
    if (tensor->name[0] == '\0' || json_object_get(writer->header, tensor->name))
        return error_set(error, -EINVAL, "", "%.300s: tensor \"%s\" has no name of its own",
                         writer->path, tensor->name);
    if (json_object_size(writer->header) > SAFETENSORS_TENSORS_MAX || bytes > writer->bytes_max ||
        writer->declared_bytes > writer->bytes_max - bytes)
        return error_set(error, -EFBIG, "",
                         "%.300s: would be larger than %llu bytes, or have too many tensors",
                         writer->path, (unsigned long long)writer->bytes_max);
    const json_int_t end = (json_int_t)writer->declared_bytes + (json_int_t)bytes;
    json_t *entry =
        json_pack("{s:s, s:o, s:[I, I]}", "dtype", safetensors_type_name(tensor->type), "shape",
                  shape_of(tensor), "data_offsets", (json_int_t)writer->declared_bytes, end);
    if (!entry)
        return fail(writer, -ENOMEM, error);
    if (json_object_set_new(writer->header, tensor->name, entry) < 0)
        return error_set(error, -EINVAL, "", "%.300s: a tensor's name is not UTF-8", writer->path);
    writer->declared_bytes += bytes;
    return 0;
}

static int write_all(const struct safetensors_writer *writer, const void *bytes, size_t length)
{
    const char *from = bytes;
    while (length > 0) {
        ssize_t count = write(writer->fd, from, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        from += count;
        length -= (size_t)count;
    }
    return 0;
}

/* Length and JSON, padded with blanks so that values are aligned. */
static int write_header(struct safetensors_writer *writer, const char *text)
{
    const size_t length = strlen(text);
    const size_t padding = (HEADER_ALIGNMENT - length % HEADER_ALIGNMENT) % HEADER_ALIGNMENT;
    const uint64_t stored = length + padding;
    const char blanks[HEADER_ALIGNMENT] = "       ";
    assert(strncmp(text, safetensors_header_start, strlen(safetensors_header_start)) == 0);
    writer->header_bytes = sizeof stored + stored;
    if (stored > SAFETENSORS_HEADER_BYTES_MAX ||
        writer->header_bytes > writer->bytes_max - writer->declared_bytes)
        return -EFBIG;
    sha256_add(&writer->sha256, &stored, sizeof stored);
    sha256_add(&writer->sha256, text, length);
    sha256_add(&writer->sha256, blanks, padding);
    int r = write_all(writer, &stored, sizeof stored);
    if (r == 0)
        r = write_all(writer, text, length);
    return r == 0 ? write_all(writer, blanks, padding) : r;
}

static int begin(struct safetensors_writer *writer)
{
    char *text = json_dumps(writer->header, JSON_COMPACT);
    if (!text)
        return -ENOMEM;
    sha256_init(&writer->sha256);
    int r = write_header(writer, text);
    free(text);
    writer->begun = true;
    return r;
}

int safetensors_write(struct safetensors_writer *writer, const void *bytes, size_t length,
                      struct error *error)
{
    int r = writer->begun ? 0 : begin(writer);
    if (r == 0) {
        assert(length <= writer->declared_bytes - writer->written_bytes);
        sha256_add(&writer->sha256, bytes, length);
        r = write_all(writer, bytes, length);
        writer->written_bytes += length;
    }
    return r < 0 ? fail(writer, r, error) : 0;
}

static int write_checksum(struct safetensors_writer *writer)
{
    uint8_t digest[SHA256_SIZE];
    char text[SHA256_TEXT_SIZE];
    sha256_finish(&writer->sha256, digest);
    sha256_text(digest, text);
    const off_t place = (off_t)(sizeof(uint64_t) + strlen(safetensors_header_start));
    ssize_t count = pwrite(writer->fd, text, SHA256_TEXT_SIZE - 1, place);
    if (count < 0)
        return -errno;
    return count == SHA256_TEXT_SIZE - 1 ? 0 : -EIO;
}

static int sync_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash == path ? 1 : slash ? (int)(slash - path) : 1;
    snprintf(directory, sizeof directory, "%.*s", length, slash ? path : ".");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

int safetensors_finish(struct safetensors_writer *writer, struct error *error)
{
    int r = writer->begun ? 0 : begin(writer);
    assert(r < 0 || writer->written_bytes == writer->declared_bytes);
    if (r == 0)
        r = write_checksum(writer);
    if (r == 0 && fchmod(writer->fd, FILE_MODE) < 0)
        r = -errno;
    if (r == 0 && fsync(writer->fd) < 0)
        r = -errno;
    if (r == 0 && rename(writer->temporary, writer->path) < 0)
        r = -errno;
    if (r < 0)
        return fail(writer, r, error);
    writer->finished = true;
    r = sync_directory(writer->path);
    return r < 0 ? fail(writer, r, error) : 0;
}

uint64_t safetensors_written_bytes(const struct safetensors_writer *writer)
{
    assert(writer->finished);
    return writer->header_bytes + writer->written_bytes;
}
