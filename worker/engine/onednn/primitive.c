#include "worker/engine/onednn/primitive.h"

#include <assert.h>
#include <dlfcn.h>
#include <dnnl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Compiled code that the library keeps for the next plan; a small network has about 100 pieces. */
enum { PRIMITIVES_CACHED_MAX = 2048 };
enum { DIMENSIONS = 4, IMPLEMENTATION_SIZE = 48 };

struct primitive_context {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attributes; /* scratch memory is ours */
};

struct convolution {
    struct primitive_context *context;
    dnnl_primitive_t primitive, import, export;
    dnnl_memory_t x, w, y, scratch;
    dnnl_memory_t ours, theirs; /* ends of a reorder; NULL where none is needed */
    int arguments[3];           /* of x, w, y */
    size_t scratch_bytes, weight_bytes;
    char implementation[IMPLEMENTATION_SIZE];
};

static int code_of(dnnl_status_t status)
{
    switch (status) {
    case dnnl_success:
        return 0;
    case dnnl_out_of_memory:
        return -ENOMEM;
    case dnnl_unimplemented:
        return -ENOTSUP;
    default:
        return -EIO;
    }
}

/* ---- what differs between versions ---- */

/* The library reads arrays of full length, whatever the number of dimensions. */
struct steps {
    dnnl_dims_t stride, before, after; /* padding */
    dnnl_alg_kind_t algorithm;
};

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t layout; /* a handle */

static dnnl_status_t layout_new(layout *ret_layout, const dnnl_dims_t dimensions,
                                dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(ret_layout, DIMENSIONS, dimensions, type, tag);
}

static void layout_free(layout *of)
{
    if (*of)
        dnnl_memory_desc_destroy(*of);
}

static const_dnnl_memory_desc_t layout_of(const layout *of)
{
    return *of;
}

static dnnl_status_t pass_describe(struct primitive_context *context, enum convolution_pass pass,
                                   const layout maps[3], const struct steps *steps,
                                   const_dnnl_primitive_desc_t hint,
                                   dnnl_primitive_desc_t *ret_description)
{
    const layout x = maps[0], w = maps[1], y = maps[2];
    const dnnl_dim_t *stride = steps->stride, *before = steps->before, *after = steps->after;
    switch (pass) {
    case CONVOLUTION_FORWARD:
        return dnnl_convolution_forward_primitive_desc_create(
            ret_description, context->engine, dnnl_forward_training, steps->algorithm, x, w, NULL,
            y, stride, NULL, before, after, context->attributes);
    case CONVOLUTION_BACKWARD_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(
            ret_description, context->engine, steps->algorithm, x, w, y, stride, NULL, before,
            after, hint, context->attributes);
    default:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            ret_description, context->engine, steps->algorithm, x, w, NULL, y, stride, NULL, before,
            after, hint, context->attributes);
    }
}

#else

typedef dnnl_memory_desc_t layout; /* a value */
typedef const dnnl_memory_desc_t *const_dnnl_memory_desc_t;

static dnnl_status_t layout_new(layout *ret_layout, const dnnl_dims_t dimensions,
                                dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(ret_layout, DIMENSIONS, dimensions, type, tag);
}

static void layout_free(layout *of)
{
    (void)of;
}

static const_dnnl_memory_desc_t layout_of(const layout *of)
{
    return of;
}

static dnnl_status_t pass_describe(struct primitive_context *context, enum convolution_pass pass,
                                   const layout maps[3], const struct steps *steps,
                                   const_dnnl_primitive_desc_t hint,
                                   dnnl_primitive_desc_t *ret_description)
{
    const layout *x = &maps[0], *w = &maps[1], *y = &maps[2];
    const dnnl_dim_t *stride = steps->stride, *before = steps->before, *after = steps->after;
    dnnl_convolution_desc_t operation;
    dnnl_status_t status;
    switch (pass) {
    case CONVOLUTION_FORWARD:
        status =
            dnnl_convolution_forward_desc_init(&operation, dnnl_forward_training, steps->algorithm,
                                               x, w, NULL, y, stride, before, after);
        break;
    case CONVOLUTION_BACKWARD_DATA:
        status = dnnl_convolution_backward_data_desc_init(&operation, steps->algorithm, x, w, y,
                                                          stride, before, after);
        break;
    default:
        status = dnnl_convolution_backward_weights_desc_init(&operation, steps->algorithm, x, w,
                                                             NULL, y, stride, before, after);
    }
    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(ret_description, &operation, context->attributes,
                                      context->engine, hint);
}

#endif

/* ---- the context ---- */

