/* Writing a pack: the file is reserved and mapped, pixels and labels are written in place, in any order and by any
 * threads, so that a pack larger than memory can be made.
 *
 * Legal order: pack_writer_new, writing to pack_writer_image and pack_writer_labels, pack_writer_finish,
 * pack_writer_free. Until pack_writer_finish has succeeded the file is no pack. */
#ifndef WORKER_DATA_PACK_WRITER_H
#define WORKER_DATA_PACK_WRITER_H

#include "worker/data/names.h"
#include "worker/data/pack.h"

struct pack_writer;
struct source;

struct pack_content {
    struct dataset dataset;
    const struct names *class_names; /* as many as classes */
    const char *format, *origin;     /* cut where they are too long */
    uint64_t
        fingerprint; /* of the source files; PACK_FINGERPRINT_ANY where the pack stands alone */
};

/* `fd` is an empty file that stays the caller's; `path` is for messages and must outlive the writer. -ENOSPC when the
 * disk is full, -EFBIG, -ENOMEM, -EINVAL for a shape that cannot be. */
int pack_writer_new(int fd, const char *path, const struct pack_content *content,
                    struct pack_writer **ret_writer, struct error *error) MUST_USE;
void pack_writer_free(struct pack_writer *writer);

/* (size, size, channels) of image `index` of the whole pack, training images first. The images lie one behind another. */
uint8_t *pack_writer_image(struct pack_writer *writer, uint64_t index);
uint16_t *pack_writer_labels(struct pack_writer *writer); /* (train_images + test_images) */

/* Statistics, checksums, header; flushed to disk. -EBADMSG where a label is not below the classes. */
int pack_writer_finish(struct pack_writer *writer, struct error *error) MUST_USE;

/* All of that for the files of IDX and CIFAR: decodes `source` into the empty file `fd`. `content->dataset` is what
 * source_scan said. -EBADMSG for damaged source files, other errors as above. */
int pack_write_source(int fd, const char *path, const struct source *source,
                      const struct pack_content *content, struct error *error) MUST_USE;

#endif
