/* What does not work on maps: weights, losses, images. */
#include "kernels/augment.h"
#include "kernels/cross_entropy.h"
#include "kernels/gradient_norm.h"
#include "kernels/image.h"
#include "kernels/optimizer.h"
#include "kernels/widen.h"
#include "search/attributes.h"
#include "tests/bench/kernel_case.h"

/* ---- weights ---- */

static const struct kernel_shape weight_shapes[] = {
    {"V2-S, 21.5 M weights", 21458488, 1, 1, 0, 0},
    {"32 px candidate, 0.3 M weights", 300000, 1, 1, 0, 0},
};

static struct kernel_buffer floats(const struct kernel_shape *shape, double crossings)
{
    return (struct kernel_buffer){CONTENT_SMALL, shape->images * sizeof(float), crossings};
}

static struct kernel_buffer halves(const struct kernel_shape *shape)
{
    return (struct kernel_buffer){CONTENT_MAP, shape->images * sizeof(uint16_t), 1};
}

static struct kernel_buffer control(void)
{
    return (struct kernel_buffer){CONTENT_CONTROL, sizeof(struct step_control), 0};
}

static size_t sgd_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    ret_buffers[0] = floats(shape, 2); /* values */
    ret_buffers[1] = floats(shape, 1); /* gradients */
    ret_buffers[2] = floats(shape, 2); /* state */
    ret_buffers[3] = halves(shape);
    ret_buffers[4] = control();
    return 5;
}

static size_t two_states_describe(const struct kernel_shape *shape,
                                  struct kernel_buffer *ret_buffers)
{
    const size_t count = sgd_describe(shape, ret_buffers);
    ret_buffers[count] = (struct kernel_buffer){CONTENT_FLOATS, ret_buffers[0].bytes, 2};
    return count + 1;
}

static size_t averages_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    const size_t count = two_states_describe(shape, ret_buffers);
    ret_buffers[count] = floats(shape, 2);
    return count + 1;
}

static int step_launch(enum optimizer_kind kind, const struct kernel_shape *shape,
                       const struct optimizer_arena *arena,
                       const struct step_control *control_there, struct CUstream_st *stream)
{
    const struct optimizer_constants constants = {0.9f, 0.99f, 1e-3f, 1e-5f};
    struct optimizer_arena whole = *arena;
    whole.total = whole.count = whole.decayed = shape->images;
    return optimizer_launch(kind, &whole, &constants, control_there, stream);
}

static int sgd_launch(const struct kernel_shape *shape, void *const *buffers,
                      struct CUstream_st *stream)
{
    const struct optimizer_arena arena = {.values = buffers[0],
                                          .gradients = buffers[1],
                                          .states = {buffers[2], NULL},
                                          .halves = buffers[3]};
    return step_launch(OPTIMIZER_SGD, shape, &arena, buffers[4], stream);
}

/* The mean square comes first, so that it is the array of positive numbers. */
static int rmsprop_launch(const struct kernel_shape *shape, void *const *buffers,
                          struct CUstream_st *stream)
{
    const struct optimizer_arena arena = {.values = buffers[0],
                                          .gradients = buffers[1],
                                          .states = {buffers[5], buffers[2]},
                                          .halves = buffers[3]};
    return step_launch(OPTIMIZER_RMSPROP, shape, &arena, buffers[4], stream);
}

static int adamw_launch(const struct kernel_shape *shape, void *const *buffers,
                        struct CUstream_st *stream)
{
    const struct optimizer_arena arena = {.values = buffers[0],
                                          .gradients = buffers[1],
                                          .states = {buffers[2], buffers[5]},
                                          .averages = buffers[6],
                                          .halves = buffers[3]};
    return step_launch(OPTIMIZER_ADAMW, shape, &arena, buffers[4], stream);
}

