/* The convolver of tests: what cuDNN does, in plain C, as work of the emulator's streams. Maps are
 * rounded to bfloat16 when stored, and the gradient of the weights too before it is given out or
 * added, as cuDNN's is. Every pass wants a workspace, where one is allowed, and leaves nothing of it
 * whole; whatever a pass reads or writes has to lie within one allocation of device memory. */
#include "worker/engine/cuda/convolver.h"

#include "kernels/device.h"
#include "kernels/portable.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/state.h"
#include "worker/engine/cuda/convolver_layout.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a plan of cuDNN's might want. */
enum { PLAN_BYTES = 1000, ALIGNMENT = 16 };

struct convolver_plan {
    struct convolver_plan *next;
    struct convolution shape;
    enum convolution_pass pass;
    size_t workspace_bytes;
};

struct convolver {
    struct CUstream_st *stream;
    size_t workspace_bytes_max;
    struct convolver_plan *plans;
};

/* One run, as it is queued. */
struct job {
    struct convolution shape;
    enum convolution_pass pass;
    size_t workspace_bytes;
    struct convolver_tensors tensors;
};

int convolver_new(const struct convolver_options *options, struct convolver **ret_convolver,
                  struct error *error)
{
    int r = device_check(error);
    if (r < 0)
        return r;
    struct convolver *convolver = calloc(1, sizeof *convolver);
    if (!convolver)
        return error_set(error, -ENOMEM, "", "out of memory");
    convolver->stream = options->stream;
    convolver->workspace_bytes_max = options->workspace_bytes_max;
    *ret_convolver = convolver;
    return 0;
}

void convolver_free(struct convolver *convolver)
{
    while (convolver && convolver->plans) {
        struct convolver_plan *plan = convolver->plans;
        convolver->plans = plan->next;
        free(plan);
    }
    free(convolver);
}

int convolver_prepare(struct convolver *convolver, const struct convolution *convolution,
                      enum convolution_pass pass, const struct convolver_plan **ret_plan,
                      struct error *error)
{
    struct plan_request request;
    int r = convolver_request(convolution, pass, convolver->workspace_bytes_max, &request, error);
    if (r < 0)
        return r;
    struct convolver_plan *plan = convolver->plans;
    while (plan && (plan->pass != pass || !convolution_equal(&plan->shape, &request.convolution)))
        plan = plan->next;
    if (!plan) {
        plan = malloc(sizeof *plan);
        if (!plan)
            return error_set(error, -ENOMEM, "", "out of memory");
        const size_t plan_bytes =
            request.workspace_bytes_max < PLAN_BYTES ? request.workspace_bytes_max : PLAN_BYTES;
        *plan = (struct convolver_plan){
            .next = convolver->plans,
            .shape = request.convolution,
            .pass = pass,
            .workspace_bytes = convolver_workspace_bytes(convolution, pass, plan_bytes)};
        convolver->plans = plan;
    }
    *ret_plan = plan;
    return 0;
}

size_t convolver_workspace(const struct convolver_plan *plan)
{
    return plan->workspace_bytes;
}

static size_t input_count(const struct convolution *shape)
{
    return (size_t)shape->batch * shape->in_size * shape->in_size * shape->in_channels;
}

static size_t output_count(const struct convolution *shape)
{
    return (size_t)shape->batch * shape->out_size * shape->out_size * shape->out_channels;
}

/* Row or column of the image under position r of the kernel; negative, or beyond, on the padding. */
static int64_t under(const struct convolution *shape, uint32_t out, uint32_t r)
{
    return (int64_t)out * shape->stride + r - shape->kernel / 2;
}

/* Calls visit for every pair of an output pixel and a pixel under position (r, s) of the kernel:
 * (n, p, q) and (n, h, w) as the indices of their first channels. */
struct pairs {
    const struct convolution *shape;
    uint32_t r, s;
    void (*visit)(void *context, size_t output, size_t input);
    void *context;
};

static void visit_row(const struct pairs *pairs, size_t output_row, size_t input_row)
{
    const struct convolution *shape = pairs->shape;
    for (uint32_t q = 0; q < shape->out_size; q++) {
        const int64_t w = under(shape, q, pairs->s);
        if (w >= 0 && w < shape->in_size)
            pairs->visit(pairs->context, (output_row + q) * shape->out_channels,
                         (input_row + (size_t)w) * shape->in_channels);
    }
}

static void visit_pairs(const struct pairs *pairs)
{
    const struct convolution *shape = pairs->shape;
    for (size_t n = 0; n < shape->batch; n++)
        for (uint32_t p = 0; p < shape->out_size; p++) {
            const int64_t h = under(shape, p, pairs->r);
            if (h >= 0 && h < shape->in_size)
                visit_row(pairs, (n * shape->out_size + p) * shape->out_size,
                          (n * shape->in_size + (size_t)h) * shape->in_size);
        }
}

