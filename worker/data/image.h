/* A square image of bytes, and operations on it: tone (image_tone.c) and place (image_move.c), as
 * the TensorFlow code of AutoAugment and RandAugment (Cubuk et al. 2019; google/automl) defines
 * them. docs/augmentation.md has each decision.
 *
 * All work in place, allocate nothing and take images of 1 pixel up. `scratch` is as large as the
 * image, its contents are lost. One or three channels. */
#ifndef WORKER_DATA_IMAGE_H
#define WORKER_DATA_IMAGE_H

#include "search/transform.h"

#include <stddef.h>
#include <stdint.h>

enum {
    IMAGE_CHANNELS_MAX = TRANSFORM_CHANNELS_MAX,
    IMAGE_FILL = TRANSFORM_FILL /* where there is nothing to show */
};

struct image {
    uint8_t *pixels; /* (size, size, channels) */
    uint32_t size, channels;
};

size_t image_bytes(const struct image *image);

/* ---- tone ---- */

/* Each channel: its darkest value becomes 0, its lightest 255; unchanged where they are equal. */
void image_auto_contrast(struct image *image);
/* Each channel: its histogram as flat as whole levels allow. */
void image_equalize(struct image *image);
void image_invert(struct image *image);
void image_posterize(struct image *image, uint32_t cleared_bits); /* 0 .. 7, the lowest */
/* Values from `threshold` up are inverted; none from 256 up. */
void image_solarize(struct image *image, uint32_t threshold);
/* Values below 128 are raised, up to 255. */
void image_solarize_add(struct image *image, uint32_t addition);

/* The four that blend with a plainer image: factor 0 is the plain one, 1 the image itself; above 1
 * goes past it and clips at 0 and 255. The plain one is: */

/* the image in grey, so that a grey image stays as it is, */
void image_color(struct image *image, float factor, uint8_t *scratch);
/* its mean grey everywhere, */
void image_contrast(struct image *image, float factor);
/* black, */
void image_brightness(struct image *image, float factor);
/* blurred over 3 x 3 pixels of which the middle weighs 5 of 13; the border stays as it is. */
void image_sharpness(struct image *image, float factor, uint8_t *scratch);

/* ---- place: the nearest pixel, IMAGE_FILL where there is none ---- */

/* Around the centre. Pixel (x, y) comes from the place at the angle `degrees`, clockwise of it. */
struct warp warp_rotation(double degrees, uint32_t size);
/* Pixel (x, y) comes from (x + level * y, y), so about the upper left corner; Y: (x, y + level * x). */
struct warp warp_shear_x(double level);
struct warp warp_shear_y(double level);
/* Pixel (x, y) comes from (x + pixels, y); Y: (x, y + pixels). */
struct warp warp_translation_x(double pixels);
struct warp warp_translation_y(double pixels);
void image_warp(struct image *image, const struct warp *warp, uint8_t *scratch);
/* Rows y - pad .. y + pad - 1 of columns x - pad .. x + pad - 1, as far as there are such. */
void image_cutout(struct image *image, uint32_t x, uint32_t y, uint32_t pad);

#endif
