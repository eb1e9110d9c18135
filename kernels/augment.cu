#include "kernels/augment_move.cuh"
#include "kernels/augment_resize.cuh"
#include "kernels/augment_tone.cuh"
#include "kernels/portable.h"

#include <assert.h>

enum { SIZE_MAX_HERE = 1024, SHARED_ALIGNMENT = 16 };

/* ---- a block's shared memory: tables of resizing, then of tone; behind them two images where they fit ---- */

__host__ __device__ static inline size_t aligned_bytes(size_t bytes)
{
    return (bytes + SHARED_ALIGNMENT - 1) / SHARED_ALIGNMENT * SHARED_ALIGNMENT;
}

__host__ __device__ static inline size_t table_bytes(const struct augment *augment)
{
    const size_t axes = 2 * axis_bytes(augment->set.size, augment->size);
    const size_t tone = sizeof(struct tone_memory);
    return aligned_bytes(axes > tone ? axes : tone);
}

__host__ __device__ static inline size_t image_bytes(const struct augment *augment)
{
    return (size_t)augment->size * augment->size * augment->set.channels;
}

__host__ __device__ static inline bool images_are_shared(const struct augment *augment)
{
    return table_bytes(augment) + 2 * aligned_bytes(image_bytes(augment)) <= AUGMENT_SHARED_BYTES;
}

/* ---- bytes ---- */

__device__ static void canvas_run(struct canvas *canvas, const struct transform_op *op,
                                  struct tone_memory *memory)
{
    switch (op->op) {
    case RANDAUGMENT_AUTO_CONTRAST:
    case RANDAUGMENT_EQUALIZE:
        tone_by_histogram(canvas, op->op, memory);
        break;
    case RANDAUGMENT_ROTATE:
    case RANDAUGMENT_SHEAR_X:
    case RANDAUGMENT_SHEAR_Y:
    case RANDAUGMENT_TRANSLATE_X:
    case RANDAUGMENT_TRANSLATE_Y:
        move_warp(canvas, op);
        break;
    case RANDAUGMENT_CUTOUT:
        move_cutout(canvas, op);
        break;
    case RANDAUGMENT_SHARPNESS:
        move_sharpen(canvas, op->factor);
        break;
    case RANDAUGMENT_COLOR:
        tone_colour(canvas, op->factor);
        break;
    default:
        tone_by_value(canvas, op, memory);
        break;
    }
    __syncthreads();
}

/* Block n makes image n. Without operations it is made where it belongs; with them in shared memory, or there and in the
 * scratch, and what is shown in the end is copied where that is elsewhere. */
__global__ static void __launch_bounds__(CANVAS_THREADS)
    augment_bytes_kernel(struct augment augment)
{
    KERNEL_SHARED(shared);
    const struct transform *transform = augment.transforms + blockIdx.x;
    const struct image_set *set = &augment.set;
    const size_t bytes = image_bytes(&augment);
    const size_t own_bytes = (size_t)set->size * set->size * set->channels;
    uint8_t *result = augment.bytes + blockIdx.x * bytes;
    struct canvas canvas = {result, NULL, augment.size, set->channels};
    const uint32_t ops = transform->op_count;
    if (ops > 0 && images_are_shared(&augment)) {
        canvas.shown = shared + table_bytes(&augment);
        canvas.spare = canvas.shown + aligned_bytes(bytes);
    } else if (ops > 0) {
        canvas.spare = augment.scratch + blockIdx.x * bytes;
    }
    canvas_show(set, set->bytes + transform->image * own_bytes, transform, augment.size, shared,
                canvas.shown);
    for (uint32_t i = 0; i < ops; i++)
        canvas_run(&canvas, &transform->ops[i], (struct tone_memory *)shared);
    if (canvas.shown == result)
        return;
    for (size_t i = threadIdx.x; i < bytes; i += CANVAS_THREADS)
        result[i] = canvas.shown[i];
}

