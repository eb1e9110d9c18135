/* Writes an image folder: DIRECTORY/CLASS/NUMBER.png or .jpg, the classes called red, green and blue after what is
 * brightest in them. usage: picture_folder DIRECTORY IMAGES-A-CLASS SIDE */
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <jpeglib.h>
#include <png.h>

enum { CLASSES = 3, SIDE_MAX = 256 };

static const char *const class_names[CLASSES] = {"red", "green", "blue"};

/* A gradient whose colour says the class and whose place says the number. */
static void fill_row(uint8_t *row, unsigned class, unsigned number, unsigned side, unsigned y)
{
    for (unsigned x = 0; x < side; x++)
        for (unsigned c = 0; c < CLASSES; c++)
            row[x * CLASSES + c] = (uint8_t)((c == class ? 150 : 20) + (x + y + 7 * number) % 60);
}

static void write_png(FILE *file, unsigned class, unsigned number, unsigned side)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t row[SIDE_MAX * CLASSES];
    png_init_io(png, file);
    png_set_IHDR(png, info, side, side, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (unsigned y = 0; y < side; y++) {
        fill_row(row, class, number, side, y);
        png_write_row(png, row);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

static void write_jpeg(FILE *file, unsigned class, unsigned number, unsigned side)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    uint8_t pixels[SIDE_MAX * CLASSES], *row = pixels;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = jpeg.image_height = side;
    jpeg.input_components = CLASSES;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (unsigned y = 0; y < side; y++) {
        fill_row(row, class, number, side, y);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
}

static int write_image(const char *directory, unsigned class, unsigned number, unsigned side)
{
    char path[4096];
    const int as_jpeg = number % 2;
    snprintf(path, sizeof path, "%s/%s/%03u.%s", directory, class_names[class], number,
             as_jpeg ? "jpg" : "png");
    FILE *file = fopen(path, "wb");
    if (!file)
        return -1;
    (as_jpeg ? write_jpeg : write_png)(file, class, number, side);
    return fclose(file);
}

int main(int argc, char **argv)
{
    unsigned images = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned side = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    if (images == 0 || side == 0 || side > SIDE_MAX) {
        fputs("usage: picture_folder DIRECTORY IMAGES-A-CLASS SIDE\n", stderr);
        return 2;
    }
    for (unsigned class = 0; class < CLASSES; class ++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], class_names[class]);
        if ((mkdir(argv[1], 0777) < 0 && errno != EEXIST) || mkdir(path, 0777) < 0) {
            perror(path);
            return 1;
        }
        for (unsigned number = 0; number < images; number++) {
            if (write_image(argv[1], class, number, side) < 0) {
                perror(path);
                return 1;
            }
        }
    }
    return 0;
}
