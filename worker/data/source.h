/* The files of one data set on disk: which format they are, what they hold, and their decoding.
 *
 * Formats, told by the names of the files in a directory:
 *   IDX        train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
 *              t10k-labels-idx1-ubyte, each plain or with .gz (plain is preferred)
 *   CIFAR-10   data_batch_1.bin .. data_batch_5.bin, test_batch.bin
 *   CIFAR-100  train.bin, test.bin
 *
 * A pack (pack.h) is a source as well: source_of_pack, source_scan.
 *
 * Legal order: source_detect, source_scan, source_decode. A struct source is a plain value. */
#ifndef WORKER_DATA_SOURCE_H
#define WORKER_DATA_SOURCE_H

#include "search/dataset.h"
#include "worker/data/file.h"
#include "worker/data/names.h"

#include <stdint.h>

#define SOURCE_PACK_SUFFIX ".pack"

enum source_format { SOURCE_IDX, SOURCE_CIFAR10, SOURCE_CIFAR100, SOURCE_PACK, SOURCE_FORMATS };

enum {
    SOURCE_FILES_MAX = 8,
    SOURCE_FILE_NAME_SIZE = DATASET_NAME_SIZE + 8,
    SOURCE_CLASS_NAME_MAX = 255 /* bytes */
};

struct source_file {
    char name[SOURCE_FILE_NAME_SIZE];
    uint64_t bytes;
    uint64_t modified_ns; /* since 1970 */
};

struct source {
    char name[DATASET_NAME_SIZE];
    char directory[FILE_PATH_SIZE]; /* resolved: absolute, no links */
    enum source_format format;
    uint32_t file_count;
    struct source_file files[SOURCE_FILES_MAX];
};

enum { SOURCE_NONE = 1 };
/* Looks for a data set in `directory` and calls it `name`. 0; SOURCE_NONE where no file of a known
 * format is there; -ENOENT where some of a format's files are there and others missing (the message
 * names one); other errno values. */
int source_detect(const char *directory, const char *name, struct source *ret_source,
                  struct error *error) MUST_USE;

/* The pack directory/NAME.pack as a source: it is mapped as it is, and has nothing to decode. -ENOENT, -EBADMSG (its header is
 * read), other errno values. */
int source_of_pack(const char *directory, const char *name, struct source *ret_source,
                   struct error *error) MUST_USE;

/* Reads headers and labels. Classes are the largest label plus one. -EBADMSG for damaged files,
 * -ENOMEM. Pixels that end too early or too late are only found by source_decode. */
int source_scan(const struct source *source, struct dataset *ret_dataset,
                struct error *error) MUST_USE;

/* Decodes all images, training then test: pixels (images, size, size, channels), labels (images).
 * `dataset` is what source_scan said; files that have changed since are -EBADMSG. */
int source_decode(const struct source *source, const struct dataset *dataset, uint8_t *ret_pixels,
                  uint16_t *ret_labels, struct error *error) MUST_USE;

/* The classes' names in the order of the labels: from CIFAR's batches.meta.txt and fine_label_names.txt where they are there
 * and have as many lines, else the labels' numbers. -ENOMEM, -E2BIG, other errno values. */
int source_class_names(const struct source *source, uint32_t classes, struct names *names,
                       struct error *error) MUST_USE;

/* A hash of format, directory, and the files' names, sizes and modification times. */
uint64_t source_fingerprint(const struct source *source);

/* A hash of the directory alone: the same before and after the files change. */
uint64_t source_location(const struct source *source);

const char *source_format_name(enum source_format format); /* "IDX", "CIFAR-10 binary", ... */

#endif
