#include "worker/data/image_file_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>

#include <png.h>

struct png_reader {
    png_structp png;
    png_infop info;
    png_bytepp rows; /* (height) into the image */
    struct image_file_reading *reading;
    int code; /* set before libpng's longjmp */
};

static void reader_on_error(png_structp png, png_const_charp message)
{
    struct png_reader *reader = png_get_error_ptr(png);
    reader->code = error_set(reader->reading->error, -EBADMSG, "", "%.300s: damaged PNG: %s",
                             reader->reading->path, message);
    png_longjmp(png, 1);
}

/* libpng warns of metadata that it does not like, never of pixels. */
static void reader_on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

/* 0 or the error set. */
static int reader_check_header(struct png_reader *reader)
{
    struct image_file_reading *reading = reader->reading;
    png_uint_32 width = png_get_image_width(reader->png, reader->info);
    png_uint_32 height = png_get_image_height(reader->png, reader->info);
    int r = image_file_check_shape(reading, width, height);
    if (r < 0)
        return r;
    if (png_get_bit_depth(reader->png, reader->info) > 8)
        return error_set(reading->error, -EBADMSG, "",
                         "%.300s: has 16 bits a channel; only 8-bit images can be used",
                         reading->path);
    bool colour = png_get_color_type(reader->png, reader->info) & PNG_COLOR_MASK_COLOR;
    reading->shape = (struct image_shape){width, height, colour ? 3 : 1};
    return 0;
}

/* Takes the alpha channel away, which must be opaque throughout. */
static int drop_alpha(struct image_file_reading *reading)
{
    struct decoded_image *image = reading->image;
    const uint32_t channels = reading->shape.channels;
    const size_t pixels = (size_t)reading->shape.width * reading->shape.height;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *from = image->pixels + i * (channels + 1);
        if (from[channels] != UINT8_MAX)
            return error_set(reading->error, -EBADMSG, "",
                             "%.300s: has transparent pixels; only opaque images can be used",
                             reading->path);
        for (uint32_t c = 0; c < channels; c++)
            image->pixels[i * channels + c] = from[c];
    }
    return 0;
}

static int reader_decode(struct png_reader *reader)
{
    struct image_file_reading *reading = reader->reading;
    png_structp png = reader->png;
    png_set_expand(png); /* palettes to RGB, fewer than 8 bits to 8, tRNS to alpha */
    png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    const uint32_t read_channels = png_get_channels(png, reader->info);
    const struct image_shape *shape = &reading->shape;
    int r = image_file_reserve(reading, shape->width, shape->height, read_channels);
    if (r < 0)
        return r;
    reader->rows = calloc(shape->height, sizeof *reader->rows);
    if (!reader->rows)
        return error_set(reading->error, -ENOMEM, "", "%.300s: out of memory", reading->path);
    for (uint32_t y = 0; y < shape->height; y++)
        reader->rows[y] = reading->image->pixels + (size_t)y * shape->width * read_channels;
    png_read_image(png, reader->rows);
    png_read_end(png, NULL);
    if (read_channels == shape->channels + 1)
        r = drop_alpha(reading);
    if (r == 0)
        reading->image->shape = *shape;
    return r;
}

static int reader_run(struct png_reader *reader)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return reader->code;
    png_set_user_limits(reader->png, IMAGE_SIDE_MAX, IMAGE_SIDE_MAX);
    png_init_io(reader->png, reader->reading->stream);
    png_read_info(reader->png, reader->info);
    int r = reader_check_header(reader);
    if (r < 0 || !reader->reading->image)
        return r;
    return reader_decode(reader);
}

int image_file_read_png(struct image_file_reading *reading)
{
    struct png_reader reader = {.reading = reading};
    reader.png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, reader_on_error, reader_on_warning);
    reader.info = reader.png ? png_create_info_struct(reader.png) : NULL;
    int r = reader.info
                ? reader_run(&reader)
                : error_set(reading->error, -ENOMEM, "", "%.300s: out of memory", reading->path);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    free(reader.rows);
    return r;
}
