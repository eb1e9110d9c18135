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

const char safetensors_header_start[] = "{\"__metadata__\":{\"" SAFETENSORS_CHECKSUM "\":\"";
const char safetensors_no_checksum[SHA256_TEXT_SIZE] =
    "0000000000000000000000000000000000000000000000000000000000000000";

enum { CHECK_PIECE_BYTES = 1 << 20 };

/* ---- types ---- */

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [SAFETENSORS_F32] = {"F32", 4},   [SAFETENSORS_F64] = {"F64", 8},
    [SAFETENSORS_F16] = {"F16", 2},   [SAFETENSORS_BF16] = {"BF16", 2},
    [SAFETENSORS_I64] = {"I64", 8},   [SAFETENSORS_I32] = {"I32", 4},
    [SAFETENSORS_I16] = {"I16", 2},   [SAFETENSORS_I8] = {"I8", 1},
    [SAFETENSORS_U64] = {"U64", 8},   [SAFETENSORS_U32] = {"U32", 4},
    [SAFETENSORS_U16] = {"U16", 2},   [SAFETENSORS_U8] = {"U8", 1},
    [SAFETENSORS_BOOL] = {"BOOL", 1},
};

const char *safetensors_type_name(enum safetensors_type type)
{
    assert((size_t)type < ARRAY_LENGTH(types));
    return types[type].name;
}

size_t safetensors_type_bytes(enum safetensors_type type)
{
    assert((size_t)type < ARRAY_LENGTH(types));
    return types[type].bytes;
}

uint64_t safetensors_bytes(const struct safetensors_tensor *tensor)
{
    uint64_t bytes = safetensors_type_bytes(tensor->type);
    assert(tensor->dimension_count <= SAFETENSORS_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < tensor->dimension_count; i++)
        if (__builtin_mul_overflow(bytes, tensor->dimensions[i], &bytes))
            return UINT64_MAX;
    return bytes;
}

/* ---- the file ---- */

struct entry {
    struct safetensors_tensor tensor;
    uint64_t begin, end; /* counted from the first value */
};

struct safetensors {
    char path[PATH_MAX];
    int fd;
    uint64_t file_bytes, values_at;
    char *text; /* of the header, not terminated */
    size_t text_length;
    json_t *header;
    struct entry *entries;
    size_t count;
    bool verified;
};

static int damaged(const struct safetensors *file, struct error *error, const char *what)
{
    return error_set(error, -EBADMSG, "", "%.300s: not a safetensors file or damaged: %s",
                     file->path, what);
}

static int fail(const struct safetensors *file, int code, struct error *error)
{
    return error_set(error, code, "", "%.300s: %s", file->path, strerror(-code));
}

static int read_at(const struct safetensors *file, void *ret_bytes, size_t length, uint64_t place,
                   struct error *error)
{
    char *to = ret_bytes;
    while (length > 0) {
        ssize_t count = pread(file->fd, to, length, (off_t)place);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(file, -errno, error);
        if (count == 0)
            return damaged(file, error, "it ends too early");
        to += count;
        length -= (size_t)count;
        place += (uint64_t)count;
    }
    return 0;
}

void safetensors_free(struct safetensors *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    json_decref(file->header);
    free(file->entries);
    free(file->text);
    free(file);
}

static int open_file(struct safetensors *file, uint64_t bytes_max, struct error *error)
{
    struct stat status;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &status) < 0)
        return fail(file, -errno, error);
    if (!S_ISREG(status.st_mode))
        return damaged(file, error, "not a regular file");
    file->file_bytes = (uint64_t)status.st_size;
    if (file->file_bytes > bytes_max)
        return error_set(error, -EFBIG, "", "%.300s: has %llu bytes, more than %llu", file->path,
                         (unsigned long long)file->file_bytes, (unsigned long long)bytes_max);
    return 0;
}

/* ---- the header ---- */

