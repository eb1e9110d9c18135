#include "tests/bench/kernel_arrays.h"

#include "kernels/device.h"
#include "kernels/step.h"
#include "search/random.h"
#include "search/transform.h"

#include <errno.h>
#include <stdlib.h>

/* Repeated until an array is full; a prime number of words, so that rows of channels differ. */
enum { PATTERN_WORDS = 65521 };
static const size_t PATTERN_BYTES = PATTERN_WORDS * sizeof(uint32_t);

/* PATTERN_BYTES of what is neither labels, control nor transforms. */
static void numbers_make(enum kernel_content content, void *ret_pattern)
{
    struct random_stream random = random_stream_of(1, (uint64_t)content, RANDOM_AUGMENT);
    float *floats = ret_pattern;
    uint16_t *maps = ret_pattern;
    for (size_t i = 0; i < PATTERN_WORDS; i++) {
        if (content == CONTENT_MAP) {
            maps[2 * i] = bfloat_of((float)random_normal(&random));
            maps[2 * i + 1] = bfloat_of((float)random_normal(&random));
        } else if (content == CONTENT_FLOATS) {
            floats[i] = (float)(0.5 + random_unit(&random));
        } else {
            floats[i] = (float)(0.02 * random_normal(&random));
        }
    }
}

static int numbers_fill(enum kernel_content content, unsigned char *device, size_t bytes,
                        struct error *error)
{
    unsigned char *pattern = malloc(PATTERN_BYTES);
    int r = pattern ? 0 : error_set(error, -ENOMEM, "", "out of memory");
    if (r == 0)
        numbers_make(content, pattern);
    for (size_t done = 0; r == 0 && done < bytes; done += PATTERN_BYTES)
        r = device_write(device + done, pattern,
                         bytes - done < PATTERN_BYTES ? bytes - done : PATTERN_BYTES, error);
    free(pattern);
    return r;
}

static int labels_fill(const struct kernel_shape *shape, void *device, struct error *error)
{
    uint32_t *labels = malloc(shape->images * sizeof *labels);
    if (!labels)
        return error_set(error, -ENOMEM, "", "out of memory");
    for (uint32_t i = 0; i < shape->images; i++)
        labels[i] = i % shape->channels;
    const int r = device_write(device, labels, shape->images * sizeof *labels, error);
    free(labels);
    return r;
}

static int control_fill(void *device, struct error *error)
{
    const struct step_rates rates = {1e-6, 0.9, 0.99, 0.999, 1000};
    const struct step_control control = step_control_of(&rates);
    return device_write(device, &control, sizeof control, error);
}

static int transforms_fill(const struct kernel_shape *shape, void *device, struct error *error)
{
    struct transform *transforms = calloc(shape->images, sizeof *transforms);
    if (!transforms)
        return error_set(error, -ENOMEM, "", "out of memory");
    for (uint32_t i = 0; i < shape->images; i++)
        transforms[i] = (struct transform){
            .image = i,
            .shown = {0, 0, shape->size, shape->size},
            .moved = {i % 2 != 0, (int32_t)(i % 9) - 4, (int32_t)(i / 9 % 9) - 4},
            .op_count = 2,
            .ops = {{.op = RANDAUGMENT_CONTRAST, .factor = 1.3f},
                    {.op = RANDAUGMENT_SHARPNESS, .factor = 1.3f}},
            .mixing = {.partner = i, .share = 1}};
    const int r = device_write(device, transforms, shape->images * sizeof *transforms, error);
    free(transforms);
    return r;
}

static int buffer_fill(const struct kernel_buffer *buffer, const struct kernel_shape *shape,
                       void *device, struct error *error)
{
    switch (buffer->content) {
    case CONTENT_LABELS:
        return labels_fill(shape, device, error);
    case CONTENT_CONTROL:
        return control_fill(device, error);
    case CONTENT_TRANSFORMS:
        return transforms_fill(shape, device, error);
    default:
        return numbers_fill(buffer->content, device, buffer->bytes, error);
    }
}

static int set_add(struct kernel_arrays *arrays, const struct kernel_buffer *buffers,
                   const struct kernel_shape *shape, struct error *error)
{
    void **set = arrays->sets[arrays->set_count++];
    for (size_t i = 0; i < arrays->buffer_count; i++) {
        int r = device_buffer_new(buffers[i].bytes, &set[i], error);
        if (r == 0 && buffers[i].bytes > 0)
            r = buffer_fill(&buffers[i], shape, set[i], error);
        if (r < 0)
            return r;
    }
    return 0;
}

int kernel_arrays_init(struct kernel_arrays *ret_arrays, const struct kernel_case *kernel,
                       const struct kernel_shape *shape, size_t least_bytes, struct error *error)
{
    struct kernel_buffer buffers[KERNEL_BUFFERS_MAX];
    struct kernel_arrays arrays = {.buffer_count = kernel->describe(shape, buffers)};
    size_t set_bytes = 0;
    for (size_t i = 0; i < arrays.buffer_count; i++) {
        set_bytes += buffers[i].bytes;
        arrays.bytes += buffers[i].crossings * (double)buffers[i].bytes;
    }
    int r = 0;
    while (r == 0 && arrays.set_count < KERNEL_SETS_MAX &&
           (arrays.set_count == 0 || arrays.set_count * set_bytes < least_bytes))
        r = set_add(&arrays, buffers, shape, error);
    if (r < 0) {
        kernel_arrays_release(&arrays);
        return r;
    }
    *ret_arrays = arrays;
    return 0;
}

void kernel_arrays_release(struct kernel_arrays *arrays)
{
    for (size_t s = 0; s < arrays->set_count; s++)
        for (size_t i = 0; i < arrays->buffer_count; i++)
            device_buffer_free(arrays->sets[s][i]);
}
