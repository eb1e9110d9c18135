#include "worker/data/sheet.h"

#include "worker/data/font.h"
#include "worker/data/resize.h"
#include "worker/data/temporary.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

enum {
    SHEET_CHANNELS = 3,
    SHEET_TILE_MIN = 48, /* smaller images are enlarged by a whole number */
    SHEET_TILE_MAX = 96, /* larger ones are shrunk */
    SHEET_GAP = 4,
    SHEET_LABEL_HEIGHT = FONT_HEIGHT + 2 * SHEET_GAP,
    SHEET_BACKGROUND = 0xff,
    SHEET_INK = 0x20,
};

struct sheet {
    const struct pack *pack;
    uint32_t image_size, tile,
        enlarge; /* a tile is an image times `enlarge`, or shrunk by the resizer */
    uint32_t width, height, classes;
    uint8_t *pixels; /* (height, width, SHEET_CHANNELS) */
    struct resizer *resizer;
    uint8_t *resized; /* (tile, tile, channels), with a resizer */
};

static void sheet_release(struct sheet *sheet)
{
    free(sheet->pixels);
    free(sheet->resized);
    resizer_free(sheet->resizer);
}

static int sheet_init(struct sheet *sheet, const struct pack *pack)
{
    const struct dataset *dataset = pack_dataset(pack);
    const uint32_t size = dataset->image_size;
    sheet->pack = pack;
    sheet->image_size = size;
    sheet->enlarge = size < SHEET_TILE_MIN ? (SHEET_TILE_MIN + size - 1) / size : 1;
    sheet->tile = size > SHEET_TILE_MAX ? SHEET_TILE_MAX : size * sheet->enlarge;
    sheet->classes = dataset->classes < SHEET_CLASSES_MAX ? dataset->classes : SHEET_CLASSES_MAX;
    sheet->width = SHEET_GAP + SHEET_COLUMNS * (sheet->tile + SHEET_GAP);
    sheet->height = sheet->classes * (SHEET_LABEL_HEIGHT + sheet->tile) + SHEET_GAP;
    size_t bytes = (size_t)sheet->width * sheet->height * SHEET_CHANNELS;
    sheet->pixels = malloc(bytes);
    sheet->resized =
        calloc((size_t)sheet->tile * sheet->tile * dataset->image_channels, sizeof *sheet->resized);
    if (!sheet->pixels || !sheet->resized)
        return -ENOMEM;
    memset(sheet->pixels, SHEET_BACKGROUND, bytes);
    if (size <= SHEET_TILE_MAX)
        return 0;
    return resizer_new(size, sheet->tile, dataset->image_channels, &sheet->resizer);
}

static uint8_t *sheet_at(const struct sheet *sheet, uint32_t x, uint32_t y)
{
    return sheet->pixels + ((size_t)y * sheet->width + x) * SHEET_CHANNELS;
}

/* Text with its upper left corner at (x, y), cut at the right edge. */
static void draw_text(struct sheet *sheet, const char *text, uint32_t x, uint32_t y)
{
    for (; *text && x + FONT_WIDTH < sheet->width; text++, x += FONT_WIDTH + 1) {
        const uint8_t *glyph = font_glyph(*text);
        for (uint32_t column = 0; column < FONT_WIDTH; column++)
            for (uint32_t row = 0; row < FONT_HEIGHT; row++)
                if (glyph[column] >> row & 1)
                    memset(sheet_at(sheet, x + column, y + row), SHEET_INK, SHEET_CHANNELS);
    }
}