/* The library's threads come from OpenMP, which it may have been linked with; the limit is the calling thread's own. One
 * thread a trainer is faster and steadier than several (facts in docs/engine.md). */
static void use_one_thread(void)
{
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    void (*set)(int) = NULL;
    static_assert(sizeof symbol == sizeof set, "POSIX: functions and data have the same pointers");
    *(void **)&set = symbol;
    if (set)
        set(1);
}

const char *primitive_library_version(void)
{
    const dnnl_version_t *version = dnnl_version();
    static _Thread_local char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", version->major, version->minor, version->patch);
    return text;
}

int primitive_context_new(struct primitive_context **ret_context, struct error *error)
{
    struct primitive_context *context = calloc(1, sizeof *context);
    if (!context)
        return error_set(error, -ENOMEM, "", "out of memory");
    use_one_thread();
    dnnl_status_t status = dnnl_engine_create(&context->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&context->stream, context->engine, dnnl_stream_in_order);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&context->attributes);
    if (status == dnnl_success)
        status =
            dnnl_primitive_attr_set_scratchpad_mode(context->attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_set_primitive_cache_capacity(PRIMITIVES_CACHED_MAX);
    if (status != dnnl_success) {
        primitive_context_free(context);
        return error_set(error, code_of(status), "", "oneDNN could not be started (status %d)",
                         (int)status);
    }
    *ret_context = context;
    return 0;
}

void primitive_context_free(struct primitive_context *context)
{
    if (!context)
        return;
    if (context->attributes)
        dnnl_primitive_attr_destroy(context->attributes);
    if (context->stream)
        dnnl_stream_destroy(context->stream);
    if (context->engine)
        dnnl_engine_destroy(context->engine);
    free(context);
}

bool primitive_has_bfloat(void)
{
    const unsigned wanted = dnnl_cpu_isa_avx512_core_bf16;
    return ((unsigned)dnnl_get_effective_cpu_isa() & wanted) == wanted;
}