/* In float: what is read, and what is written before it is rounded. */
struct floats {
    float *x; /* (N, H, W, C) */
    float *y; /* (N, P, Q, K) */
    float *w; /* (C, K) of one position of the kernel */
    uint32_t in, out;
};

static float *widen(const uint16_t *halves, size_t count)
{
    float *values = calloc(count, sizeof *values);
    for (size_t i = 0; values && halves && i < count; i++)
        values[i] = float_of_bfloat(halves[i]);
    return values;
}

static void store(const float *values, uint16_t *halves, size_t count)
{
    for (size_t i = 0; i < count; i++)
        halves[i] = bfloat_of(values[i]);
}

/* y (K) += x (C) w (C, K) */
static void visit_forward(void *context, size_t output, size_t input)
{
    const struct floats *floats = context;
    float *restrict y = floats->y + output;
    for (uint32_t c = 0; c < floats->in; c++) {
        const float x = floats->x[input + c];
        const float *restrict w = floats->w + (size_t)c * floats->out;
        for (uint32_t k = 0; k < floats->out; k++)
            y[k] += x * w[k];
    }
}

/* x (C) += w (C, K) y (K) */
static void visit_data(void *context, size_t output, size_t input)
{
    const struct floats *floats = context;
    const float *restrict y = floats->y + output;
    for (uint32_t c = 0; c < floats->in; c++) {
        const float *restrict w = floats->w + (size_t)c * floats->out;
        float sum[8] = {0};
        for (uint32_t k = 0; k < floats->out; k += 8) /* channels come in multiples of 8 */
            for (uint32_t i = 0; i < 8; i++)
                sum[i] += w[k + i] * y[k + i];
        for (uint32_t i = 0; i < 8; i++)
            floats->x[input + c] += sum[i];
    }
}

/* w (C, K) += x (C) y (K) */
static void visit_filter(void *context, size_t output, size_t input)
{
    const struct floats *floats = context;
    const float *restrict y = floats->y + output;
    for (uint32_t c = 0; c < floats->in; c++) {
        const float x = floats->x[input + c];
        float *restrict w = floats->w + (size_t)c * floats->out;
        for (uint32_t k = 0; k < floats->out; k++)
            w[k] += x * y[k];
    }
}

/* Index of (k, r, s, c) in (K, R, S, C). */
static size_t weight_at(const struct convolution *shape, uint32_t k, size_t position, uint32_t c)
{
    const size_t positions = (size_t)shape->kernel * shape->kernel;
    return (k * positions + position) * shape->in_channels + c;
}

static void take_weights(const struct job *job, size_t position, float *w)
{
    const struct convolution *shape = &job->shape;
    const uint16_t *weights = job->tensors.weights;
    for (uint32_t k = 0; k < shape->out_channels; k++)
        for (uint32_t c = 0; c < shape->in_channels; c++)
            w[(size_t)c * shape->out_channels + k] =
                float_of_bfloat(weights[weight_at(shape, k, position, c)]);
}

static void give_gradient(const struct job *job, size_t position, const float *w)
{
    const struct convolution *shape = &job->shape;
    for (uint32_t k = 0; k < shape->out_channels; k++)
        for (uint32_t c = 0; c < shape->in_channels; c++) {
            const float got = float_of_bfloat(bfloat_of(w[(size_t)c * shape->out_channels + k]));
            float *to = &job->tensors.dweights[weight_at(shape, k, position, c)];
            *to = job->tensors.add ? *to + got : got;
        }
}

/* All positions of the kernel, one after the other. */
static void convolve(const struct job *job, struct floats *floats)
{
    static void (*const visits[])(void *, size_t, size_t) = {visit_forward, visit_data,
                                                             visit_filter};
    const struct convolution *shape = &job->shape;
    const size_t weights = (size_t)shape->in_channels * shape->out_channels;
    for (uint32_t r = 0; r < shape->kernel; r++)
        for (uint32_t s = 0; s < shape->kernel; s++) {
            const size_t position = (size_t)r * shape->kernel + s;
            const struct pairs pairs = {shape, r, s, visits[job->pass], floats};
            memset(floats->w, 0, weights * sizeof *floats->w);
            if (job->pass != CONVOLUTION_BACKWARD_FILTER)
                take_weights(job, position, floats->w);
            visit_pairs(&pairs);
            if (job->pass == CONVOLUTION_BACKWARD_FILTER)
                give_gradient(job, position, floats->w);
        }
}