static void draw_image(struct sheet *sheet, uint64_t image, uint32_t left, uint32_t top)
{
    const uint32_t channels = pack_dataset(sheet->pack)->image_channels, tile = sheet->tile;
    const uint8_t *bytes = pack_image(sheet->pack, image);
    const struct crop whole = crop_whole(sheet->image_size);
    if (sheet->resizer) {
        resizer_run(sheet->resizer, bytes, &whole, sheet->resized);
        bytes = sheet->resized;
    }
    for (uint32_t y = 0; y < tile; y++) {
        for (uint32_t x = 0; x < tile; x++) {
            size_t from = sheet->resizer ? (size_t)y * tile + x
                                         : (size_t)(y / sheet->enlarge) * sheet->image_size +
                                               x / sheet->enlarge;
            uint8_t *to = sheet_at(sheet, left + x, top + y);
            for (uint32_t c = 0; c < SHEET_CHANNELS; c++) {
                size_t value = from * channels + (channels == 1 ? 0 : c);
                to[c] = bytes[value];
            }
        }
    }
}

/* The first training images of each class, in one pass over the labels. */
static int draw_classes(struct sheet *sheet)
{
    const uint16_t *labels = pack_labels(sheet->pack);
    uint32_t *drawn = calloc(sheet->classes, sizeof *drawn);
    if (!drawn)
        return -ENOMEM;
    for (uint32_t label = 0; label < sheet->classes; label++)
        draw_text(sheet, pack_class_name(sheet->pack, label), SHEET_GAP,
                  label * (SHEET_LABEL_HEIGHT + sheet->tile) + SHEET_GAP);
    for (uint64_t i = 0; i < pack_dataset(sheet->pack)->train_images; i++) {
        uint32_t label = labels[i];
        if (label >= sheet->classes || drawn[label] == SHEET_COLUMNS)
            continue;
        draw_image(sheet, i, SHEET_GAP + drawn[label]++ * (sheet->tile + SHEET_GAP),
                   label * (SHEET_LABEL_HEIGHT + sheet->tile) + SHEET_LABEL_HEIGHT);
    }
    free(drawn);
    return 0;
}

/* ---- the file ---- */

/* Writes through libpng, which jumps back here on errors. */
static bool write_png(png_structp png, png_infop info, const struct sheet *sheet, FILE *stream)
{
    if (setjmp(png_jmpbuf(png)))
        return false;
    png_init_io(png, stream);
    png_set_IHDR(png, info, sheet->width, sheet->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < sheet->height; y++)
        png_write_row(png, sheet_at(sheet, 0, y));
    png_write_end(png, NULL);
    return true;
}

/* The library would print its errors. */
static void on_png_error(png_structp png, png_const_charp message)
{
    (void)message;
    png_longjmp(png, 1);
}

static void on_png_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static int write_stream(const struct sheet *sheet, FILE *stream)
{
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_png_error, on_png_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    errno = 0;
    bool good = info && write_png(png, info, sheet, stream) && fflush(stream) == 0;
    int code = good ? 0 : errno ? -errno : -ENOMEM;
    png_destroy_write_struct(&png, &info);
    return code;
}

static int write_file(const struct sheet *sheet, const struct temporary *file)
{
    int fd = dup(file->fd);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!stream) {
        int code = -errno;
        file_close(&fd);
        return code;
    }
    int r = write_stream(sheet, stream);
    if (fclose(stream) != 0 && r == 0)
        r = -errno;
    return r;
}

/* Beside its final place, so that it can be renamed. */
static int write_path(const struct sheet *sheet, const char *path, struct error *error)
{
    char directory[FILE_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) : 0;
    if (snprintf(directory, sizeof directory, "%.*s%s", length, path,
                 slash == path ? "/"
                 : slash       ? ""
                               : ".") >= (int)sizeof directory)
        return file_error(error, -ENAMETOOLONG, path);
    CLEANUP(temporary_release) struct temporary file = {0};
    int r = temporary_file(directory, &file, error);
    if (r < 0)
        return r;
    r = write_file(sheet, &file);
    if (r < 0)
        return file_error(error, r, path);
    return temporary_keep(&file, directory, slash ? slash + 1 : path, error);
}

int sheet_write(const struct pack *pack, const char *path, struct error *error)
{
    CLEANUP(sheet_release) struct sheet sheet = {0};
    int r = sheet_init(&sheet, pack);
    if (r == 0)
        r = draw_classes(&sheet);
    if (r < 0)
        return file_error(error, r, path);
    return write_path(&sheet, path, error);
}