static int read_header(struct safetensors *file, struct error *error)
{
    uint64_t length;
    if (file->file_bytes < sizeof length)
        return damaged(file, error, "it is too short for a header");
    int r = read_at(file, &length, sizeof length, 0, error);
    if (r < 0)
        return r;
    if (length > SAFETENSORS_HEADER_BYTES_MAX || length > file->file_bytes - sizeof length)
        return damaged(file, error, "the header's length is wrong");
    file->values_at = sizeof length + length;
    file->text_length = (size_t)length;
    file->text = malloc(file->text_length + 1);
    if (!file->text)
        return fail(file, -ENOMEM, error);
    r = read_at(file, file->text, file->text_length, sizeof length, error);
    if (r < 0)
        return r;
    if (file->text_length == 0 || file->text[0] != '{')
        return damaged(file, error, "the header is no JSON object");
    json_error_t problem;
    file->header = json_loadb(file->text, file->text_length, JSON_REJECT_DUPLICATES, &problem);
    if (!file->header)
        return damaged(file, error, problem.text);
    return 0;
}

static int check_texts(const struct safetensors *file, struct error *error)
{
    const char *key;
    json_t *value;
    json_t *texts = json_object_get(file->header, "__metadata__");
    if (!texts)
        return 0;
    if (!json_is_object(texts) || json_object_size(texts) > SAFETENSORS_TEXTS_MAX)
        return damaged(file, error, "__metadata__ is not an object, or too large");
    json_object_foreach(texts, key, value)
    {
        if (!json_is_string(value) || json_string_length(value) > SAFETENSORS_TEXT_BYTES_MAX)
            return damaged(file, error, "__metadata__ holds what is no text, or too long");
    }
    return 0;
}

static bool read_type(const json_t *entry, enum safetensors_type *ret_type)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    for (size_t i = 0; name && i < ARRAY_LENGTH(types); i++) {
        if (strcmp(types[i].name, name) != 0)
            continue;
        *ret_type = (enum safetensors_type)i;
        return true;
    }
    return false;
}

static bool read_number(const json_t *value, uint64_t *ret_number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_shape(const json_t *entry, struct safetensors_tensor *tensor)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMENSIONS_MAX)
        return false;
    tensor->dimension_count = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < tensor->dimension_count; i++)
        if (!read_number(json_array_get(shape, i), &tensor->dimensions[i]))
            return false;
    return true;
}

/* NULL, or what is wrong. */
static const char *read_entry(const char *name, const json_t *json, struct entry *entry)
{
    const json_t *offsets = json_object_get(json, "data_offsets");
    if (strlen(name) == 0 || strlen(name) >= SAFETENSORS_NAME_SIZE)
        return "a tensor's name is too long or empty";
    snprintf(entry->tensor.name, sizeof entry->tensor.name, "%s", name);
    if (json_object_size(json) != 3 || !read_type(json, &entry->tensor.type))
        return "a tensor's type is not known";
    if (!read_shape(json, &entry->tensor))
        return "a tensor's shape is wrong";
    if (json_array_size(offsets) != 2 || !read_number(json_array_get(offsets, 0), &entry->begin) ||
        !read_number(json_array_get(offsets, 1), &entry->end) || entry->begin > entry->end)
        return "a tensor's place is wrong";
    if (entry->end - entry->begin != safetensors_bytes(&entry->tensor))
        return "a tensor's place does not fit its shape";
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const struct entry *first = a, *second = b;
    if (first->begin != second->begin)
        return first->begin < second->begin ? -1 : 1;
    return first->end < second->end ? -1 : first->end > second->end;
}

/* Every byte behind the header belongs to one tensor. */
static int check_places(const struct safetensors *file, struct error *error)
{
    uint64_t end = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->entries[i].begin != end)
            return damaged(file, error, "tensors overlap or leave holes");
        end = file->entries[i].end;
    }
    if (end != file->file_bytes - file->values_at)
        return damaged(file, error, "the tensors do not fill the file");
    return 0;
}

