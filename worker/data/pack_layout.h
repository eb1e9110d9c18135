/* The bytes of a pack's header, for pack.c and pack_writer.c alone. */
#ifndef WORKER_DATA_PACK_LAYOUT_H
#define WORKER_DATA_PACK_LAYOUT_H

#include "worker/data/pack.h"

#include <stddef.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packs are mapped as they are");

enum {
    PACK_HEADER_SIZE = 4096,
    PACK_VERSION = 2,
    PACK_ALIGNMENT = 64,
    PACK_CLASS_NAMES_MAX = 64 << 20 /* bytes of all names */
};

struct pack_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    char name[DATASET_NAME_SIZE];
    uint32_t image_size, image_channels, classes;
    uint32_t reserved;
    uint64_t train_images, test_images;
    uint64_t fingerprint;
    uint64_t pixels_offset, labels_offset, names_offset, names_bytes, file_bytes;
    double mean[PACK_CHANNELS_MAX], deviation[PACK_CHANNELS_MAX];
    char format[PACK_FORMAT_SIZE];
    char origin[PACK_ORIGIN_SIZE];
    uint32_t payload_crc; /* of everything behind the header */
    uint32_t header_crc;  /* of the fields before this one */
};
_Static_assert(sizeof(struct pack_header) <= PACK_HEADER_SIZE, "the header has a page");

/* Magic, version, shape and offsets: everything that follows from the shape and the length of the names. */
void pack_header_lay_out(const struct dataset *dataset, uint64_t names_bytes,
                         struct pack_header *ret_header);

uint32_t pack_crc(const uint8_t *bytes, uint64_t length);
uint32_t pack_header_crc(const struct pack_header *header);

#endif
