/* The image that a block works on. Every function here and in augment_tone.cuh, augment_move.cuh is called by all threads of the
 * block with the same arguments, and the image is whole again for all of them only after a barrier. */
#ifndef KERNELS_AUGMENT_CANVAS_CUH
#define KERNELS_AUGMENT_CANVAS_CUH

#include "kernels/augment.h"
#include "kernels/launch.cuh"

enum { CANVAS_THREADS = 256, CANVAS_LANES = 32, CANVAS_WARPS = CANVAS_THREADS / CANVAS_LANES };
enum { CANVAS_TOP = 255 /* the lightest value */ };

/* Shared or device memory, (size, size, channels) each. What is written to `spare` changes places with `shown`. */
struct canvas {
    uint8_t *shown, *spare;
    uint32_t size, channels;
};

__device__ static inline uint32_t canvas_pixels(const struct canvas *canvas)
{
    return canvas->size * canvas->size;
}

__device__ static inline void canvas_swap(struct canvas *canvas)
{
    uint8_t *shown = canvas->shown;
    canvas->shown = canvas->spare;
    canvas->spare = shown;
}

/* Clipped to a byte and cut off. */
__device__ static inline uint8_t byte_of(float value)
{
    const float top = CANVAS_TOP;
    value = value < 0 ? 0 : value;
    value = value > top ? top : value;
    return (uint8_t)(int)value;
}

__device__ static inline uint8_t blend(float plain, float value, float factor)
{
    return byte_of(plain + factor * (value - plain));
}

#endif