static int read_entries(struct safetensors *file, struct error *error)
{
    const char *name;
    json_t *value;
    const size_t size = json_object_size(file->header);
    if (size > SAFETENSORS_TENSORS_MAX + 1)
        return damaged(file, error, "too many tensors");
    file->entries = calloc(size ? size : 1, sizeof file->entries[0]);
    if (!file->entries)
        return fail(file, -ENOMEM, error);
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        const char *problem = read_entry(name, value, &file->entries[file->count++]);
        if (problem)
            return damaged(file, error, problem);
    }
    qsort(file->entries, file->count, sizeof file->entries[0], by_place);
    return check_places(file, error);
}

/* ---- the checksum ---- */

static int add_values(const struct safetensors *file, struct sha256 *sha256, struct error *error)
{
    char *piece = malloc(CHECK_PIECE_BYTES);
    if (!piece)
        return fail(file, -ENOMEM, error);
    int r = 0;
    for (uint64_t place = file->values_at; r == 0 && place < file->file_bytes;) {
        const uint64_t left = file->file_bytes - place;
        const size_t length = left < CHECK_PIECE_BYTES ? (size_t)left : CHECK_PIECE_BYTES;
        r = read_at(file, piece, length, place, error);
        if (r == 0)
            sha256_add(sha256, piece, length);
        place += length;
    }
    free(piece);
    return r;
}

static int check_sum(struct safetensors *file, struct error *error)
{
    const size_t start = strlen(safetensors_header_start), digits = SHA256_TEXT_SIZE - 1;
    const uint64_t length = file->text_length;
    char text[SHA256_TEXT_SIZE] = "";
    uint8_t stored[SHA256_SIZE], actual[SHA256_SIZE];
    struct sha256 sha256;
    if (file->text_length < start + digits ||
        memcmp(file->text, safetensors_header_start, start) != 0)
        return 0;
    memcpy(text, file->text + start, digits);
    if (!sha256_from_text(text, stored))
        return damaged(file, error, "its checksum is no checksum");
    sha256_init(&sha256);
    sha256_add(&sha256, &length, sizeof length);
    sha256_add(&sha256, file->text, start);
    sha256_add(&sha256, safetensors_no_checksum, digits);
    sha256_add(&sha256, file->text + start + digits, file->text_length - start - digits);
    int r = add_values(file, &sha256, error);
    if (r < 0)
        return r;
    sha256_finish(&sha256, actual);
    if (memcmp(stored, actual, sizeof stored) != 0)
        return damaged(file, error, "its content does not match its checksum");
    file->verified = true;
    return 0;
}

int safetensors_open(const char *path, uint64_t bytes_max, struct safetensors **ret_file,
                     struct error *error)
{
    if (strlen(path) >= PATH_MAX)
        return error_set(error, -ENAMETOOLONG, "", "%.300s: the path is too long", path);
    struct safetensors *file = calloc(1, sizeof *file);
    if (!file)
        return error_set(error, -ENOMEM, "", "%.300s: out of memory", path);
    snprintf(file->path, sizeof file->path, "%s", path);
    file->fd = -1;
    int r = open_file(file, bytes_max, error);
    if (r == 0)
        r = read_header(file, error);
    if (r == 0)
        r = check_texts(file, error);
    if (r == 0)
        r = read_entries(file, error);
    if (r == 0)
        r = check_sum(file, error);
    if (r < 0) {
        safetensors_free(file);
        return r;
    }
    *ret_file = file;
    return 0;
}

/* ---- looking ---- */

bool safetensors_is_verified(const struct safetensors *file)
{
    return file->verified;
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index)
{
    assert(index < file->count);
    return &file->entries[index].tensor;
}

int safetensors_find(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].tensor.name, name) == 0)
            return (int)i;
    return -ENOENT;
}

const char *safetensors_text(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

int safetensors_read(struct safetensors *file, size_t index, void *ret_values, struct error *error)
{
    assert(index < file->count);
    const struct entry *entry = &file->entries[index];
    return read_at(file, ret_values, (size_t)(entry->end - entry->begin),
                   file->values_at + entry->begin, error);
}