static size_t gradient_norm_describe(const struct kernel_shape *shape,
                                     struct kernel_buffer *ret_buffers)
{
    ret_buffers[0] = floats(shape, 1);
    ret_buffers[1] =
        (struct kernel_buffer){CONTENT_SMALL, GRADIENT_NORM_BLOCKS_MAX * sizeof(double), 0};
    ret_buffers[2] = control();
    return 3;
}

static int gradient_norm_run(const struct kernel_shape *shape, void *const *buffers,
                             struct CUstream_st *stream)
{
    const struct gradient_norm norm = {buffers[0], shape->images, buffers[1], 1.0};
    return gradient_norm_launch(&norm, buffers[2], stream);
}

static size_t halves_describe(const struct kernel_shape *shape, struct kernel_buffer *ret_buffers)
{
    ret_buffers[0] = floats(shape, 1);
    ret_buffers[1] = halves(shape);
    return 2;
}

static int halves_run(const struct kernel_shape *shape, void *const *buffers,
                      struct CUstream_st *stream)
{
    return halves_launch(buffers[0], buffers[1], shape->images, stream);
}

static int widen_run(const struct kernel_shape *shape, void *const *buffers,
                     struct CUstream_st *stream)
{
    return widen_launch(buffers[1], buffers[0], shape->images, false, stream);
}

struct kernel_group kernel_group_weights(void)
{
    static const struct kernel_case cases[] = {
        {"optimizer, SGD", sgd_describe, sgd_launch},
        {"optimizer, RMSProp", two_states_describe, rmsprop_launch},
        {"optimizer, AdamW + averages", averages_describe, adamw_launch},
        {"gradient_norm", gradient_norm_describe, gradient_norm_run},
        {"halves", halves_describe, halves_run},
        {"widen", halves_describe, widen_run},
    };
    return (struct kernel_group){cases, ARRAY_LENGTH(cases), weight_shapes,
                                 ARRAY_LENGTH(weight_shapes)};
}

/* ---- losses ---- */

static const struct kernel_shape loss_shapes[] = {{"1000 classes", 4096, 1, 1000, 0, 0}};

static size_t cross_entropy_describe(const struct kernel_shape *shape,
                                     struct kernel_buffer *ret_buffers)
{
    const size_t logits = (size_t)shape->images * shape->channels * sizeof(float);
    ret_buffers[0] = (struct kernel_buffer){CONTENT_SMALL, logits, 1};
    ret_buffers[1] = (struct kernel_buffer){CONTENT_LABELS, shape->images * sizeof(uint32_t), 1};
    ret_buffers[2] = (struct kernel_buffer){CONTENT_SMALL, logits, 1}; /* gradient */
    ret_buffers[3] =
        (struct kernel_buffer){CONTENT_SMALL, shape->images * sizeof(struct cross_entropy_sum), 2};
    ret_buffers[4] = (struct kernel_buffer){CONTENT_SMALL, sizeof(struct cross_entropy_sum), 0};
    ret_buffers[5] = control();
    return 6;
}

static int cross_entropy_run(const struct kernel_shape *shape, void *const *buffers,
                             struct CUstream_st *stream)
{
    const struct cross_entropy_options options = {.count = shape->images,
                                                  .classes = shape->channels,
                                                  .smoothing = 0.1,
                                                  .gradient_scale = 1.0 / shape->images,
                                                  .first = true};
    const struct cross_entropy loss = {.logits = buffers[0],
                                       .labels = buffers[1],
                                       .ret_gradient = buffers[2],
                                       .images = buffers[3],
                                       .ret_sum = buffers[4],
                                       .control = buffers[5]};
    return cross_entropy_launch(&options, &loss, stream);
}

struct kernel_group kernel_group_losses(void)
{
    static const struct kernel_case cases[] = {
        {"cross_entropy", cross_entropy_describe, cross_entropy_run}};
    return (struct kernel_group){cases, ARRAY_LENGTH(cases), loss_shapes,
                                 ARRAY_LENGTH(loss_shapes)};
}

