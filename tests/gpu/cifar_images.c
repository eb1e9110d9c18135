#include "tests/gpu/cifar_images.h"

#include "worker/data/cifar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
enum { FILES = sizeof files / sizeof files[0], PATH_MAX_BYTES = 4096 };

/* Images of each file. */
static int files_count(const char *directory, uint64_t ret_counts[FILES], struct error *error)
{
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < FILES; i++) {
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        if (stat(path, &status) != 0)
            return error_set(error, -errno, "", "%s: %s", path, strerror(errno));
        const int r = cifar_count(CIFAR_10, path, (uint64_t)status.st_size, &ret_counts[i], error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int files_read(const char *directory, const uint64_t counts[FILES],
                      struct cifar_images *images, struct error *error)
{
    char path[PATH_MAX_BYTES];
    uint64_t done = 0;
    for (size_t i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        const int r =
            cifar_read(CIFAR_10, path, counts[i], images->bytes + done * CIFAR_IMAGE_BYTES,
                       images->labels + done, error);
        if (r < 0)
            return r;
        done += counts[i];
    }
    return 0;
}

/* value = (byte / 255 - mean) / deviation, by channel, over the training images. */
static void set_make(struct cifar_images *images)
{
    struct image_set set = {.bytes = images->bytes,
                            .count = images->train_count + images->test_count,
                            .size = CIFAR_IMAGE_SIZE,
                            .channels = CIFAR_CHANNELS};
    const uint64_t bytes = images->train_count * CIFAR_IMAGE_BYTES;
    for (uint32_t c = 0; c < CIFAR_CHANNELS; c++) {
        uint64_t sum = 0, squares = 0;
        for (uint64_t i = c; i < bytes; i += CIFAR_CHANNELS) {
            sum += images->bytes[i];
            squares += (uint64_t)images->bytes[i] * images->bytes[i];
        }
        const double pixels = (double)bytes / CIFAR_CHANNELS, mean = (double)sum / pixels;
        const double deviation = sqrt((double)squares / pixels - mean * mean);
        set.scale[c] = (float)(1 / deviation);
        set.offset[c] = (float)(-mean / deviation);
    }
    images->set = set;
}

int cifar_images_init(struct cifar_images *ret_images, const char *directory, struct error *error)
{
    struct cifar_images images = {.bytes = NULL};
    uint64_t counts[FILES];
    int r = files_count(directory, counts, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i + 1 < FILES; i++)
        images.train_count += counts[i];
    images.test_count = counts[FILES - 1];
    const uint64_t count = images.train_count + images.test_count;
    images.bytes = malloc(count * CIFAR_IMAGE_BYTES);
    images.labels = malloc(count * sizeof *images.labels);
    r = images.bytes && images.labels ? files_read(directory, counts, &images, error)
                                      : error_set(error, -ENOMEM, "", "out of memory");
    if (r < 0) {
        cifar_images_release(&images);
        return r;
    }
    set_make(&images);
    *ret_images = images;
    return 0;
}

void cifar_images_release(struct cifar_images *images)
{
    free(images->bytes);
    free(images->labels);
}