static int compute(const struct job *job)
{
    const struct convolution *shape = &job->shape;
    const bool forward = job->pass == CONVOLUTION_FORWARD;
    const bool data = job->pass == CONVOLUTION_BACKWARD_DATA;
    const size_t weights = (size_t)shape->in_channels * shape->out_channels;
    struct floats floats = {
        .x = widen(data ? NULL : job->tensors.x, input_count(shape)),
        .y = widen(forward ? NULL : job->tensors.y, output_count(shape)),
        .w = calloc(weights, sizeof(float)),
        .in = shape->in_channels,
        .out = shape->out_channels,
    };
    const bool whole = floats.x && floats.y && floats.w;
    if (whole) {
        convolve(job, &floats);
        if (forward)
            store(floats.y, job->tensors.y, output_count(shape));
        if (data)
            store(floats.x, job->tensors.x, input_count(shape));
    }
    free(floats.x);
    free(floats.y);
    free(floats.w);
    return whole ? 0 : -ENOMEM;
}

/* Breaks the device where something does not lie in its memory; whether all does. */
static bool tensors_are_there(struct machine *machine, const struct job *job)
{
    const struct convolver_tensors *tensors = &job->tensors;
    const bool filter = job->pass == CONVOLUTION_BACKWARD_FILTER;
    const size_t weights = convolution_weight_count(&job->shape);
    const struct {
        const char *name;
        const void *data;
        size_t bytes;
    } parts[] = {{"x", tensors->x, input_count(&job->shape) * sizeof(uint16_t)},
                 {"y", tensors->y, output_count(&job->shape) * sizeof(uint16_t)},
                 {"weights", filter ? NULL : tensors->weights, weights * sizeof(uint16_t)},
                 {"dweights", filter ? tensors->dweights : NULL, weights * sizeof(float)},
                 {"workspace", tensors->workspace, job->workspace_bytes}};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        char complaint[COMPLAINT_SIZE], text[CONVOLUTION_TEXT_SIZE];
        if (!parts[i].data || memory_holds(machine, parts[i].data, parts[i].bytes, false))
            continue;
        convolution_text(&job->shape, text);
        snprintf(complaint, sizeof complaint, "%s of %s: %s is not in the device's memory",
                 convolution_pass_name(job->pass), text, parts[i].name);
        machine_break(machine, cudaErrorIllegalAddress, complaint);
        return false;
    }
    return true;
}

static void run_job(const void *argument)
{
    const struct job *job = argument;
    struct machine *machine = machine_enter();
    if (tensors_are_there(machine, job)) {
        if (job->workspace_bytes > 0)
            memset(job->tensors.workspace, 0xff, job->workspace_bytes);
        if (compute(job) < 0)
            machine_break(machine, cudaErrorMemoryAllocation, "out of memory for a convolution");
    }
    (void)machine_leave(machine, cudaSuccess);
}

static bool aligned(const void *pointer, size_t bytes)
{
    return pointer && (uintptr_t)pointer % bytes == 0;
}

int convolver_run(struct convolver *convolver, const struct convolver_plan *plan,
                  const struct convolver_tensors *tensors)
{
    const bool filter = plan->pass == CONVOLUTION_BACKWARD_FILTER;
    const struct job job = {.shape = plan->shape,
                            .pass = plan->pass,
                            .workspace_bytes = plan->workspace_bytes,
                            .tensors = *tensors};
    assert(plan->shape.in_channels % 8 == 0 && plan->shape.out_channels % 8 == 0);
    assert(aligned(tensors->x, ALIGNMENT) && aligned(tensors->y, ALIGNMENT));
    assert(aligned(filter ? (void *)tensors->dweights : tensors->weights, ALIGNMENT));
    assert(plan->workspace_bytes == 0 || aligned(tensors->workspace, CONVOLVER_ALIGNMENT));
    return emulator_enqueue(convolver->stream, run_job, &job, sizeof job);
}

/* There is nothing to choose from, but the outputs are lost all the same. */
int convolver_tune(struct convolver *convolver, const struct convolution *convolution,
                   enum convolution_pass pass, const struct convolver_tensors *tensors,
                   size_t workspace_bytes, struct error *error)
{
    const struct convolver_plan *plan;
    int r = convolver_prepare(convolver, convolution, pass, &plan, error);
    if (r < 0)
        return r;
    if (plan->workspace_bytes > workspace_bytes)
        return error_set(error, -ENOTSUP, "", "%zu bytes of workspace are too few to time a plan",
                         workspace_bytes);
    void *const outputs[] = {tensors->y, tensors->x, tensors->dweights};
    const size_t bytes[] = {output_count(convolution) * sizeof(uint16_t),
                            input_count(convolution) * sizeof(uint16_t),
                            convolution_weight_count(convolution) * sizeof(float)};
    const cudaError_t status = cudaMemsetAsync(outputs[pass], 0xff, bytes[pass], convolver->stream);
    if (status != cudaSuccess || cudaStreamSynchronize(convolver->stream) != cudaSuccess)
        return error_set(error, -EIO, "", "the device has failed");
    return 0;
}
