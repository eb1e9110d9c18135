#include "worker/data/source.h"

#include "worker/data/cifar.h"
#include "worker/data/idx.h"
#include "worker/data/pack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Places of IDX's files in struct source. */
enum { IDX_TRAIN_IMAGES, IDX_TRAIN_LABELS, IDX_TEST_IMAGES, IDX_TEST_LABELS };

struct format_files {
    const char *title;
    uint32_t file_count;
    uint32_t train_file_count;
    const char *names[SOURCE_FILES_MAX];
};

/* CIFAR files are listed training first, so that the order of files is the order of images. */
static const struct format_files formats[SOURCE_FORMATS] = {
    [SOURCE_IDX] = {"IDX",
                    4,
                    2,
                    {[IDX_TRAIN_IMAGES] = "train-images-idx3-ubyte",
                     [IDX_TRAIN_LABELS] = "train-labels-idx1-ubyte",
                     [IDX_TEST_IMAGES] = "t10k-images-idx3-ubyte",
                     [IDX_TEST_LABELS] = "t10k-labels-idx1-ubyte"}},
    [SOURCE_CIFAR10] = {"CIFAR-10 binary",
                        6,
                        5,
                        {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}},
    [SOURCE_CIFAR100] = {"CIFAR-100 binary", 2, 1, {"train.bin", "test.bin"}},
    [SOURCE_PACK] = {"pack", 0, 0, {0}},
};

static void free_labels(uint16_t **labels)
{
    free(*labels);
}

const char *source_format_name(enum source_format format)
{
    assert(format < SOURCE_FORMATS);
    return formats[format].title;
}

enum { FILE_ABSENT = 1 };

/* Looks at one file, with `suffix` behind its name. 0, FILE_ABSENT, negative errno. */
static int file_look(const char *directory, const char *name, const char *suffix,
                     struct source_file *ret_file, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, directory, name, suffix, error);
    if (r < 0)
        return r;
    struct stat status;
    if (stat(path, &status) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return FILE_ABSENT;
        return file_error(error, -errno, path);
    }
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL, "", "%.300s: not a regular file", path);
    int length = snprintf(ret_file->name, sizeof ret_file->name, "%s%s", name, suffix);
    assert(length > 0 && length < (int)sizeof ret_file->name);
    ret_file->bytes = (uint64_t)status.st_size;
    ret_file->modified_ns =
        (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec;
    return 0;
}

/* Fills the files of one format. 0, SOURCE_NONE, -ENOENT when only some are there. */
static int format_look(const char *directory, enum source_format format, struct source *source,
                       struct error *error)
{
    const struct format_files *wanted = &formats[format];
    const char *missing = NULL;
    uint32_t found = 0;
    for (uint32_t i = 0; i < wanted->file_count; i++) {
        int r = file_look(directory, wanted->names[i], "", &source->files[i], error);
        if (r == FILE_ABSENT && format == SOURCE_IDX)
            r = file_look(directory, wanted->names[i], ".gz", &source->files[i], error);
        if (r < 0)
            return r;
        if (r == FILE_ABSENT)
            missing = wanted->names[i];
        else
            found++;
    }
    if (found == 0)
        return SOURCE_NONE;
    if (missing)
        return error_set(error, -ENOENT, "", "%.300s: looks like %s, but %s is missing", directory,
                         wanted->title, missing);
    source->format = format;
    source->file_count = wanted->file_count;
    return 0;
}

int source_detect(const char *directory, const char *name, struct source *ret_source,
                  struct error *error)
{
    struct source source = {0};
    if (!realpath(directory, source.directory))
        return file_error(error, -errno, directory);
    snprintf(source.name, sizeof source.name, "%s", name);
    for (int format = 0; format < SOURCE_PACK; format++) {
        int r = format_look(source.directory, (enum source_format)format, &source, error);
        if (r == SOURCE_NONE)
            continue;
        if (r < 0)
            return r;
        *ret_source = source;
        return 0;
    }
    return SOURCE_NONE;
}

int source_of_pack(const char *directory, const char *name, struct source *ret_source,
                   struct error *error)
{
    struct source source = {.format = SOURCE_PACK, .file_count = 1};
    if (!realpath(directory, source.directory))
        return file_error(error, -errno, directory);
    snprintf(source.name, sizeof source.name, "%s", name);
    int r = file_look(source.directory, source.name, SOURCE_PACK_SUFFIX, &source.files[0], error);
    if (r == FILE_ABSENT)
        return error_set(error, -ENOENT, "", "%.300s: no data set called %s", directory, name);
    if (r == 0)
        *ret_source = source;
    return r;
}

static int file_path(const struct source *source, uint32_t index, char ret_path[FILE_PATH_SIZE],
                     struct error *error)
{
    return file_join(ret_path, source->directory, source->files[index].name, "", error);
}

/* ---- IDX ---- */

