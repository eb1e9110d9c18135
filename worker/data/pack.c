#include "worker/data/pack.h"

#include "worker/data/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packs are mapped as they are");

enum {
    PACK_HEADER_SIZE = 4096,
    PACK_VERSION = 1,
    PACK_ALIGNMENT = 64,
    PACK_LEVELS = 256 /* of a pixel */
};

static const char pack_magic[8] = {'A', 'R', 'C', 'H', 'P', 'A', 'C', 'K'};
static const uint64_t pack_bytes_max = UINT64_C(1) << 40;

struct pack_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    char name[DATASET_NAME_SIZE];
    uint32_t image_size, image_channels, classes;
    uint32_t reserved;
    uint64_t train_images, test_images;
    uint64_t fingerprint;
    uint64_t pixels_offset, labels_offset, file_bytes;
    double mean[PACK_CHANNELS_MAX], deviation[PACK_CHANNELS_MAX];
    uint32_t payload_crc; /* of everything behind the header */
    uint32_t header_crc;  /* of the fields before this one */
};

struct pack {
    struct dataset dataset;
    const uint8_t *bytes;
    size_t length;
    const uint8_t *pixels;
    const uint16_t *labels;
    uint64_t image_bytes;
    double mean[PACK_CHANNELS_MAX], deviation[PACK_CHANNELS_MAX];
};

struct mapping {
    uint8_t *bytes;
    size_t length;
};

static void mapping_release(struct mapping *mapping)
{
    if (mapping->bytes)
        munmap(mapping->bytes, mapping->length);
}

static uint32_t crc_of(const uint8_t *bytes, uint64_t length)
{
    return (uint32_t)crc32_z(0, bytes, length);
}

static uint32_t header_crc_of(const struct pack_header *header)
{
    return crc_of((const uint8_t *)header, offsetof(struct pack_header, header_crc));
}

/* Everything that follows from the data set alone. */
static void header_lay_out(const struct dataset *dataset, struct pack_header *ret_header)
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
    header.file_bytes = header.labels_offset + images * sizeof(uint16_t);
    *ret_header = header;
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

/* Reserves the space, so that writing through a mapping cannot run out of it. */
static int file_reserve(int fd, const char *path, uint64_t bytes, struct error *error)
{
    if (bytes > pack_bytes_max)
        return error_set(error, -EFBIG, "", "%.300s: would have %" PRIu64 " bytes", path, bytes);
    int code = posix_fallocate(fd, 0, (off_t)bytes);
    return code == 0 ? 0 : file_error(error, -code, path);
}

int pack_write(int fd, const char *path, const struct source *source, struct error *error)
{
    struct dataset dataset;
    int r = source_scan(source, &dataset, error);
    if (r < 0)
        return r;
    struct pack_header header;
    header_lay_out(&dataset, &header);
    header.fingerprint = source_fingerprint(source);
    r = file_reserve(fd, path, header.file_bytes, error);
    if (r < 0)
        return r;
    void *bytes = mmap(NULL, header.file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return file_error(error, -errno, path);
    CLEANUP(mapping_release) struct mapping map = {bytes, header.file_bytes};
    uint8_t *pixels = map.bytes + header.pixels_offset;
    /* The offset is a multiple of PACK_ALIGNMENT. */
    uint16_t *labels = (void *)(map.bytes + header.labels_offset);
    r = source_decode(source, &dataset, pixels, labels, error);
    if (r < 0)
        return r;
    header_set_statistics(&header, pixels);
    header.payload_crc = crc_of(map.bytes + PACK_HEADER_SIZE, map.length - PACK_HEADER_SIZE);
    header.header_crc = header_crc_of(&header);
    memcpy(map.bytes, &header, sizeof header);
    if (msync(map.bytes, map.length, MS_SYNC) < 0 || fsync(fd) < 0)
        return file_error(error, -errno, path);
    return 0;
}

/* -EBADMSG, -ESTALE. */
static int header_check(const struct pack_header *header, uint64_t file_bytes, const char *path,
                        uint64_t fingerprint, struct error *error)
{
    if (memcmp(header->magic, pack_magic, sizeof pack_magic) != 0)
        return error_set(error, -EBADMSG, "", "%.300s: not a pack", path);
    if (header->version != PACK_VERSION)
        return error_set(error, -EBADMSG, "", "%.300s: version %u, expected %d", path,
                         header->version, PACK_VERSION);
    if (header->header_crc != header_crc_of(header))
        return error_set(error, -EBADMSG, "", "%.300s: damaged header", path);
    if (header->fingerprint != fingerprint)
        return error_set(error, -ESTALE, "", "%.300s: made from other source files", path);
    if (header->file_bytes != file_bytes)
        return error_set(error, -EBADMSG, "", "%.300s: has %" PRIu64 " bytes, expected %" PRIu64,
                         path, file_bytes, header->file_bytes);
    return 0;
}

static int pack_of_header(const struct pack_header *header, const struct mapping *map,
                          const char *path, struct pack **ret_pack, struct error *error)
{
    struct pack *pack = calloc(1, sizeof *pack);
    if (!pack)
        return file_error(error, -ENOMEM, path);
    memcpy(pack->dataset.name, header->name, sizeof pack->dataset.name);
    pack->dataset.image_size = header->image_size;
    pack->dataset.image_channels = header->image_channels;
    pack->dataset.classes = header->classes;
    pack->dataset.train_images = header->train_images;
    pack->dataset.test_images = header->test_images;
    pack->bytes = map->bytes;
    pack->length = map->length;
    pack->pixels = map->bytes + header->pixels_offset;
    pack->labels = (const void *)(map->bytes + header->labels_offset);
    pack->image_bytes = (uint64_t)header->image_size * header->image_size * header->image_channels;
    memcpy(pack->mean, header->mean, sizeof pack->mean);
    memcpy(pack->deviation, header->deviation, sizeof pack->deviation);
    *ret_pack = pack;
    return 0;
}

int pack_open(int fd, const char *path, uint64_t fingerprint, struct pack **ret_pack,
              struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return file_error(error, -errno, path);
    if (status.st_size < PACK_HEADER_SIZE)
        return error_set(error, -EBADMSG, "", "%.300s: too short for a pack", path);
    size_t length = (size_t)status.st_size;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return file_error(error, -errno, path);
    CLEANUP(mapping_release) struct mapping map = {bytes, length};
    struct pack_header header;
    memcpy(&header, map.bytes, sizeof header);
    int r = header_check(&header, length, path, fingerprint, error);
    if (r < 0)
        return r;
    if (crc_of(map.bytes + PACK_HEADER_SIZE, length - PACK_HEADER_SIZE) != header.payload_crc)
        return error_set(error, -EBADMSG, "", "%.300s: damaged content", path);
    r = pack_of_header(&header, &map, path, ret_pack, error);
    if (r < 0)
        return r;
    map.bytes = NULL;
    return 0;
}

void pack_free(struct pack *pack)
{
    if (!pack)
        return;
    munmap((void *)(uintptr_t)pack->bytes, pack->length);
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

const double *pack_mean(const struct pack *pack)
{
    return pack->mean;
}

const double *pack_deviation(const struct pack *pack)
{
    return pack->deviation;
}
