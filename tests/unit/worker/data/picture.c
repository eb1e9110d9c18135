#include "tests/unit/worker/data/picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <png.h>

#include <cmocka.h>

enum { CHANNELS_MAX = 4, PALETTE_STEP = 64 };

uint8_t picture_value(uint32_t x, uint32_t y, uint32_t channel, uint32_t seed)
{
    return (uint8_t)(20 + (2 * x + y + 20 * channel + 5 * seed) % 200);
}

static uint32_t channels_of(enum picture_kind kind)
{
    switch (kind) {
    case PICTURE_JPEG_RGB:
    case PICTURE_PNG_RGB:
    case PICTURE_PNG_INTERLACED:
        return 3;
    case PICTURE_JPEG_CMYK:
    case PICTURE_PNG_RGBA:
    case PICTURE_PNG_CLEAR:
        return 4;
    default:
        return 1;
    }
}

static void fill_row(uint8_t *row, enum picture_kind kind, uint32_t width, uint32_t y,
                     uint32_t seed)
{
    const uint32_t channels = channels_of(kind);
    for (uint32_t x = 0; x < width; x++) {
        for (uint32_t c = 0; c < channels; c++)
            row[x * channels + c] = picture_value(x, y, c, seed);
        if (kind == PICTURE_PNG_RGBA || kind == PICTURE_PNG_CLEAR)
            row[x * channels + 3] = kind == PICTURE_PNG_CLEAR && x == 1 && y == 1 ? 254 : 255;
        if (kind == PICTURE_PNG_PALETTE)
            row[x] /= PALETTE_STEP;
    }
}

static void write_jpeg(FILE *file, enum picture_kind kind, uint32_t width, uint32_t height,
                       uint32_t seed)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = (int)channels_of(kind);
    jpeg.in_color_space = kind == PICTURE_JPEG_GREY  ? JCS_GRAYSCALE
                          : kind == PICTURE_JPEG_RGB ? JCS_RGB
                                                     : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 98, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&jpeg, TRUE);
    uint8_t *row = calloc(width, CHANNELS_MAX);
    assert_non_null(row);
    for (uint32_t y = 0; y < height; y++) {
        fill_row(row, kind, width, y, seed);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
}

static int png_colour(enum picture_kind kind)
{
    return kind == PICTURE_PNG_PALETTE ? PNG_COLOR_TYPE_PALETTE
           : channels_of(kind) == 4    ? PNG_COLOR_TYPE_RGBA
           : channels_of(kind) == 3    ? PNG_COLOR_TYPE_RGB
                                       : PNG_COLOR_TYPE_GRAY;
}

static void write_png(FILE *file, enum picture_kind kind, uint32_t width, uint32_t height,
                      uint32_t seed)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_non_null(info);
    const bool deep = kind == PICTURE_PNG_16_BIT;
    png_init_io(png, file);
    png_set_IHDR(png, info, width, height, deep ? 16 : 8, png_colour(kind),
                 kind == PICTURE_PNG_INTERLACED ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_color palette[256 / PALETTE_STEP];
    for (size_t i = 0; i < 256 / PALETTE_STEP; i++)
        palette[i] = (png_color){(png_byte)i, (png_byte)(10 * i), (png_byte)(20 * i)};
    if (kind == PICTURE_PNG_PALETTE)
        png_set_PLTE(png, info, palette, 256 / PALETTE_STEP);
    png_write_info(png, info);
    const size_t row_bytes = png_get_rowbytes(png, info);
    uint8_t *pixels = calloc(height, row_bytes);
    png_bytepp rows = calloc(height, sizeof *rows);
    assert_true(pixels && rows);
    for (uint32_t y = 0; y < height; y++) {
        rows[y] = pixels + y * row_bytes;
        fill_row(rows[y], kind, width, y, seed);
    }
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(pixels);
    free(rows);
}

void picture_write(const char *path, enum picture_kind kind, uint32_t width, uint32_t height,
                   uint32_t seed)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    if (kind <= PICTURE_JPEG_CMYK)
        write_jpeg(file, kind, width, height, seed);
    else
        write_png(file, kind, width, height, seed);
    assert_int_equal(fclose(file), 0);
}