/* ---- images ---- */

static const struct kernel_shape image_shapes[] = {{"300 px", 256, 300, 3, 0, 0},
                                                   {"32 px", 1024, 32, 3, 0, 0}};

static size_t image_bytes(const struct kernel_shape *shape)
{
    return (size_t)shape->images * shape->size * shape->size * shape->channels;
}

static size_t packed_bytes(const struct kernel_shape *shape)
{
    return (size_t)shape->images * shape->size * shape->size * AUGMENT_CHANNELS * sizeof(uint16_t);
}

static struct augment augment_of(const struct kernel_shape *shape, void *const *buffers)
{
    struct augment augment = {.set = {.size = shape->size, .channels = shape->channels},
                              .count = shape->images,
                              .size = shape->size};
    for (uint32_t c = 0; c < shape->channels; c++) {
        augment.set.scale[c] = 1.f / 64;
        augment.set.offset[c] = -2;
    }
    if (!buffers)
        return augment;
    augment.set.bytes = buffers[0];
    augment.bytes = buffers[1];
    augment.transforms = buffers[2];
    augment.scratch = buffers[3];
    return augment;
}

static size_t augment_bytes_describe(const struct kernel_shape *shape,
                                     struct kernel_buffer *ret_buffers)
{
    const struct augment augment = augment_of(shape, NULL);
    ret_buffers[0] = (struct kernel_buffer){CONTENT_MAP, image_bytes(shape), 1};
    ret_buffers[1] = (struct kernel_buffer){CONTENT_MAP, image_bytes(shape), 1};
    ret_buffers[2] =
        (struct kernel_buffer){CONTENT_TRANSFORMS, shape->images * sizeof(struct transform), 1};
    ret_buffers[3] = (struct kernel_buffer){CONTENT_MAP, augment_scratch_bytes(&augment), 0};
    return 4;
}

static int augment_bytes_run(const struct kernel_shape *shape, void *const *buffers,
                             struct CUstream_st *stream)
{
    const struct augment augment = augment_of(shape, buffers);
    return augment_bytes_launch(&augment, stream);
}

static size_t augment_images_describe(const struct kernel_shape *shape,
                                      struct kernel_buffer *ret_buffers)
{
    const size_t count = augment_bytes_describe(shape, ret_buffers);
    ret_buffers[0].crossings = 0;
    ret_buffers[count] = (struct kernel_buffer){CONTENT_MAP, packed_bytes(shape), 1};
    return count + 1;
}

static int augment_images_run(const struct kernel_shape *shape, void *const *buffers,
                              struct CUstream_st *stream)
{
    const struct augment augment = augment_of(shape, buffers);
    return augment_images_launch(&augment, 0, shape->images, buffers[4], stream);
}

static size_t images_pack_describe(const struct kernel_shape *shape,
                                   struct kernel_buffer *ret_buffers)
{
    ret_buffers[0] = (struct kernel_buffer){CONTENT_SMALL, image_bytes(shape) * sizeof(float), 1};
    ret_buffers[1] = (struct kernel_buffer){CONTENT_MAP, packed_bytes(shape), 1};
    return 2;
}

static int images_pack_run(const struct kernel_shape *shape, void *const *buffers,
                           struct CUstream_st *stream)
{
    const struct images_shape images = {shape->images, shape->size, shape->channels};
    return images_pack_launch(buffers[0], &images, buffers[1], stream);
}

struct kernel_group kernel_group_images(void)
{
    static const struct kernel_case cases[] = {
        {"augment_bytes", augment_bytes_describe, augment_bytes_run},
        {"augment_images", augment_images_describe, augment_images_run},
        {"images_pack", images_pack_describe, images_pack_run},
    };
    return (struct kernel_group){cases, ARRAY_LENGTH(cases), image_shapes,
                                 ARRAY_LENGTH(image_shapes)};
}
