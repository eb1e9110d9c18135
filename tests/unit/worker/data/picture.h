/* Image files for the tests of worker/data. Failures end the test. */
#ifndef TESTS_UNIT_WORKER_DATA_PICTURE_H
#define TESTS_UNIT_WORKER_DATA_PICTURE_H

#include <stdint.h>

enum picture_kind {
    PICTURE_JPEG_GREY,
    PICTURE_JPEG_RGB,
    PICTURE_JPEG_CMYK,
    PICTURE_PNG_GREY,
    PICTURE_PNG_RGB,
    PICTURE_PNG_RGBA,       /* opaque */
    PICTURE_PNG_CLEAR,      /* RGBA with one transparent pixel */
    PICTURE_PNG_PALETTE,    /* of picture_value / 64 */
    PICTURE_PNG_16_BIT,     /* grey */
    PICTURE_PNG_INTERLACED, /* RGB */
};

/* What a picture of `seed` has at a place: smooth, so that JPEG keeps it to within a few levels. */
uint8_t picture_value(uint32_t x, uint32_t y, uint32_t channel, uint32_t seed);

/* Writes a file; channels are those of the kind. */
void picture_write(const char *path, enum picture_kind kind, uint32_t width, uint32_t height,
                   uint32_t seed);

#endif
