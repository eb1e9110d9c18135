/* Files of named tensors in the safetensors format (github.com/huggingface/safetensors): 8 bytes of header length, a JSON
 * header with type, shape and place of each tensor and with texts under __metadata__, then the tensors' values. Any program
 * that reads the format reads these files.
 *
 * Writing is atomic: the values go to a temporary file beside the path, which is synced and renamed, and the directory is
 * synced. Legal order: safetensors_create; safetensors_note and safetensors_declare; safetensors_write for the values of
 * all tensors in the order of declaration, in pieces of any size; safetensors_finish; safetensors_writer_free. A writer that
 * is freed without having finished leaves nothing behind.
 *
 * Reading: safetensors_open checks everything before it returns: header length, JSON, types and shapes, that the tensors
 * fill the file without overlap and without holes, and, where the file was written here, a SHA-256 of header and values.
 *
 * Errors name the file: -ENOENT and other errnos of the file system, -EBADMSG where it is damaged or not of this format,
 * -EFBIG beyond the caller's or this format's limits, -ENOMEM. One thread; little-endian machines only. */
#ifndef WORKER_SAFETENSORS_H
#define WORKER_SAFETENSORS_H

#include "search/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAFETENSORS_NAME_SIZE = 128,
    SAFETENSORS_DIMENSIONS_MAX = 8,
    SAFETENSORS_TENSORS_MAX = 65536,
    SAFETENSORS_TEXTS_MAX = 256,
    SAFETENSORS_TEXT_BYTES_MAX = 1 << 20, /* of one text */
    SAFETENSORS_HEADER_BYTES_MAX = 16 << 20,
};

/* The text under which the checksum is kept, first in the header: SHA-256 of the whole file with 64 zeros in its place. */
#define SAFETENSORS_CHECKSUM "archscout.sha256"

enum safetensors_type {
    SAFETENSORS_F32,
    SAFETENSORS_F64,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I64,
    SAFETENSORS_I32,
    SAFETENSORS_I16,
    SAFETENSORS_I8,
    SAFETENSORS_U64,
    SAFETENSORS_U32,
    SAFETENSORS_U16,
    SAFETENSORS_U8,
    SAFETENSORS_BOOL,
};

struct safetensors_tensor {
    char name[SAFETENSORS_NAME_SIZE]; /* UTF-8, not empty */
    enum safetensors_type type;
    uint32_t dimension_count; /* 0 = a single value */
    uint64_t dimensions[SAFETENSORS_DIMENSIONS_MAX];
};

const char *safetensors_type_name(enum safetensors_type type); /* "F32" */
size_t safetensors_type_bytes(enum safetensors_type type);     /* of one value */
uint64_t safetensors_bytes(
    const struct safetensors_tensor *tensor); /* of all; UINT64_MAX where that overflows */

/* ---- writing ---- */

struct safetensors_writer;

/* `bytes_max` limits the whole file. */
int safetensors_create(const char *path, uint64_t bytes_max, struct safetensors_writer **ret_writer,
                       struct error *error) MUST_USE;
/* A text for __metadata__. -EINVAL for a key that comes twice, is SAFETENSORS_CHECKSUM or is not UTF-8. */
int safetensors_note(struct safetensors_writer *writer, const char *key, const char *text,
                     struct error *error) MUST_USE;
/* -EINVAL for a name that is empty, comes twice or is not UTF-8, or for an impossible shape. */
int safetensors_declare(struct safetensors_writer *writer, const struct safetensors_tensor *tensor,
                        struct error *error) MUST_USE;
/* Bytes beyond what was declared are a programmer's error. */
int safetensors_write(struct safetensors_writer *writer, const void *bytes, size_t length,
                      struct error *error) MUST_USE;
/* All values were written. On success the file is at its path for good. */
int safetensors_finish(struct safetensors_writer *writer, struct error *error) MUST_USE;
/* What safetensors_finish has made. */
uint64_t safetensors_written_bytes(const struct safetensors_writer *writer);
void safetensors_writer_free(struct safetensors_writer *writer); /* NULL is legal */

/* ---- reading ---- */

struct safetensors;

int safetensors_open(const char *path, uint64_t bytes_max, struct safetensors **ret_file,
                     struct error *error) MUST_USE;
void safetensors_free(struct safetensors *file); /* NULL is legal */
/* True where the file has the checksum of this program and matches it. */
bool safetensors_is_verified(const struct safetensors *file);

size_t safetensors_count(const struct safetensors *file);
/* In the order of their places in the file. */
const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index);
/* The index, or -ENOENT. */
int safetensors_find(const struct safetensors *file, const char *name) MUST_USE;
/* A text of __metadata__; NULL where it has none under this key. */
const char *safetensors_text(const struct safetensors *file, const char *key);
/* All values of a tensor, safetensors_bytes of it. */
int safetensors_read(struct safetensors *file, size_t index, void *ret_values,
                     struct error *error) MUST_USE;

#endif
