#include "worker/data/pack.h"

#include "worker/data/file.h"
#include "worker/data/pack_layout.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

static const char pack_magic[8] = {'A', 'R', 'C', 'H', 'P', 'A', 'C', 'K'};

struct pack {
    struct dataset dataset;
    const uint8_t *bytes;
    size_t length;
    const uint8_t *pixels;
    const uint16_t *labels;
    const char **class_names; /* (classes) into the mapping */
    uint64_t image_bytes;
    double mean[PACK_CHANNELS_MAX], deviation[PACK_CHANNELS_MAX];
};

uint32_t pack_crc(const uint8_t *bytes, uint64_t length)
{
    return (uint32_t)crc32_z(0, bytes, length);
}

uint32_t pack_header_crc(const struct pack_header *header)
{
    return pack_crc((const uint8_t *)header, offsetof(struct pack_header, header_crc));
}

void pack_header_lay_out(const struct dataset *dataset, uint64_t names_bytes,
                         struct pack_header *ret_header)
{
    struct pack_header header = {.version = PACK_VERSION, .header_bytes = PACK_HEADER_SIZE};
    memcpy(header.magic, pack_magic, sizeof pack_magic);
    memcpy(header.name, dataset->name, sizeof header.name);
    header.image_size = dataset->image_size;
    header.image_channels = dataset->image_channels;
    header.classes = dataset->classes;
    header.train_images = dataset->train_images;
    header.test_images = dataset->test_images;
    uint64_t images = dataset->train_images + dataset->test_images;
    uint64_t image_bytes =
        (uint64_t)dataset->image_size * dataset->image_size * dataset->image_channels;
    header.pixels_offset = PACK_HEADER_SIZE;
    uint64_t pixels_end = PACK_HEADER_SIZE + images * image_bytes;
    header.labels_offset = (pixels_end + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;
    header.names_offset = header.labels_offset + images * sizeof(uint16_t);
    header.names_bytes = names_bytes;
    header.file_bytes = header.names_offset + names_bytes;
    *ret_header = header;
}

/* ---- checks ---- */

static void dataset_of_header(const struct pack_header *header, struct dataset *ret_dataset)
{
    struct dataset dataset = {.image_size = header->image_size,
                              .image_channels = header->image_channels,
                              .classes = header->classes,
                              .train_images = header->train_images,
                              .test_images = header->test_images};
    memcpy(dataset.name, header->name, sizeof dataset.name);
    *ret_dataset = dataset;
}

/* A header whose checksum is right may still say what cannot be. */
static bool header_is_possible(const struct pack_header *header)
{
    struct dataset dataset;
    dataset_of_header(header, &dataset);
    if (dataset_validate(&dataset, NULL) < 0 || header->names_bytes > PACK_CLASS_NAMES_MAX ||
        header->format[PACK_FORMAT_SIZE - 1] || header->origin[PACK_ORIGIN_SIZE - 1])
        return false;
    struct pack_header expected;
    pack_header_lay_out(&dataset, header->names_bytes, &expected);
    return header->pixels_offset == expected.pixels_offset &&
           header->labels_offset == expected.labels_offset &&
           header->names_offset == expected.names_offset &&
           header->file_bytes == expected.file_bytes;
}

static int header_check(const struct pack_header *header, uint64_t file_bytes, const char *path,
                        struct error *error)
{
    if (memcmp(header->magic, pack_magic, sizeof pack_magic) != 0)
        return error_set(error, -EBADMSG, "", "%.300s: not a pack", path);
    if (header->version != PACK_VERSION)
        return error_set(error, -EBADMSG, "", "%.300s: version %u, expected %d", path,
                         header->version, PACK_VERSION);
    if (header->header_crc != pack_header_crc(header))
        return error_set(error, -EBADMSG, "", "%.300s: damaged header", path);
    if (header->file_bytes != file_bytes)
        return error_set(error, -EBADMSG, "", "%.300s: has %" PRIu64 " bytes, expected %" PRIu64,
                         path, file_bytes, header->file_bytes);
    if (!header_is_possible(header))
        return error_set(error, -EBADMSG, "", "%.300s: impossible header", path);
    return 0;
}

static int header_read(int fd, const char *path, struct pack_header *ret_header,
                       struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return file_error(error, -errno, path);
    if (status.st_size < PACK_HEADER_SIZE)
        return error_set(error, -EBADMSG, "", "%.300s: too short for a pack", path);
    struct pack_header header;
    ssize_t got = pread(fd, &header, sizeof header, 0);
    if (got != (ssize_t)sizeof header)
        return file_error(error, got < 0 ? -errno : -EIO, path);
    int r = header_check(&header, (uint64_t)status.st_size, path, error);
    if (r == 0)
        *ret_header = header;
    return r;
}

int pack_look(int fd, const char *path, struct pack_summary *ret_summary, struct error *error)
{
    struct pack_header header;
    int r = header_read(fd, path, &header, error);
    if (r < 0)
        return r;
    struct pack_summary summary = {.file_bytes = header.file_bytes};
    dataset_of_header(&header, &summary.dataset);
    memcpy(summary.format, header.format, sizeof summary.format);
    memcpy(summary.origin, header.origin, sizeof summary.origin);
    *ret_summary = summary;
    return 0;
}

/* ---- opening ---- */

static void pack_set_header(struct pack *pack, const struct pack_header *header)
{
    dataset_of_header(header, &pack->dataset);
    pack->pixels = pack->bytes + header->pixels_offset;
    pack->labels = (const void *)(pack->bytes + header->labels_offset);
    pack->image_bytes = (uint64_t)header->image_size * header->image_size * header->image_channels;
    memcpy(pack->mean, header->mean, sizeof pack->mean);
    memcpy(pack->deviation, header->deviation, sizeof pack->deviation);
}

/* True where there are as many names as classes. */
static bool pack_set_class_names(struct pack *pack, const struct pack_header *header)
{
    const char *at = (const char *)pack->bytes + header->names_offset;
    uint64_t left = header->names_bytes;
    for (uint32_t label = 0; label < header->classes; label++) {
        const char *end = left ? memchr(at, '\0', left) : NULL;
        if (!end)
            return false;
        pack->class_names[label] = at;
        left -= (uint64_t)(end + 1 - at);
        at = end + 1;
    }
    return left == 0;
}

static bool labels_are_possible(const struct pack *pack)
{
    const uint64_t images = pack->dataset.train_images + pack->dataset.test_images;
    for (uint64_t i = 0; i < images; i++)
        if (pack->labels[i] >= pack->dataset.classes)
            return false;
    return true;
}

static int pack_map(struct pack *pack, int fd, const char *path, const struct pack_header *header,
                    struct error *error)
{
    void *bytes = mmap(NULL, header->file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return file_error(error, -errno, path);
    pack->bytes = bytes;
    pack->length = header->file_bytes;
    pack_set_header(pack, header);
    if (pack_crc(pack->bytes + PACK_HEADER_SIZE, pack->length - PACK_HEADER_SIZE) !=
        header->payload_crc)
        return error_set(error, -EBADMSG, "", "%.300s: damaged content", path);
    pack->class_names = calloc(header->classes, sizeof *pack->class_names);
    if (!pack->class_names)
        return file_error(error, -ENOMEM, path);
    if (!pack_set_class_names(pack, header) || !labels_are_possible(pack))
        return error_set(error, -EBADMSG, "", "%.300s: impossible labels or class names", path);
    return 0;
}

int pack_open(int fd, const char *path, uint64_t fingerprint, struct pack **ret_pack,
              struct error *error)
{
    struct pack_header header;
    int r = header_read(fd, path, &header, error);
    if (r < 0)
        return r;
    if (fingerprint != PACK_FINGERPRINT_ANY && header.fingerprint != fingerprint)
        return error_set(error, -ESTALE, "", "%.300s: made from other source files", path);
    struct pack *pack = calloc(1, sizeof *pack);
    if (!pack)
        return file_error(error, -ENOMEM, path);
    r = pack_map(pack, fd, path, &header, error);
    if (r < 0) {
        pack_free(pack);
        return r;
    }
    *ret_pack = pack;
    return 0;
}

void pack_free(struct pack *pack)
{
    if (!pack)
        return;
    if (pack->bytes)
        munmap((void *)(uintptr_t)pack->bytes, pack->length);
    free(pack->class_names);
    free(pack);
}

const struct dataset *pack_dataset(const struct pack *pack)
{
    return &pack->dataset;
}

const uint8_t *pack_image(const struct pack *pack, uint64_t index)
{
    assert(index < pack->dataset.train_images + pack->dataset.test_images);
    return pack->pixels + index * pack->image_bytes;
}

const uint16_t *pack_labels(const struct pack *pack)
{
    return pack->labels;
}

const char *pack_class_name(const struct pack *pack, uint32_t label)
{
    assert(label < pack->dataset.classes);
    return pack->class_names[label];
}

const double *pack_mean(const struct pack *pack)
{
    return pack->mean;
}

const double *pack_deviation(const struct pack *pack)
{
    return pack->deviation;
}
