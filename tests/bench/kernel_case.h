/* Kernels to be measured: for each, the arrays that it works on at a given shape, how often each of them has to cross the memory
 * bus, and how it is launched. The measuring program owns the arrays and knows nothing else of a kernel. */
#ifndef TESTS_BENCH_KERNEL_CASE_H
#define TESTS_BENCH_KERNEL_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct CUstream_st;

enum { KERNEL_BUFFERS_MAX = 16 };

/* What lies in an array before the first launch. */
enum kernel_content {
    CONTENT_MAP,     /* bfloat16 from a normal distribution */
    CONTENT_FLOATS,  /* floats around 1, all above 0 */
    CONTENT_SMALL,   /* floats around 0 */
    CONTENT_LABELS,  /* 32-bit numbers below the shape's channels */
    CONTENT_CONTROL, /* one struct step_control, of a step that is small and not refused */
    CONTENT_TRANSFORMS /* struct transform for the shape's images: flips, shifts, two operations each */
};

struct kernel_buffer {
    enum kernel_content content;
    size_t bytes;
    double
        crossings; /* 1: read or written once, 2: read and written, 0: does not grow with the work */
};

struct kernel_shape {
    const char *label; /* which network it is of */
    uint32_t images, size, channels;
    uint32_t kernel, stride; /* of depthwise convolutions */
};

struct kernel_case {
    const char *name;
    /* Fills in the arrays of a shape; how many. */
    size_t (*describe)(const struct kernel_shape *shape,
                       struct kernel_buffer ret_buffers[KERNEL_BUFFERS_MAX]);
    /* 0 or -EIO. */
    int (*launch)(const struct kernel_shape *shape, void *const *buffers,
                  struct CUstream_st *stream);
};

/* A kind of kernels and the shapes that they are measured at. */
struct kernel_group {
    const struct kernel_case *cases;
    size_t case_count;
    const struct kernel_shape *shapes;
    size_t shape_count;
};

/* Normalisation and squeeze-and-excitation, over maps. */
struct kernel_group kernel_group_maps(void);
/* Both directions of depthwise convolutions. */
struct kernel_group kernel_group_depthwise(void);

/* Optimizer, gradients, copies: over arrays of `images` floats. */
struct kernel_group kernel_group_weights(void);
/* Logits of `channels` classes. */
struct kernel_group kernel_group_losses(void);
/* Batches of images made of bytes, and packed. */
struct kernel_group kernel_group_images(void);

#endif