/* Reads the headers of an images file and the labels file behind it, which must agree. */
static int idx_pair_headers(const struct source *source, uint32_t images_index,
                            struct idx_header *ret_images, struct idx_header *ret_labels,
                            struct error *error)
{
    char images_path[FILE_PATH_SIZE], labels_path[FILE_PATH_SIZE];
    int r = file_path(source, images_index, images_path, error);
    if (r < 0)
        return r;
    r = file_path(source, images_index + 1, labels_path, error);
    if (r < 0)
        return r;
    struct idx_header images, labels;
    r = idx_images_header(images_path, &images, error);
    if (r < 0)
        return r;
    r = idx_labels_header(labels_path, &labels, error);
    if (r < 0)
        return r;
    if (images.count != labels.count)
        return error_set(
            error, -EBADMSG, "", "%.200s has %" PRIu64 " images, but %.40s has %" PRIu64 " labels",
            images_path, images.count, source->files[images_index + 1].name, labels.count);
    *ret_images = images;
    *ret_labels = labels;
    return 0;
}

static int idx_shape(const struct source *source, struct dataset *dataset, struct error *error)
{
    struct idx_header train, test, labels;
    int r = idx_pair_headers(source, IDX_TRAIN_IMAGES, &train, &labels, error);
    if (r < 0)
        return r;
    r = idx_pair_headers(source, IDX_TEST_IMAGES, &test, &labels, error);
    if (r < 0)
        return r;
    if (train.image_size != test.image_size)
        return error_set(error, -EBADMSG, "",
                         "%.300s: training images are %u pixels a side, test images %u",
                         source->directory, train.image_size, test.image_size);
    dataset->image_size = train.image_size;
    dataset->image_channels = 1;
    dataset->train_images = train.count;
    dataset->test_images = test.count;
    return 0;
}

static int idx_decode_pair(const struct source *source, uint32_t images_index,
                           struct idx_header images, uint8_t *ret_pixels, uint16_t *ret_labels,
                           struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r;
    if (ret_pixels) {
        r = file_path(source, images_index, path, error);
        if (r < 0)
            return r;
        r = idx_images_read(path, &images, ret_pixels, error);
        if (r < 0)
            return r;
    }
    r = file_path(source, images_index + 1, path, error);
    if (r < 0)
        return r;
    struct idx_header labels = {.count = images.count};
    return idx_labels_read(path, &labels, ret_labels, error);
}

static int idx_decode(const struct source *source, const struct dataset *dataset,
                      uint8_t *ret_pixels, uint16_t *ret_labels, struct error *error)
{
    struct idx_header train = {dataset->train_images, dataset->image_size};
    struct idx_header test = {dataset->test_images, dataset->image_size};
    int r = idx_decode_pair(source, IDX_TRAIN_IMAGES, train, ret_pixels, ret_labels, error);
    if (r < 0)
        return r;
    uint64_t pixels = train.count * dataset->image_size * dataset->image_size;
    return idx_decode_pair(source, IDX_TEST_IMAGES, test, ret_pixels ? ret_pixels + pixels : NULL,
                           ret_labels + train.count, error);
}

/* ---- CIFAR ---- */

static enum cifar_kind cifar_kind_of(const struct source *source)
{
    return source->format == SOURCE_CIFAR10 ? CIFAR_10 : CIFAR_100;
}

static int cifar_shape(const struct source *source, struct dataset *dataset, struct error *error)
{
    dataset->image_size = CIFAR_IMAGE_SIZE;
    dataset->image_channels = CIFAR_CHANNELS;
    for (uint32_t i = 0; i < source->file_count; i++) {
        char path[FILE_PATH_SIZE];
        uint64_t count;
        int r = file_path(source, i, path, error);
        if (r < 0)
            return r;
        r = cifar_count(cifar_kind_of(source), path, source->files[i].bytes, &count, error);
        if (r < 0)
            return r;
        if (i < formats[source->format].train_file_count)
            dataset->train_images += count;
        else
            dataset->test_images += count;
    }
    return 0;
}

static int cifar_decode(const struct source *source, uint8_t *ret_pixels, uint16_t *ret_labels,
                        struct error *error)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < source->file_count; i++) {
        char path[FILE_PATH_SIZE];
        uint64_t count;
        int r = file_path(source, i, path, error);
        if (r < 0)
            return r;
        r = cifar_count(cifar_kind_of(source), path, source->files[i].bytes, &count, error);
        if (r < 0)
            return r;
        r = cifar_read(cifar_kind_of(source), path, count,
                       ret_pixels ? ret_pixels + done * CIFAR_IMAGE_BYTES : NULL, ret_labels + done,
                       error);
        if (r < 0)
            return r;
        done += count;
    }
    return 0;
}

/* ---- packs ---- */

static int pack_scan(const struct source *source, struct dataset *ret_dataset, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_path(source, 0, path, error);
    if (r < 0)
        return r;
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, path);
    struct pack_summary summary;
    r = pack_look(fd, path, &summary, error);
    if (r < 0)
        return r;
    if (strcmp(summary.dataset.name, source->name) != 0)
        return error_set(error, -EBADMSG, "", "%.300s: holds data set %s; do not rename packs",
                         path, summary.dataset.name);
    *ret_dataset = summary.dataset;
    return 0;
}

