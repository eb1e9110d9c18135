#include "worker/data/randaugment.h"

#include <assert.h>
#include <math.h>

enum { BYTE_BITS = 8 };

/* At the magnitude 10 that the reference's formulas are in. */
static const double ROTATE_DEGREES = 30, POSTERIZE_BITS = 4, SOLARIZE_THRESHOLD = 256,
                    ENHANCE_FACTOR = 1.8, ENHANCE_FACTOR_LEAST = 0.1, SHEAR_LEVEL = 0.3,
                    TRANSLATE_PIXELS = 100, CUTOUT_PIXELS = 40, SOLARIZE_ADDITION = 110;

const char *randaugment_op_name(enum randaugment_op op)
{
    static const char *const names[RANDAUGMENT_OPS] = {
        "AutoContrast", "Equalize",   "Invert",     "Rotate",     "Posterize", "Solarize",
        "Color",        "Contrast",   "Brightness", "Sharpness",  "ShearX",    "ShearY",
        "TranslateX",   "TranslateY", "Cutout",     "SolarizeAdd"};
    assert(op < RANDAUGMENT_OPS);
    return names[op];
}

struct randaugment_choice randaugment_draw(struct random_stream *stream, uint32_t size)
{
    struct randaugment_choice choice;
    choice.op = (enum randaugment_op)random_below(stream, RANDAUGMENT_OPS);
    choice.negative = random_below(stream, 2) != 0;
    choice.x = (uint32_t)random_below(stream, size);
    choice.y = (uint32_t)random_below(stream, size);
    return choice;
}

double randaugment_strength(enum randaugment_op op, double magnitude, uint32_t size)
{
    const double level = magnitude / 10, scale = (double)size / RANDAUGMENT_SIZE;
    switch (op) {
    case RANDAUGMENT_AUTO_CONTRAST:
    case RANDAUGMENT_EQUALIZE:
    case RANDAUGMENT_INVERT:
    case RANDAUGMENT_OPS:
        return 0;
    case RANDAUGMENT_ROTATE:
        return level * ROTATE_DEGREES;
    case RANDAUGMENT_POSTERIZE:
        return floor(level * POSTERIZE_BITS);
    case RANDAUGMENT_SOLARIZE:
        return floor(level * SOLARIZE_THRESHOLD);
    case RANDAUGMENT_COLOR:
    case RANDAUGMENT_CONTRAST:
    case RANDAUGMENT_BRIGHTNESS:
    case RANDAUGMENT_SHARPNESS:
        return level * ENHANCE_FACTOR + ENHANCE_FACTOR_LEAST;
    case RANDAUGMENT_SHEAR_X:
    case RANDAUGMENT_SHEAR_Y:
        return level * SHEAR_LEVEL;
    case RANDAUGMENT_TRANSLATE_X:
    case RANDAUGMENT_TRANSLATE_Y:
        return level * TRANSLATE_PIXELS * scale;
    case RANDAUGMENT_CUTOUT:
        return floor(level * CUTOUT_PIXELS * scale);
    case RANDAUGMENT_SOLARIZE_ADD:
        return floor(level * SOLARIZE_ADDITION);
    }
    return 0;
}

/* One bit is kept at least, eight at most. */
static uint32_t cleared_bits_of(double kept_bits)
{
    return BYTE_BITS - (uint32_t)fmin(fmax(kept_bits, 1), BYTE_BITS);
}

/* ---- from a choice to what is done to pixels ---- */

static struct warp warp_of(enum randaugment_op op, double way, uint32_t size)
{
    if (op == RANDAUGMENT_ROTATE)
        return warp_rotation(way, size);
    if (op == RANDAUGMENT_SHEAR_X)
        return warp_shear_x(way);
    if (op == RANDAUGMENT_SHEAR_Y)
        return warp_shear_y(way);
    return op == RANDAUGMENT_TRANSLATE_X ? warp_translation_x(way) : warp_translation_y(way);
}

struct transform_op randaugment_resolve(const struct randaugment_choice *choice, double magnitude,
                                        uint32_t size)
{
    const double strength = randaugment_strength(choice->op, magnitude, size);
    struct transform_op op = {.op = choice->op, .x = choice->x, .y = choice->y};
    switch (choice->op) {
    case RANDAUGMENT_ROTATE:
    case RANDAUGMENT_SHEAR_X:
    case RANDAUGMENT_SHEAR_Y:
    case RANDAUGMENT_TRANSLATE_X:
    case RANDAUGMENT_TRANSLATE_Y:
        op.warp = warp_of(choice->op, choice->negative ? -strength : strength, size);
        break;
    case RANDAUGMENT_COLOR:
    case RANDAUGMENT_CONTRAST:
    case RANDAUGMENT_BRIGHTNESS:
    case RANDAUGMENT_SHARPNESS:
        op.factor = (float)strength;
        break;
    case RANDAUGMENT_POSTERIZE:
        op.amount = cleared_bits_of(strength);
        break;
    case RANDAUGMENT_SOLARIZE:
    case RANDAUGMENT_SOLARIZE_ADD:
    case RANDAUGMENT_CUTOUT:
        op.amount = (uint32_t)strength;
        break;
    case RANDAUGMENT_AUTO_CONTRAST:
    case RANDAUGMENT_EQUALIZE:
    case RANDAUGMENT_INVERT:
    case RANDAUGMENT_OPS:
        break;
    }
    return op;
}

static void run_tone(const struct transform_op *op, struct image *image, uint8_t *scratch)
{
    if (op->op == RANDAUGMENT_AUTO_CONTRAST)
        image_auto_contrast(image);
    else if (op->op == RANDAUGMENT_EQUALIZE)
        image_equalize(image);
    else if (op->op == RANDAUGMENT_INVERT)
        image_invert(image);
    else if (op->op == RANDAUGMENT_POSTERIZE)
        image_posterize(image, op->amount);
    else if (op->op == RANDAUGMENT_SOLARIZE)
        image_solarize(image, op->amount);
    else if (op->op == RANDAUGMENT_SOLARIZE_ADD)
        image_solarize_add(image, op->amount);
    else if (op->op == RANDAUGMENT_COLOR)
        image_color(image, op->factor, scratch);
    else if (op->op == RANDAUGMENT_CONTRAST)
        image_contrast(image, op->factor);
    else if (op->op == RANDAUGMENT_BRIGHTNESS)
        image_brightness(image, op->factor);
    else if (op->op == RANDAUGMENT_SHARPNESS)
        image_sharpness(image, op->factor, scratch);
}

void randaugment_run(const struct transform_op *op, struct image *image, uint8_t *scratch)
{
    switch (op->op) {
    case RANDAUGMENT_ROTATE:
    case RANDAUGMENT_SHEAR_X:
    case RANDAUGMENT_SHEAR_Y:
    case RANDAUGMENT_TRANSLATE_X:
    case RANDAUGMENT_TRANSLATE_Y:
        image_warp(image, &op->warp, scratch);
        break;
    case RANDAUGMENT_CUTOUT:
        image_cutout(image, op->x, op->y, op->amount);
        break;
    default:
        run_tone(op, image, scratch);
        break;
    }
}

void randaugment_apply(const struct randaugment_choice *choice, double magnitude,
                       struct image *image, uint8_t *scratch)
{
    const struct transform_op op = randaugment_resolve(choice, magnitude, image->size);
    randaugment_run(&op, image, scratch);
}
