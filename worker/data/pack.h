/* A pack: one data set decoded into one file that is mapped read-only and shared by all trainers of
 * a machine.
 *
 * Layout, little-endian, version 2:
 *
 *   0                    header (struct pack_header in pack_layout.h, 4096 bytes, zero padded): magic, version, data set,
 *                        fingerprint of the source files, offsets, mean and standard deviation of each channel, format
 *                        and origin of the source, CRC-32 of the payload, CRC-32 of the header itself
 *   4096                 pixels, unsigned bytes, (images, size, size, channels), training then test
 *   next multiple of 64  labels, 16 bits each, (images)
 *   right behind         the classes' names, each ended by a zero byte; the file ends there
 *
 * pack_open checks everything: sizes, offsets, the header's checksum, the payload's checksum
 * (measured at over 1 GB/s: some 50 ms for Fashion-MNIST; a trainer opens a pack once in its life), labels and names.
 * Changes made to the file by others afterwards are not noticed; replace a pack by renaming a new
 * file over it, as cache.h does.
 *
 * A struct pack is immutable and may be shared between threads. */
#ifndef WORKER_DATA_PACK_H
#define WORKER_DATA_PACK_H

#include "search/dataset.h"

#include <stdint.h>

enum { PACK_CHANNELS_MAX = 3, PACK_FORMAT_SIZE = 32, PACK_ORIGIN_SIZE = 512 };

/* Fingerprint of a pack that stands alone, and what pack_open takes for "whatever it was made from". */
#define PACK_FINGERPRINT_ANY UINT64_C(0)

struct pack;
struct source;

/* What a header says. */
struct pack_summary {
    struct dataset dataset;
    uint64_t file_bytes;
    char format[PACK_FORMAT_SIZE]; /* of the source: "image folder", "CIFAR-10 binary", ... */
    char origin[PACK_ORIGIN_SIZE]; /* a path or URL; cut where it was too long */
};

/* Decodes `source` into the empty file `fd` and flushes it to disk (pack_writer.h writes others). `path` is for messages.
 * -ENOSPC when the disk is full (the space is reserved before anything is decoded), -EBADMSG for damaged
 * source files, -ENOMEM, other errno values. */
int pack_write(int fd, const char *path, const struct source *source, struct error *error) MUST_USE;

/* Maps the file `fd` (which may be closed afterwards). -EBADMSG where it is damaged or of another
 * version, -ESTALE where it was made from other source files than `fingerprint` says. */
int pack_open(int fd, const char *path, uint64_t fingerprint, struct pack **ret_pack,
              struct error *error) MUST_USE;
void pack_free(struct pack *pack);

/* Reads and checks the header and the file's size alone. -EBADMSG. */
int pack_look(int fd, const char *path, struct pack_summary *ret_summary,
              struct error *error) MUST_USE;

const struct dataset *pack_dataset(const struct pack *pack);
/* One image (size, size, channels) of the whole pack: training images first, then test images. */
const uint8_t *pack_image(const struct pack *pack, uint64_t index);
const uint16_t *pack_labels(const struct pack *pack); /* (train_images + test_images) */
const char *pack_class_name(const struct pack *pack, uint32_t label);
/* Over the training images, a value a channel, with pixels as 0 .. 1. A standard deviation is at
 * least 1/255. */
const double *pack_mean(const struct pack *pack);
const double *pack_deviation(const struct pack *pack);

#endif
