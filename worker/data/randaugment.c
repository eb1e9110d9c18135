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

static void apply_tone(enum randaugment_op op, double strength, struct image *image,
                       uint8_t *scratch)
{
    if (op == RANDAUGMENT_AUTO_CONTRAST)
        image_auto_contrast(image);
    else if (op == RANDAUGMENT_EQUALIZE)
        image_equalize(image);
    else if (op == RANDAUGMENT_INVERT)
        image_invert(image);
    else if (op == RANDAUGMENT_POSTERIZE)
        image_posterize(image, cleared_bits_of(strength));
    else if (op == RANDAUGMENT_SOLARIZE)
        image_solarize(image, (uint32_t)strength);
    else if (op == RANDAUGMENT_SOLARIZE_ADD)
        image_solarize_add(image, (uint32_t)strength);
    else if (op == RANDAUGMENT_COLOR)
        image_color(image, (float)strength, scratch);
    else if (op == RANDAUGMENT_CONTRAST)
        image_contrast(image, (float)strength);
    else if (op == RANDAUGMENT_BRIGHTNESS)
        image_brightness(image, (float)strength);
    else if (op == RANDAUGMENT_SHARPNESS)
        image_sharpness(image, (float)strength, scratch);
}

void randaugment_apply(const struct randaugment_choice *choice, double magnitude,
                       struct image *image, uint8_t *scratch)
{
    const double strength = randaugment_strength(choice->op, magnitude, image->size);
    const double way = choice->negative ? -strength : strength;
    if (choice->op == RANDAUGMENT_ROTATE)
        image_rotate(image, way, scratch);
    else if (choice->op == RANDAUGMENT_SHEAR_X)
        image_shear_x(image, way, scratch);
    else if (choice->op == RANDAUGMENT_SHEAR_Y)
        image_shear_y(image, way, scratch);
    else if (choice->op == RANDAUGMENT_TRANSLATE_X)
        image_translate_x(image, way, scratch);
    else if (choice->op == RANDAUGMENT_TRANSLATE_Y)
        image_translate_y(image, way, scratch);
    else if (choice->op == RANDAUGMENT_CUTOUT)
        image_cutout(image, choice->x, choice->y, (uint32_t)strength);
    else
        apply_tone(choice->op, strength, image, scratch);
}
