/* Image files: JPEG by libjpeg-turbo and PNG by libpng, told by their content.
 *
 * What is refused, with an error that names the file (-EBADMSG): whatever the libraries call an error; a JPEG's warnings, such
 * as a premature end or corrupt data; CMYK; 16 bits a channel; PNG with transparent pixels; sides below IMAGE_SIDE_MIN
 * or above IMAGE_SIDE_MAX, more than IMAGE_PIXELS_MAX pixels. The orientation in EXIF data is not applied. */
#ifndef WORKER_DATA_IMAGE_FILE_H
#define WORKER_DATA_IMAGE_FILE_H

#include "search/error.h"

#include <stddef.h>
#include <stdint.h>

enum { IMAGE_SIDE_MIN = 8, IMAGE_SIDE_MAX = 32768, IMAGE_PIXELS_MAX = 1 << 26 };

struct image_shape {
    uint32_t width, height;
    uint32_t channels; /* 1 grey, 3 colour */
};

/* A buffer that is used for one image after the other. */
struct decoded_image {
    struct image_shape shape;
    uint8_t *pixels; /* (height, width, channels) */
    size_t capacity; /* bytes */
};

void image_file_release(struct decoded_image *image); /* legal on a zeroed struct and twice */

/* Reads the header. */
int image_file_look(const char *path, struct image_shape *ret_shape, struct error *error) MUST_USE;

/* Decodes the whole file. A JPEG may come out smaller, by a half, a quarter or an eighth, as long as its shorter side keeps
 * `side_min` pixels: the decoder leaves out the frequencies that would be averaged away. -ENOMEM too. */
int image_file_decode(const char *path, uint32_t side_min, struct decoded_image *image,
                      struct error *error) MUST_USE;

#endif
