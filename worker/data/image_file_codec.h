/* What image_file.c shares with the two files that own the libraries. */
#ifndef WORKER_DATA_IMAGE_FILE_CODEC_H
#define WORKER_DATA_IMAGE_FILE_CODEC_H

#include "worker/data/image_file.h"

#include <stdio.h>

/* A file being read, at its start. With `image` NULL only the header is read. Results are set on success. */
struct image_file_reading {
    const char *path;
    FILE *stream;
    uint32_t side_min;
    struct decoded_image *image;
    struct image_shape shape; /* as in the file */
    struct error *error;
};

int image_file_read_jpeg(struct image_file_reading *reading) MUST_USE;
int image_file_read_png(struct image_file_reading *reading) MUST_USE;

/* Checks the shape that a header says. */
int image_file_check_shape(const struct image_file_reading *reading, uint64_t width,
                           uint64_t height) MUST_USE;
/* Makes room for an image of `bytes_per_pixel` (which may be more than channels in the end). -ENOMEM. */
int image_file_reserve(const struct image_file_reading *reading, uint32_t width, uint32_t height,
                       uint32_t bytes_per_pixel) MUST_USE;

#endif
