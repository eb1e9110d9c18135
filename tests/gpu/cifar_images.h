/* CIFAR-10's binary files in memory, for programs that have nothing but the engine: no packs, no catalogue. */
#ifndef TESTS_GPU_CIFAR_IMAGES_H
#define TESTS_GPU_CIFAR_IMAGES_H

#include "search/transform.h"

enum { CIFAR_CLASSES = 10 };

struct cifar_images {
    uint64_t train_count, test_count;
    uint8_t *bytes;       /* (train + test, 32, 32, 3), training images first */
    uint16_t *labels;     /* (train + test) */
    struct image_set set; /* of all of them, by mean and deviation of the training images */
};

/* Reads data_batch_1.bin .. data_batch_5.bin and test_batch.bin of a directory; files with fewer records than the published ones
 * are good. -ENOENT, -EBADMSG, -ENOMEM, naming the file. */
int cifar_images_init(struct cifar_images *ret_images, const char *directory,
                      struct error *error) MUST_USE;
void cifar_images_release(struct cifar_images *images);

#endif
