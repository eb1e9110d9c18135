/* What follows the last unit: pooling, dropout, the last layer, the loss, and the way back. */
#include "kernels/cross_entropy.h"
#include "kernels/device.h"
#include "kernels/matrix.h"
#include "worker/engine/cuda/passes.h"

static const struct unit *last_unit(const struct cuda_program *program)
{
    return &program->units[program->unit_count - 1];
}

/* values (rows, columns), row-major */
static struct matrix matrix_of(const float *values, uint32_t columns)
{
    return (struct matrix){.values = values, .row_stride = columns, .column_stride = 1};
}

static struct matrix transposed(struct matrix matrix)
{
    return (struct matrix){.values = matrix.values,
                           .row_stride = matrix.column_stride,
                           .column_stride = matrix.row_stride};
}

/* ---- what is launched ---- */

static int run_pool(struct cuda_program *program, const struct launch *launch)
{
    const struct batch_norm norm = unit_norm(program, launch, last_unit(program));
    const struct batch_norm_pool pool = {.features = features_in_use(program, launch),
                                         .ret_pooled =
                                             launch_data(program, launch, program->tail.pooled)};
    return batch_norm_pool_launch(&norm, &pool, program->device->stream);
}

/* logits (images, classes) = pooled (images, channels) weight' + bias */
static int run_linear(struct cuda_program *program, const struct launch *launch)
{
    const struct tail *tail = &program->tail;
    const struct matrix_product product = {
        .rows = program->images,
        .columns = tail->classes,
        .depth = tail->channels,
        .a = matrix_of(launch_data(program, launch, tail->pooled), tail->channels),
        .b = transposed(matrix_of(launch_value(program, launch, tail->weight), tail->channels)),
        .bias = launch_value(program, launch, tail->bias),
        .ret = launch_data(program, launch, tail->logits),
        .ret_stride = tail->classes};
    return matrix_product_launch(&product, program->device->stream);
}

static int run_loss(struct cuda_program *program, const struct launch *launch)
{
    const struct tail *tail = &program->tail;
    const struct inputs *inputs = &program->inputs;
    const bool training = program->run.training;
    const struct cross_entropy_options options = {
        .count = program->run.count,
        .classes = tail->classes,
        .smoothing = training ? program->recipe.label_smoothing : 0,
        .gradient_scale = 1.0 / program->recipe.batch,
        .first = true};
    struct cross_entropy loss = {.logits = launch_data(program, launch, tail->logits),
                                 .labels = launch_data(program, launch, inputs->labels),
                                 .images = launch_data(program, launch, tail->image_losses),
                                 .ret_sum = launch_data(program, launch, tail->loss)};
    if (training) {
        loss.partners = launch_data(program, launch, inputs->partners);
        loss.shares = launch_data(program, launch, inputs->shares);
        loss.ret_gradient = launch_data(program, launch, tail->dlogits);
        loss.control = launch_data(program, launch, inputs->control);
    }
    return cross_entropy_launch(&options, &loss, program->device->stream);
}

static int run_results(struct cuda_program *program, const struct launch *launch)
{
    const struct tail *tail = &program->tail;
    const struct staging *staging = &program->staging;
    struct CUstream_st *stream = program->device->stream;
    const size_t bytes = (size_t)program->run.count * tail->classes * sizeof(float);
    const int r = device_read_async(staging->logits, launch_data(program, launch, tail->logits),
                                    bytes, stream, NULL);
    if (r < 0)
        return r;
    return device_read_async(staging->loss, launch_data(program, launch, tail->loss),
                             sizeof *staging->loss, stream, NULL);
}

