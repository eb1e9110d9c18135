/* Transforms: everything that makes one image of a batch out of an image of a data set, as plain values without pointers. They
 * are drawn on the host (worker/data) and applied to pixels there, or by kernels/augment.h on a device: the same bytes either
 * way. What needs more than sums and products of floats (angles, shares of Beta) has been worked out when one is drawn.
 *
 * The order: `shown` is resized to the batch's image size; `moved`; the operations; normalisation; mixing. Images are square,
 * (size, size, channels), of 1 or 3 channels. docs/augmentation.md has each step. */
#ifndef SEARCH_TRANSFORM_H
#define SEARCH_TRANSFORM_H

#include "search/recipe.h"

enum { TRANSFORM_CHANNELS_MAX = 3 };

/* Part of a square image, inside it, at least one pixel. */
struct crop {
    uint32_t x, y; /* upper left corner */
    uint32_t width, height;
};

struct augmentation {
    bool flip;       /* left and right exchanged, before the shift */
    int32_t shift_x; /* pixels to the right */
    int32_t shift_y; /* pixels down; what comes in is black */
};

/* In google/automl's order. */
enum randaugment_op {
    RANDAUGMENT_AUTO_CONTRAST,
    RANDAUGMENT_EQUALIZE,
    RANDAUGMENT_INVERT,
    RANDAUGMENT_ROTATE,
    RANDAUGMENT_POSTERIZE,
    RANDAUGMENT_SOLARIZE,
    RANDAUGMENT_COLOR,
    RANDAUGMENT_CONTRAST,
    RANDAUGMENT_BRIGHTNESS,
    RANDAUGMENT_SHARPNESS,
    RANDAUGMENT_SHEAR_X,
    RANDAUGMENT_SHEAR_Y,
    RANDAUGMENT_TRANSLATE_X,
    RANDAUGMENT_TRANSLATE_Y,
    RANDAUGMENT_CUTOUT,
    RANDAUGMENT_SOLARIZE_ADD,
    RANDAUGMENT_OPS
};

/* Pixel (x, y) comes from (xx * x + xy * y + x0, yx * x + yy * y + y0): the nearest one there, TRANSFORM_FILL where there is
 * none. */
struct warp {
    float xx, xy, x0;
    float yx, yy, y0;
};

enum { TRANSFORM_FILL = 128 };

/* One operation with its strength. */
struct transform_op {
    enum randaugment_op op;
    union {
        struct warp warp; /* Rotate, Shear, Translate */
        float factor;     /* Color, Contrast, Brightness, Sharpness */
        uint32_t amount;  /* Posterize: bits cleared, 0 .. 7; Solarize: threshold; SolarizeAdd:
                             addition; Cutout: half its box, in pixels */
    };
    uint32_t x, y; /* Cutout: the middle of its box, inside the image */
};

enum mixing_kind { MIXING_NONE, MIXING_MIXUP, MIXING_CUTMIX };

/* Rows top .. bottom - 1 and columns left .. right - 1. */
struct mix_box {
    uint32_t left, top, right, bottom;
};

struct mixing {
    enum mixing_kind kind;
    uint32_t partner;   /* place in the batch; its own where nothing is mixed */
    float share;        /* what remains of the image and its label; 1 where nothing is mixed */
    struct mix_box box; /* CutMix: where the partner shows through */
};

struct transform {
    uint32_t image; /* index into the data set */
    struct crop shown;
    struct augmentation moved;
    uint32_t op_count;
    struct transform_op ops[RANDAUGMENT_OPS_MAX]; /* (op_count) in their order */
    struct mixing mixing;
};

/* The images that transforms speak of, and what their bytes mean: value = byte * scale + offset, by channel. */
struct image_set {
    const uint8_t *bytes; /* (count, size, size, channels) */
    uint64_t count;
    uint32_t size, channels;
    float scale[TRANSFORM_CHANNELS_MAX], offset[TRANSFORM_CHANNELS_MAX];
};

#endif
