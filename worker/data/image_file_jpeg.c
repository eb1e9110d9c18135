#include "worker/data/image_file_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

enum { SCALE_WHOLE = 8 /* libjpeg scales in eighths */ };

struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    struct image_file_reading *reading;
    int code; /* set before the escape */
};

/* Says what the library says and leaves it. */
static void reader_fail(j_common_ptr common)
{
    struct jpeg_reader *reader = common->client_data;
    char message[JMSG_LENGTH_MAX];
    common->err->format_message(common, message);
    int code = common->err->msg_code == JERR_OUT_OF_MEMORY ? -ENOMEM : -EBADMSG;
    reader->code = error_set(reader->reading->error, code, "", "%.300s: damaged JPEG: %s",
                             reader->reading->path, message);
    longjmp(reader->escape, 1);
}

/* Warnings have a level of -1; the library would go on with grey in place of what is missing. */
static void reader_on_message(j_common_ptr common, int level)
{
    if (level < 0)
        reader_fail(common);
}

/* 0 or the error set. */
static int reader_check_header(struct jpeg_reader *reader)
{
    const struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    struct image_file_reading *reading = reader->reading;
    int r = image_file_check_shape(reading, jpeg->image_width, jpeg->image_height);
    if (r < 0)
        return r;
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        return error_set(reading->error, -EBADMSG, "",
                         "%.300s: is a CMYK JPEG; only grey and RGB images can be used",
                         reading->path);
    bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
    if (!grey && jpeg->num_components != 3)
        return error_set(reading->error, -EBADMSG, "",
                         "%.300s: has %d colour components; only grey and RGB images can be used",
                         reading->path, jpeg->num_components);
    reading->shape = (struct image_shape){jpeg->image_width, jpeg->image_height, grey ? 1 : 3};
    return 0;
}

/* The smallest scale in eighths, a power of two, that keeps the shorter side. */
static unsigned scale_of(const struct image_file_reading *reading)
{
    const struct image_shape *shape = &reading->shape;
    uint32_t side = shape->width < shape->height ? shape->width : shape->height;
    unsigned scale = 1;
    while (scale < SCALE_WHOLE && (uint64_t)side * scale / SCALE_WHOLE < reading->side_min)
        scale *= 2;
    return scale;
}

static int reader_decode(struct jpeg_reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    struct image_file_reading *reading = reader->reading;
    struct decoded_image *image = reading->image;
    jpeg->out_color_space = reading->shape.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg->scale_num = scale_of(reading);
    jpeg->scale_denom = SCALE_WHOLE;
    jpeg_start_decompress(jpeg);
    int r = image_file_reserve(reading, jpeg->output_width, jpeg->output_height,
                               reading->shape.channels);
    if (r < 0)
        return r;
    const size_t row_bytes = (size_t)jpeg->output_width * reading->shape.channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = image->pixels + jpeg->output_scanline * row_bytes;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    image->shape =
        (struct image_shape){jpeg->output_width, jpeg->output_height, reading->shape.channels};
    jpeg_finish_decompress(jpeg);
    return 0;
}

static int reader_run(struct jpeg_reader *reader)
{
    if (setjmp(reader->escape))
        return reader->code;
    jpeg_create_decompress(&reader->jpeg);
    jpeg_stdio_src(&reader->jpeg, reader->reading->stream);
    jpeg_read_header(&reader->jpeg, TRUE);
    int r = reader_check_header(reader);
    if (r < 0 || !reader->reading->image)
        return r;
    return reader_decode(reader);
}

int image_file_read_jpeg(struct image_file_reading *reading)
{
    struct jpeg_reader reader = {.reading = reading};
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.jpeg.client_data = &reader;
    reader.errors.error_exit = reader_fail;
    reader.errors.emit_message = reader_on_message;
    int r = reader_run(&reader);
    jpeg_destroy_decompress(&reader.jpeg);
    return r;
}
