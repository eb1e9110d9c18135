#include "kernels/launch.cuh"
#include "kernels/optimizer_body.h"

#include <assert.h>

enum { THREADS = 256, BLOCKS_MAX = 4096 };

template <enum optimizer_kind KIND>
__global__ static void __launch_bounds__(THREADS)
    optimizer_kernel(struct optimizer_arena arena, struct optimizer_constants constants,
                     const struct step_control *device_control)
{
    const struct step_control control = *device_control;
    const size_t extent = optimizer_extent(&arena);
    const size_t stride = (size_t)gridDim.x * THREADS * QUAD_FLOATS;
    if (control.refused)
        return;
    for (size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * QUAD_FLOATS; i < extent;
         i += stride)
        optimizer_quad(KIND, &arena, &constants, &control, i);
}

/* values (count) -> halves (count) */
__global__ static void __launch_bounds__(THREADS)
    halves_kernel(const float *values, uint16_t *halves, size_t count)
{
    const size_t stride = (size_t)gridDim.x * THREADS * QUAD_FLOATS;
    for (size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * QUAD_FLOATS; i < count;
         i += stride)
        halves_store(halves, i, count, quad_load(values, i, count));
}

static bool aligned(const void *pointer)
{
    return (uintptr_t)pointer % sizeof(struct quad) == 0;
}

static unsigned blocks_for(size_t floats)
{
    const size_t a_block = (size_t)THREADS * QUAD_FLOATS, needed = (floats + a_block - 1) / a_block;
    return needed > BLOCKS_MAX ? (unsigned)BLOCKS_MAX : (unsigned)needed;
}

int optimizer_launch(enum optimizer_kind kind, const struct optimizer_arena *arena,
                     const struct optimizer_constants *constants,
                     const struct step_control *control, struct CUstream_st *stream)
{
    assert(arena->decayed <= arena->count && arena->count <= arena->total);
    assert(aligned(arena->values) && aligned(arena->gradients) && aligned(arena->averages));
    assert(aligned(arena->states[0]) && aligned(arena->states[1]) && aligned(arena->halves));
    assert(kind == OPTIMIZER_SGD || arena->states[1]);
    const unsigned blocks = blocks_for(optimizer_extent(arena));
    if (blocks == 0)
        return 0;
    switch (kind) {
    case OPTIMIZER_SGD:
        return launch(optimizer_kernel<OPTIMIZER_SGD>, blocks, THREADS, 0, stream, *arena,
                      *constants, control);
    case OPTIMIZER_RMSPROP:
        return launch(optimizer_kernel<OPTIMIZER_RMSPROP>, blocks, THREADS, 0, stream, *arena,
                      *constants, control);
    case OPTIMIZER_ADAMW:
        break;
    }
    return launch(optimizer_kernel<OPTIMIZER_ADAMW>, blocks, THREADS, 0, stream, *arena, *constants,
                  control);
}

int halves_launch(const float *values, uint16_t *ret_halves, size_t count,
                  struct CUstream_st *stream)
{
    assert(aligned(values) && aligned(ret_halves));
    if (count == 0)
        return 0;
    return launch(halves_kernel, blocks_for(count), THREADS, 0, stream, values, ret_halves, count);
}
