#include "worker/data/image.h"

#include <assert.h>

size_t image_bytes(const struct image *image)
{
    assert(image->channels == 1 || image->channels == IMAGE_CHANNELS_MAX);
    return (size_t)image->size * image->size * image->channels;
}