/* ---- class names ---- */

static const char *class_names_file(enum source_format format)
{
    switch (format) {
    case SOURCE_CIFAR10:
        return "batches.meta.txt";
    case SOURCE_CIFAR100:
        return "fine_label_names.txt";
    default:
        return NULL;
    }
}

static void stream_close(FILE **stream)
{
    if (*stream)
        fclose(*stream);
}

/* A name a line; empty lines do not count. At most `classes` + 1 are read. */
static int class_names_read(const char *path, uint32_t classes, struct names *names,
                            struct error *error)
{
    CLEANUP(stream_close) FILE *stream = fopen(path, "re");
    if (!stream && errno != ENOENT)
        return file_error(error, -errno, path);
    char line[SOURCE_CLASS_NAME_MAX + 1];
    while (stream && names->count <= classes && fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\r\n")] = '\0';
        int r = line[0] ? names_add(names, line, NULL) : 0;
        if (r < 0)
            return file_error(error, r, path);
    }
    return 0;
}

int source_class_names(const struct source *source, uint32_t classes, struct names *names,
                       struct error *error)
{
    const char *file = class_names_file(source->format);
    char path[FILE_PATH_SIZE];
    int r = file ? file_join(path, source->directory, file, "", error) : 0;
    if (r == 0 && file)
        r = class_names_read(path, classes, names, error);
    if (r < 0 || names->count == classes)
        return r;
    names->length = 0;
    names->count = 0;
    for (uint32_t label = 0; label < classes && r == 0; label++) {
        char number[16];
        snprintf(number, sizeof number, "%u", label);
        r = names_add(names, number, NULL);
    }
    return r < 0 ? file_error(error, r, source->directory) : 0;
}

/* ---- both ---- */

static int shape_of(const struct source *source, struct dataset *dataset, struct error *error)
{
    return source->format == SOURCE_IDX ? idx_shape(source, dataset, error)
                                        : cifar_shape(source, dataset, error);
}

/* Pixels are left out where ret_pixels is NULL. */
static int decode(const struct source *source, const struct dataset *dataset, uint8_t *ret_pixels,
                  uint16_t *ret_labels, struct error *error)
{
    return source->format == SOURCE_IDX ? idx_decode(source, dataset, ret_pixels, ret_labels, error)
                                        : cifar_decode(source, ret_pixels, ret_labels, error);
}

int source_scan(const struct source *source, struct dataset *ret_dataset, struct error *error)
{
    if (source->format == SOURCE_PACK)
        return pack_scan(source, ret_dataset, error);
    struct dataset dataset = {0};
    snprintf(dataset.name, sizeof dataset.name, "%s", source->name);
    int r = shape_of(source, &dataset, error);
    if (r < 0)
        return r;
    uint64_t images = dataset.train_images + dataset.test_images;
    CLEANUP(free_labels) uint16_t *labels = calloc(images, sizeof *labels);
    if (!labels)
        return file_error(error, -ENOMEM, source->directory);
    r = decode(source, &dataset, NULL, labels, error);
    if (r < 0)
        return r;
    uint16_t largest = 0;
    for (uint64_t i = 0; i < images; i++)
        if (labels[i] > largest)
            largest = labels[i];
    dataset.classes = largest + 1u;
    r = dataset_validate(&dataset, error);
    if (r < 0)
        return r;
    *ret_dataset = dataset;
    return 0;
}

int source_decode(const struct source *source, const struct dataset *dataset, uint8_t *ret_pixels,
                  uint16_t *ret_labels, struct error *error)
{
    assert(source->format != SOURCE_PACK);
    struct dataset now = {0};
    int r = shape_of(source, &now, error);
    if (r < 0)
        return r;
    if (now.train_images != dataset->train_images || now.test_images != dataset->test_images ||
        now.image_size != dataset->image_size)
        return error_set(error, -EBADMSG, "", "%.300s: changed while it was read",
                         source->directory);
    r = decode(source, dataset, ret_pixels, ret_labels, error);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < dataset->train_images + dataset->test_images; i++)
        if (ret_labels[i] >= dataset->classes)
            return error_set(error, -EBADMSG, "", "%.300s: changed while it was read",
                             source->directory);
    return 0;
}

/* ---- hashes: FNV-1a, 64 bits ---- */

static const uint64_t hash_start = 0xcbf29ce484222325u;

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

uint64_t source_location(const struct source *source)
{
    return hash_bytes(hash_start, source->directory, strlen(source->directory));
}

uint64_t source_fingerprint(const struct source *source)
{
    uint64_t hash = source_location(source);
    uint64_t format = source->format;
    hash = hash_bytes(hash, &format, sizeof format);
    for (uint32_t i = 0; i < source->file_count; i++) {
        const struct source_file *file = &source->files[i];
        hash = hash_bytes(hash, file->name, strlen(file->name));
        hash = hash_bytes(hash, &file->bytes, sizeof file->bytes);
        hash = hash_bytes(hash, &file->modified_ns, sizeof file->modified_ns);
    }
    return hash;
}
