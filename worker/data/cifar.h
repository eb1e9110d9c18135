/* The binary versions of CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): files of records, each its
 * label bytes (CIFAR-10: one; CIFAR-100: coarse, then fine, of which the fine one is used) and 3072
 * bytes of 32 x 32 pixels, all red, all green, all blue. A file may hold any number of whole
 * records, so that subsets can be used.
 *
 * Every error names the file; damaged content is -EBADMSG. */
#ifndef WORKER_DATA_CIFAR_H
#define WORKER_DATA_CIFAR_H

#include "search/error.h"

#include <stdint.h>

enum cifar_kind { CIFAR_10, CIFAR_100 };

enum {
    CIFAR_IMAGE_SIZE = 32,
    CIFAR_CHANNELS = 3,
    CIFAR_IMAGE_BYTES = CIFAR_IMAGE_SIZE * CIFAR_IMAGE_SIZE * CIFAR_CHANNELS,
    CIFAR_COUNT_MAX = 1 << 24 /* images a file */
};

/* Images in a file of so many bytes. */
int cifar_count(enum cifar_kind kind, const char *path, uint64_t file_bytes, uint64_t *ret_count,
                struct error *error) MUST_USE;

/* Reads `count` records and expects the end of the file there. Pixels are written as (count, 32,
 * 32, 3) unless ret_pixels is NULL. */
int cifar_read(enum cifar_kind kind, const char *path, uint64_t count, uint8_t *ret_pixels,
               uint16_t *ret_labels, struct error *error) MUST_USE;

#endif