/* ---- images ---- */

__device__ static inline bool box_has(const struct mix_box *box, uint32_t x, uint32_t y)
{
    return x >= box->left && x < box->right && y >= box->top && y < box->bottom;
}

/* What the image `first + blockIdx.y` shows at pixel p. */
__device__ static inline void mixed_pixel(const struct augment *augment, uint32_t image, uint32_t p,
                                          float *ret_values)
{
    const struct mixing *mixing = &augment->transforms[image].mixing;
    const uint32_t channels = augment->set.channels, size = augment->size;
    const size_t bytes = image_bytes(augment), at = (size_t)p * channels;
    const uint8_t *own = augment->bytes + image * bytes + at;
    const uint8_t *other = augment->bytes + mixing->partner * bytes + at;
    const bool up = mixing->kind == MIXING_MIXUP;
    const bool cut = mixing->kind == MIXING_CUTMIX && box_has(&mixing->box, p % size, p / size);
    const float share = mixing->share;
    for (uint32_t c = 0; c < AUGMENT_CHANNELS; c++)
        ret_values[c] = 0;
    for (uint32_t c = 0; c < TRANSFORM_CHANNELS_MAX; c++) { /* constant: values stay in registers */
        if (c >= channels)
            break;
        const float scale = augment->set.scale[c], offset = augment->set.offset[c];
        const float value = (float)(cut ? other : own)[c] * scale + offset;
        const float rest = (float)other[c] * scale + offset;
        ret_values[c] = up ? share * value + (1 - share) * rest : value;
    }
}

__global__ static void __launch_bounds__(CANVAS_THREADS)
    augment_images_kernel(struct augment augment, uint32_t first, uint16_t *ret_images)
{
    const uint32_t pixels = augment.size * augment.size;
    const uint32_t p = blockIdx.x * CANVAS_THREADS + threadIdx.x;
    float values[AUGMENT_CHANNELS];
    if (p >= pixels)
        return;
    mixed_pixel(&augment, first + blockIdx.y, p, values);
    octet_store(ret_images + ((size_t)blockIdx.y * pixels + p) * AUGMENT_CHANNELS, values);
}

/* ---- launchers ---- */

static bool is_sound(const struct augment *augment)
{
    const struct image_set *set = &augment->set;
    return set->bytes && augment->transforms && augment->bytes && set->size > 0 &&
           set->size <= SIZE_MAX_HERE && augment->size > 0 && augment->size <= SIZE_MAX_HERE &&
           (set->channels == 1 || set->channels == TRANSFORM_CHANNELS_MAX) && augment->count > 0;
}

size_t augment_scratch_bytes(const struct augment *augment)
{
    return images_are_shared(augment) ? 0 : augment->count * image_bytes(augment);
}

int augment_bytes_launch(const struct augment *augment, struct CUstream_st *stream)
{
    assert(is_sound(augment) && (augment->scratch || augment_scratch_bytes(augment) == 0));
    size_t shared = table_bytes(augment);
    if (images_are_shared(augment))
        shared += 2 * aligned_bytes(image_bytes(augment));
    assert(shared <= AUGMENT_SHARED_BYTES);
    return launch(augment_bytes_kernel, dim3(augment->count), CANVAS_THREADS, shared, stream,
                  *augment);
}

int augment_images_launch(const struct augment *augment, uint32_t first, uint32_t count,
                          uint16_t *ret_images, struct CUstream_st *stream)
{
    assert(is_sound(augment) && count > 0 && first + count <= augment->count);
    assert((uintptr_t)ret_images % sizeof(struct octet) == 0);
    const uint32_t pixels = augment->size * augment->size;
    const dim3 grid((pixels + CANVAS_THREADS - 1) / CANVAS_THREADS, count);
    return launch(augment_images_kernel, grid, CANVAS_THREADS, 0, stream, *augment, first,
                  ret_images);
}
