/* IDX files as published with MNIST (LeCun, Cortes, Burges): a big-endian header, then unsigned
 * bytes. Plain or gzip; which one it is, is told by the content.
 *
 * Every error names the file. Damaged content (wrong magic, impossible dimensions, too short, too
 * long, gzip checksum) is -EBADMSG. */
#ifndef WORKER_DATA_IDX_H
#define WORKER_DATA_IDX_H

#include "search/error.h"

#include <stdint.h>

struct idx_header {
    uint64_t count;      /* images or labels */
    uint32_t image_size; /* pixels, square; 0 for labels */
};

enum { IDX_COUNT_MAX = 1 << 24 };

/* Headers only; the length of what follows is checked by the readers below. */
int idx_images_header(const char *path, struct idx_header *ret_header,
                      struct error *error) MUST_USE;
int idx_labels_header(const char *path, struct idx_header *ret_header,
                      struct error *error) MUST_USE;

/* Reads exactly what the header promised, into (count, size, size) bytes or `count` labels; the
 * file must end there and its header must still be `expected`. */
int idx_images_read(const char *path, const struct idx_header *expected, uint8_t *ret_pixels,
                    struct error *error) MUST_USE;
int idx_labels_read(const char *path, const struct idx_header *expected, uint16_t *ret_labels,
                    struct error *error) MUST_USE;

#endif
