#include "worker/data/image_file_codec.h"

#include "worker/data/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void image_file_release(struct decoded_image *image)
{
    free(image->pixels);
    *image = (struct decoded_image){0};
}

static void stream_close(FILE **stream)
{
    if (*stream)
        fclose(*stream);
}

int image_file_check_shape(const struct image_file_reading *reading, uint64_t width,
                           uint64_t height)
{
    if (width < IMAGE_SIDE_MIN || height < IMAGE_SIDE_MIN)
        return error_set(reading->error, -EBADMSG, "",
                         "%.300s: is %llu x %llu pixels; an image needs %d a side", reading->path,
                         (unsigned long long)width, (unsigned long long)height, IMAGE_SIDE_MIN);
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX || width * height > IMAGE_PIXELS_MAX)
        return error_set(reading->error, -EBADMSG, "",
                         "%.300s: is %llu x %llu pixels; at most %d a side and %d in all",
                         reading->path, (unsigned long long)width, (unsigned long long)height,
                         IMAGE_SIDE_MAX, IMAGE_PIXELS_MAX);
    return 0;
}

int image_file_reserve(const struct image_file_reading *reading, uint32_t width, uint32_t height,
                       uint32_t bytes_per_pixel)
{
    struct decoded_image *image = reading->image;
    size_t bytes = (size_t)width * height * bytes_per_pixel;
    if (bytes <= image->capacity)
        return 0;
    uint8_t *pixels = realloc(image->pixels, bytes);
    if (!pixels)
        return file_error(reading->error, -ENOMEM, reading->path);
    image->pixels = pixels;
    image->capacity = bytes;
    return 0;
}

static int read_stream(struct image_file_reading *reading)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G'}, jpeg[] = {0xff, 0xd8, 0xff};
    uint8_t start[sizeof png] = {0};
    size_t got = fread(start, 1, sizeof start, reading->stream);
    if (ferror(reading->stream))
        return file_error(reading->error, errno ? -errno : -EIO, reading->path);
    rewind(reading->stream);
    if (got >= sizeof jpeg && memcmp(start, jpeg, sizeof jpeg) == 0)
        return image_file_read_jpeg(reading);
    if (got >= sizeof png && memcmp(start, png, sizeof png) == 0)
        return image_file_read_png(reading);
    return error_set(reading->error, -EBADMSG, "", "%.300s: %s", reading->path,
                     got ? "neither a JPEG nor a PNG file" : "is empty");
}

static int read_path(struct image_file_reading *reading)
{
    CLEANUP(stream_close) FILE *stream = fopen(reading->path, "rbe");
    if (!stream)
        return file_error(reading->error, -errno, reading->path);
    errno = 0;
    reading->stream = stream;
    return read_stream(reading);
}

int image_file_look(const char *path, struct image_shape *ret_shape, struct error *error)
{
    struct image_file_reading reading = {.path = path, .error = error};
    int r = read_path(&reading);
    if (r == 0)
        *ret_shape = reading.shape;
    return r;
}

int image_file_decode(const char *path, uint32_t side_min, struct decoded_image *image,
                      struct error *error)
{
    struct image_file_reading reading = {
        .path = path, .side_min = side_min, .image = image, .error = error};
    return read_path(&reading);
}