double primitive_matrix_product(uint32_t size, const float *a, const float *b, float *ret_c)
{
    struct timespec start, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    dnnl_status_t status =
        dnnl_sgemm('N', 'N', size, size, size, 1.0f, a, size, b, size, 0.0f, ret_c, size);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    const double seconds =
        (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    return status == dnnl_success ? 2e-9 * size * size * size / seconds : 0;
}

/* ---- one pass of one convolution ---- */

static const dnnl_query_t QUERIES[3][3] = {
    {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
    {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
    {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md}};
static const int ARGUMENTS[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                    {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                    {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};

static dnnl_format_tag_t weights_tag(const struct convolution_shape *shape)
{
    const bool wide = shape->lanes == 16;
    if (shape->plain_input)
        return wide ? dnnl_Ohwi16o : dnnl_Ohwi8o;
    return wide ? dnnl_OIhw16i16o : dnnl_OIhw8i8o;
}

/* Layouts of x, w (left to the library, or ours) and y. */
static dnnl_status_t layouts_new(const struct convolution_shape *shape, dnnl_format_tag_t weights,
                                 dnnl_data_type_t weight_type, layout ret_maps[3])
{
    const dnnl_data_type_t map_type = shape->bfloat ? dnnl_bf16 : dnnl_f32;
    const dnnl_format_tag_t blocked = shape->lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    const dnnl_dims_t x = {shape->images, shape->in_channels, shape->in_size, shape->in_size};
    const dnnl_dims_t w = {shape->out_channels, shape->in_channels, shape->kernel, shape->kernel};
    const dnnl_dims_t y = {shape->images, shape->out_channels, shape->out_size, shape->out_size};
    dnnl_status_t status =
        layout_new(&ret_maps[0], x, map_type, shape->plain_input ? dnnl_nchw : blocked);
    if (status == dnnl_success)
        status = layout_new(&ret_maps[1], w, weight_type, weights);
    if (status == dnnl_success)
        status = layout_new(&ret_maps[2], y, map_type, blocked);
    return status;
}

static void layouts_free(layout maps[3])
{
    for (int i = 0; i < 3; i++)
        layout_free(&maps[i]);
}

/* Gradients of weights are floats, as the weights that they change. */
static dnnl_data_type_t weight_type(const struct convolution_shape *shape,
                                    enum convolution_pass pass)
{
    return shape->bfloat && pass != CONVOLUTION_BACKWARD_WEIGHTS ? dnnl_bf16 : dnnl_f32;
}

struct description_wish {
    enum convolution_pass pass;
    dnnl_alg_kind_t algorithm;
};

static dnnl_status_t describe_pass(struct primitive_context *context,
                                   const struct convolution_shape *shape,
                                   struct description_wish wish, const_dnnl_primitive_desc_t hint,
                                   dnnl_primitive_desc_t *ret_description)
{
    const dnnl_dim_t before = shape->kernel / 2;
    const dnnl_dim_t after =
        (dnnl_dim_t)(shape->out_size - 1) * shape->stride + shape->kernel - shape->in_size - before;
    const struct steps steps = {.stride = {shape->stride, shape->stride},
                                .before = {before, before},
                                .after = {after, after},
                                .algorithm = wish.algorithm};
    layout maps[3] = {0};
    dnnl_status_t status =
        layouts_new(shape, dnnl_format_tag_any, weight_type(shape, wish.pass), maps);
    if (status == dnnl_success)
        status = pass_describe(context, wish.pass, maps, &steps, hint, ret_description);
    layouts_free(maps);
    return status;
}

/* A backward pass is described after the forward pass that it belongs to. */
static dnnl_status_t describe_with(struct primitive_context *context,
                                   const struct convolution_shape *shape,
                                   struct description_wish wish,
                                   dnnl_primitive_desc_t *ret_description)
{
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = dnnl_success;
    if (wish.pass != CONVOLUTION_FORWARD)
        status = describe_pass(context, shape,
                               (struct description_wish){CONVOLUTION_FORWARD, wish.algorithm}, NULL,
                               &hint);
    if (status == dnnl_success)
        status = describe_pass(context, shape, wish, hint, ret_description);
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    return status;
}

/* Winograd's algorithm works on tiles of 4 x 4 outputs: it pays where they are mostly full. */
static bool winograd_fits(const struct convolution_shape *shape)
{
    const uint32_t covered = (shape->out_size + 3) / 4 * 4;
    return shape->kernel == 3 && shape->stride == 1 && !shape->plain_input && !shape->bfloat &&
           2 * covered * covered <= 3 * shape->out_size * shape->out_size;
}

static dnnl_status_t describe(struct primitive_context *context,
                              const struct convolution_shape *shape, enum convolution_pass pass,
                              dnnl_primitive_desc_t *ret_description)
{
    const struct description_wish winograd = {pass, dnnl_convolution_winograd},
                                  direct = {pass, dnnl_convolution_direct};
    if (winograd_fits(shape) &&
        describe_with(context, shape, winograd, ret_description) == dnnl_success)
        return dnnl_success;
    return describe_with(context, shape, direct, ret_description);
}

static dnnl_status_t reorder_new(struct convolution *convolution, const_dnnl_memory_desc_t from,
                                 const_dnnl_memory_desc_t to, dnnl_primitive_t *ret_primitive)
{
    const dnnl_engine_t engine = convolution->context->engine;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&description, from, engine, to, engine, NULL);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_create(ret_primitive, description);
    dnnl_primitive_desc_destroy(description);
    return status;
}

/* Where the library wants its weights in another order than ours: the way there and back. */
static dnnl_status_t reorders_new(struct convolution *convolution, const_dnnl_memory_desc_t ours,
                                  const_dnnl_memory_desc_t theirs)
{
    const dnnl_engine_t engine = convolution->context->engine;
    if (dnnl_memory_desc_equal(ours, theirs))
        return dnnl_success;
    convolution->weight_bytes = dnnl_memory_desc_get_size(theirs);
    dnnl_status_t status = dnnl_memory_create(&convolution->ours, ours, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&convolution->theirs, theirs, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = reorder_new(convolution, ours, theirs, &convolution->import);
    if (status == dnnl_success)
        status = reorder_new(convolution, theirs, ours, &convolution->export);
    return status;
}

static dnnl_status_t memories_new(struct convolution *convolution, enum convolution_pass pass,
                                  dnnl_primitive_desc_t description, const layout *ours)
{
    const dnnl_engine_t engine = convolution->context->engine;
    dnnl_memory_t *memories[3] = {&convolution->x, &convolution->w, &convolution->y};
    const_dnnl_memory_desc_t theirs =
        dnnl_primitive_desc_query_md(description, QUERIES[pass][1], 0);
    const_dnnl_memory_desc_t scratch =
        dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    dnnl_status_t status = dnnl_success;
    for (int i = 0; status == dnnl_success && i < 3; i++) {
        const_dnnl_memory_desc_t md =
            dnnl_primitive_desc_query_md(description, QUERIES[pass][i], 0);
        convolution->arguments[i] = ARGUMENTS[pass][i];
        status = dnnl_memory_create(memories[i], md, engine, DNNL_MEMORY_NONE);
    }
    convolution->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (status == dnnl_success && convolution->scratch_bytes > 0)
        status = dnnl_memory_create(&convolution->scratch, scratch, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = reorders_new(convolution, layout_of(ours), theirs);
    return status;
}

static dnnl_status_t convolution_init(struct convolution *convolution, enum convolution_pass pass,
                                      const struct convolution_shape *shape)
{
    layout our_maps[3] = {0};
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status = layouts_new(shape, weights_tag(shape), dnnl_f32, our_maps);
    if (status == dnnl_success)
        status = describe(convolution->context, shape, pass, &description);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&convolution->primitive, description);
    const char *implementation = "";
    if (status == dnnl_success)
        status =
            dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &implementation);
    snprintf(convolution->implementation, sizeof convolution->implementation, "%s", implementation);
    if (status == dnnl_success)
        status = memories_new(convolution, pass, description, &our_maps[1]);
    if (description)
        dnnl_primitive_desc_destroy(description);
    layouts_free(our_maps);
    return status;
}

int convolution_new(struct primitive_context *context, enum convolution_pass pass,
                    const struct convolution_shape *shape, struct convolution **ret_convolution)
{
    assert(shape->lanes == 8 || shape->lanes == 16);
    struct convolution *convolution = calloc(1, sizeof *convolution);
    if (!convolution)
        return -ENOMEM;
    convolution->context = context;
    dnnl_status_t status = convolution_init(convolution, pass, shape);
    if (status != dnnl_success) {
        convolution_free(convolution);
        return code_of(status);
    }
    *ret_convolution = convolution;
    return 0;
}

void convolution_free(struct convolution *convolution)
{
    if (!convolution)
        return;
    const dnnl_primitive_t primitives[] = {convolution->primitive, convolution->import,
                                           convolution->export};
    const dnnl_memory_t memories[] = {convolution->x,       convolution->w,    convolution->y,
                                      convolution->scratch, convolution->ours, convolution->theirs};
    for (size_t i = 0; i < ARRAY_LENGTH(primitives); i++)
        if (primitives[i])
            dnnl_primitive_destroy(primitives[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(memories); i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    free(convolution);
}

size_t convolution_scratch_bytes(const struct convolution *convolution)
{
    return convolution->scratch_bytes;
}

size_t convolution_weight_bytes(const struct convolution *convolution)
{
    return convolution->weight_bytes;
}

const char *convolution_implementation(const struct convolution *convolution)
{
    return convolution->implementation;
}

int convolution_run(struct convolution *convolution, const struct convolution_places *places)
{
    const dnnl_exec_arg_t arguments[4] = {{convolution->arguments[0], convolution->x},
                                          {convolution->arguments[1], convolution->w},
                                          {convolution->arguments[2], convolution->y},
                                          {DNNL_ARG_SCRATCHPAD, convolution->scratch}};
    void *const handles[4] = {places->x, places->w, places->y, places->scratch};
    const int count = convolution->scratch ? 4 : 3;
    dnnl_status_t status = dnnl_success;
    for (int i = 0; status == dnnl_success && i < count; i++)
        status = dnnl_memory_set_data_handle(arguments[i].memory, handles[i]);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(convolution->primitive, convolution->context->stream, count,
                                        arguments);
    if (status == dnnl_success)
        status = dnnl_stream_wait(convolution->context->stream);
    return code_of(status);
}

static int reorder_run(struct convolution *convolution, dnnl_primitive_t primitive,
                       dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_exec_arg_t arguments[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_status_t status =
        dnnl_primitive_execute(primitive, convolution->context->stream, 2, arguments);
    if (status == dnnl_success)
        status = dnnl_stream_wait(convolution->context->stream);
    return code_of(status);
}

int convolution_weights_import(struct convolution *convolution, const float *ours, void *ret_theirs)
{
    assert(convolution->weight_bytes > 0);
    dnnl_status_t status = dnnl_memory_set_data_handle(convolution->ours, (void *)ours);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(convolution->theirs, ret_theirs);
    if (status != dnnl_success)
        return code_of(status);
    return reorder_run(convolution, convolution->import, convolution->ours, convolution->theirs);
}

int convolution_weights_export(struct convolution *convolution, const void *theirs, float *ret_ours)
{
    assert(convolution->weight_bytes > 0);
    dnnl_status_t status = dnnl_memory_set_data_handle(convolution->theirs, (void *)theirs);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(convolution->ours, ret_ours);
    if (status != dnnl_success)
        return code_of(status);
    return reorder_run(convolution, convolution->export, convolution->theirs, convolution->ours);
}
