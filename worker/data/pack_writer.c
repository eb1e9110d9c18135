#include "worker/data/pack_writer.h"

#include "worker/data/file.h"
#include "worker/data/pack_layout.h"
#include "worker/data/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PACK_LEVELS = 256 /* of a pixel */ };

static const uint64_t pack_bytes_max = UINT64_C(1) << 40;

struct pack_writer {
    int fd;
    const char *path;
    struct pack_header header;
    uint8_t *bytes; /* the mapped file */
    uint64_t image_bytes;
};

/* Reserves the space, so that writing through a mapping cannot run out of it. */
static int file_reserve(int fd, const char *path, uint64_t bytes, struct error *error)
{
    if (bytes > pack_bytes_max)
        return error_set(error, -EFBIG, "", "%.300s: would have %" PRIu64 " bytes", path, bytes);
    int code = posix_fallocate(fd, 0, (off_t)bytes);
    return code == 0 ? 0 : file_error(error, -code, path);
}

/* Copies as much of the text as there is room for; the rest of the field stays zero. */
static void copy_text(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size - 1));
}

static void writer_set_header(struct pack_writer *writer, const struct pack_content *content)
{
    pack_header_lay_out(&content->dataset, content->class_names->length, &writer->header);
    writer->header.fingerprint = content->fingerprint;
    copy_text(writer->header.format, sizeof writer->header.format, content->format);
    copy_text(writer->header.origin, sizeof writer->header.origin, content->origin);
    const struct dataset *dataset = &content->dataset;
    writer->image_bytes =
        (uint64_t)dataset->image_size * dataset->image_size * dataset->image_channels;
}

static int writer_map(struct pack_writer *writer, const struct pack_content *content,
                      struct error *error)
{
    int r = file_reserve(writer->fd, writer->path, writer->header.file_bytes, error);
    if (r < 0)
        return r;
    void *bytes =
        mmap(NULL, writer->header.file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, writer->fd, 0);
    if (bytes == MAP_FAILED)
        return file_error(error, -errno, writer->path);
    writer->bytes = bytes;
    memcpy(writer->bytes + writer->header.names_offset, content->class_names->bytes,
           content->class_names->length);
    return 0;
}

int pack_writer_new(int fd, const char *path, const struct pack_content *content,
                    struct pack_writer **ret_writer, struct error *error)
{
    assert(content->class_names->count == content->dataset.classes);
    int r = dataset_validate(&content->dataset, error);
    if (r < 0)
        return r;
    struct pack_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return file_error(error, -ENOMEM, path);
    writer->fd = fd;
    writer->path = path;
    writer_set_header(writer, content);
    r = writer_map(writer, content, error);
    if (r < 0) {
        pack_writer_free(writer);
        return r;
    }
    *ret_writer = writer;
    return 0;
}

void pack_writer_free(struct pack_writer *writer)
{
    if (!writer)
        return;
    if (writer->bytes)
        munmap(writer->bytes, writer->header.file_bytes);
    free(writer);
}

static uint64_t image_count(const struct pack_writer *writer)
{
    return writer->header.train_images + writer->header.test_images;
}

uint8_t *pack_writer_image(struct pack_writer *writer, uint64_t index)
{
    assert(index < image_count(writer));
    return writer->bytes + writer->header.pixels_offset + index * writer->image_bytes;
}

uint16_t *pack_writer_labels(struct pack_writer *writer)
{
    /* The offset is a multiple of PACK_ALIGNMENT. */
    return (void *)(writer->bytes + writer->header.labels_offset);
}

/* Mean and standard deviation of each channel over the training images, exact through histograms.
 */
static void header_set_statistics(struct pack_header *header, const uint8_t *pixels)
{
    uint64_t histogram[PACK_CHANNELS_MAX][PACK_LEVELS] = {0};
    const uint32_t channels = header->image_channels;
    const uint64_t points = header->train_images * header->image_size * header->image_size;
    for (uint64_t i = 0; i < points; i++)
        for (uint32_t c = 0; c < channels; c++)
            histogram[c][pixels[i * channels + c]]++;
    for (uint32_t c = 0; c < channels; c++) {
        double sum = 0, square_sum = 0;
        for (int level = 0; level < PACK_LEVELS; level++) {
            double value = level / 255.0, count = (double)histogram[c][level];
            sum += count * value;
            square_sum += count * value * value;
        }
        double mean = sum / (double)points;
        double variance = fmax(square_sum / (double)points - mean * mean, 0);
        header->mean[c] = mean;
        header->deviation[c] = fmax(sqrt(variance), 1.0 / 255);
    }
}

int pack_writer_finish(struct pack_writer *writer, struct error *error)
{
    struct pack_header *header = &writer->header;
    const uint16_t *labels = pack_writer_labels(writer);
    for (uint64_t i = 0; i < image_count(writer); i++)
        if (labels[i] >= header->classes)
            return error_set(error, -EBADMSG, "",
                             "%.300s: image %" PRIu64 " has label %u of %u classes", writer->path,
                             i, labels[i], header->classes);
    header_set_statistics(header, writer->bytes + header->pixels_offset);
    header->payload_crc =
        pack_crc(writer->bytes + PACK_HEADER_SIZE, header->file_bytes - PACK_HEADER_SIZE);
    header->header_crc = pack_header_crc(header);
    memcpy(writer->bytes, header, sizeof *header);
    if (msync(writer->bytes, header->file_bytes, MS_SYNC) < 0 || fsync(writer->fd) < 0)
        return file_error(error, -errno, writer->path);
    return 0;
}

/* ---- IDX and CIFAR ---- */

static void writer_release(struct pack_writer **writer)
{
    pack_writer_free(*writer);
}

int pack_write(int fd, const char *path, const struct source *source, struct error *error)
{
    CLEANUP(names_release) struct names class_names;
    names_init(&class_names, PACK_CLASS_NAMES_MAX);
    struct pack_content content = {.class_names = &class_names,
                                   .format = source_format_name(source->format),
                                   .origin = source->directory,
                                   .fingerprint = source_fingerprint(source)};
    int r = source_scan(source, &content.dataset, error);
    if (r == 0)
        r = source_class_names(source, content.dataset.classes, &class_names, error);
    if (r < 0)
        return r;
    return pack_write_source(fd, path, source, &content, error);
}

int pack_write_source(int fd, const char *path, const struct source *source,
                      const struct pack_content *content, struct error *error)
{
    CLEANUP(writer_release) struct pack_writer *writer = NULL;
    int r = pack_writer_new(fd, path, content, &writer, error);
    if (r < 0)
        return r;
    r = source_decode(source, &content->dataset, pack_writer_image(writer, 0),
                      pack_writer_labels(writer), error);
    if (r < 0)
        return r;
    return pack_writer_finish(writer, error);
}
