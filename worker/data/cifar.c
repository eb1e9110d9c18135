#include "worker/data/cifar.h"

#include "worker/data/file.h"

#include <errno.h>
#include <stdio.h>

enum {
    CIFAR_PLANE = CIFAR_IMAGE_SIZE * CIFAR_IMAGE_SIZE,
    CIFAR_LABEL_BYTES_MAX = 2,
};

static void stream_close(FILE **stream)
{
    if (*stream)
        fclose(*stream);
}

static size_t label_bytes_of(enum cifar_kind kind)
{
    return kind == CIFAR_10 ? 1 : 2;
}

int cifar_count(enum cifar_kind kind, const char *path, uint64_t file_bytes, uint64_t *ret_count,
                struct error *error)
{
    uint64_t record = label_bytes_of(kind) + CIFAR_IMAGE_BYTES;
    uint64_t count = file_bytes / record;
    if (file_bytes % record != 0)
        return error_set(error, -EBADMSG, "",
                         "%.300s: %llu bytes are not a whole number of %llu-byte records", path,
                         (unsigned long long)file_bytes, (unsigned long long)record);
    if (count == 0 || count > CIFAR_COUNT_MAX)
        return error_set(error, -EBADMSG, "", "%.300s: has %llu images, must be 1 to %d", path,
                         (unsigned long long)count, CIFAR_COUNT_MAX);
    *ret_count = count;
    return 0;
}

/* Three planes to interleaved pixels. */
static void interleave(const uint8_t *planes, uint8_t *ret_pixels)
{
    for (size_t i = 0; i < CIFAR_PLANE; i++)
        for (size_t c = 0; c < CIFAR_CHANNELS; c++)
            ret_pixels[i * CIFAR_CHANNELS + c] = planes[c * CIFAR_PLANE + i];
}

int cifar_read(enum cifar_kind kind, const char *path, uint64_t count, uint8_t *ret_pixels,
               uint16_t *ret_labels, struct error *error)
{
    const size_t label_bytes = label_bytes_of(kind);
    const unsigned classes = kind == CIFAR_10 ? 10 : 100;
    CLEANUP(stream_close) FILE *stream = fopen(path, "rbe");
    if (!stream)
        return file_error(error, -errno, path);
    uint8_t record[CIFAR_LABEL_BYTES_MAX + CIFAR_IMAGE_BYTES];
    for (uint64_t i = 0; i < count; i++) {
        if (fread(record, label_bytes + CIFAR_IMAGE_BYTES, 1, stream) != 1) {
            if (ferror(stream))
                return file_error(error, -EIO, path);
            return error_set(error, -EBADMSG, "", "%.300s: ends too early", path);
        }
        unsigned label = record[label_bytes - 1];
        if (label >= classes)
            return error_set(error, -EBADMSG, "", "%.300s: record %llu has label %u of %u classes",
                             path, (unsigned long long)i, label, classes);
        ret_labels[i] = (uint16_t)label;
        if (ret_pixels)
            interleave(record + label_bytes, ret_pixels + i * CIFAR_IMAGE_BYTES);
    }
    if (fgetc(stream) != EOF)
        return error_set(error, -EBADMSG, "", "%.300s: has data after its last record", path);
    return 0;
}