/* dweight (classes, channels) = dlogits' pooled, dbias the sums of dlogits; dpooled (images, channels) = dlogits weight */
static int run_linear_backward(struct cuda_program *program, const struct launch *launch)
{
    const struct tail *tail = &program->tail;
    const struct matrix dlogits =
        matrix_of(launch_data(program, launch, tail->dlogits), tail->classes);
    const struct matrix_product products[] = {
        {.rows = tail->classes,
         .columns = tail->channels,
         .depth = program->images,
         .a = transposed(dlogits),
         .b = matrix_of(launch_data(program, launch, tail->pooled), tail->channels),
         .ret = launch_gradient(program, launch, tail->weight),
         .ret_stride = tail->channels,
         .ret_row_sums = launch_gradient(program, launch, tail->bias),
         .add = !program->run.first},
        {.rows = program->images,
         .columns = tail->channels,
         .depth = tail->classes,
         .a = dlogits,
         .b = matrix_of(launch_value(program, launch, tail->weight), tail->channels),
         .ret = launch_data(program, launch, tail->dpooled),
         .ret_stride = tail->channels}};
    return matrix_products_launch(products, ARRAY_LENGTH(products), program->device->stream);
}

static const struct launch_kind pool = {"batch_norm_pool_launch", run_pool};
static const struct launch_kind linear = {"matrix_product_launch", run_linear};
static const struct launch_kind loss = {"cross_entropy_launch", run_loss};
static const struct launch_kind results = {"device_read_async", run_results};
static const struct launch_kind linear_backward = {"matrix_products_launch", run_linear_backward};

/* ---- the schedule ---- */

static void tensors_add(struct cuda_program *program)
{
    struct tail *tail = &program->tail;
    const size_t images = program->images;
    tail->pooled =
        tensor_add(program, "pooled", UNIT_NONE, images * tail->channels * sizeof(float));
    tail->dpooled =
        tensor_add(program, "dpooled", UNIT_NONE, images * tail->channels * sizeof(float));
    tail->logits = tensor_add(program, "logits", UNIT_NONE, images * tail->classes * sizeof(float));
    tail->dlogits =
        tensor_add(program, "dlogits", UNIT_NONE, images * tail->classes * sizeof(float));
    tail->image_losses =
        tensor_add(program, "image losses", UNIT_NONE, images * sizeof(struct cross_entropy_sum));
    tail->loss = tensor_add(program, "loss", UNIT_NONE, sizeof(struct cross_entropy_sum));
}

void cuda_schedule_tail(struct cuda_program *program)
{
    const struct tail *tail = &program->tail;
    const struct unit *last = last_unit(program);
    tensors_add(program);
    launch_add(program, &pool, UNIT_NONE);
    launch_reads(program, last->y);
    launch_reads_norm(program, last);
    launch_reads(program, program->inputs.features);
    launch_writes(program, tail->pooled);

    launch_add(program, &linear, UNIT_NONE);
    launch_reads(program, tail->pooled);
    launch_reads_parameter(program, program->slabs.values, tail->weight);
    launch_reads_parameter(program, program->slabs.values, tail->bias);
    launch_writes(program, tail->logits);

    launch_add(program, &loss, UNIT_NONE);
    launch_reads(program, tail->logits);
    launch_reads(program, program->inputs.labels);
    launch_reads(program, program->inputs.partners);
    launch_reads(program, program->inputs.shares);
    launch_writes(program, tail->image_losses);
    launch_writes(program, tail->loss);
    launch_writes(program, tail->dlogits);
    launch_writes(program, program->inputs.control);

    launch_add(program, &results, UNIT_NONE);
    launch_reads(program, tail->logits);
    launch_reads(program, tail->loss);
}

void cuda_schedule_tail_backward(struct cuda_program *program)
{
    const struct tail *tail = &program->tail;
    launch_add(program, &linear_backward, UNIT_NONE);
    launch_reads(program, tail->dlogits);
    launch_reads(program, tail->pooled);
    launch_reads_parameter(program, program->slabs.values, tail->weight);
    launch_writes_parameter(program, program->slabs.gradients, tail->weight);
    launch_writes_parameter(program, program->slabs.gradients, tail->bias);
    launch_writes(program, tail->dpooled);
}
