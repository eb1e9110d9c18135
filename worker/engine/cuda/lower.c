#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <stdlib.h>

/* What is known while the operations are walked. */
struct lowering {
    struct cuda_program *program;
    uint32_t *output_of; /* graph tensor that each unit makes */
};

static struct unit *last_unit(const struct lowering *lowering)
{
    assert(lowering->program->unit_count > 0);
    return &lowering->program->units[lowering->program->unit_count - 1];
}

/* A unit that has no tensors yet. */
static struct unit unit_begin(void)
{
    struct unit unit = {.residual = UNIT_NONE,
                        .residual_to = UNIT_NONE,
                        .gate = {.pooled = TENSOR_NONE,
                                 .reduced = TENSOR_NONE,
                                 .active = TENSOR_NONE,
                                 .gate = TENSOR_NONE,
                                 .sums = TENSOR_NONE,
                                 .added = TENSOR_NONE,
                                 .scratch = TENSOR_NONE},
                        .y = TENSOR_NONE,
                        .z = TENSOR_NONE,
                        .moments = TENSOR_NONE,
                        .sums = TENSOR_NONE,
                        .backward_sums = TENSOR_NONE,
                        .means = TENSOR_NONE,
                        .dz = TENSOR_NONE,
                        .dy = TENSOR_NONE,
                        .weight_sums = TENSOR_NONE};
    for (size_t pass = 0; pass < CONVOLUTION_PASSES; pass++)
        unit.workspaces[pass] = TENSOR_NONE;
    return unit;
}

static void convolution_lower(struct lowering *lowering, const struct graph_op *op)
{
    struct cuda_program *program = lowering->program;
    const struct graph *graph = program->program.graph;
    const struct graph_tensor *in = &graph->tensors[op->input], *out = &graph->tensors[op->output];
    const uint32_t index = program->unit_count++;
    assert(index == 0 ? op->input == 0 : op->input == lowering->output_of[index - 1]);
    struct unit *unit = &program->units[index];
    *unit = unit_begin();
    unit->shape = (struct convolution){.depthwise = op->kind == OP_DEPTHWISE,
                                       .first = index == 0,
                                       .batch = program->images,
                                       .in_channels = convolution_pad_channels(in->channels),
                                       .out_channels = convolution_pad_channels(out->channels),
                                       .kernel = op->kernel,
                                       .stride = op->stride,
                                       .in_size = in->size,
                                       .out_size = out->size};
    unit->input = index == 0 ? INPUT_IMAGES : INPUT_MAP;
    unit->weight = op->parameter;
    assert(index > 0 || op->kind == OP_CONV);
}

/* The unit that makes a tensor. */
static uint32_t unit_making(const struct lowering *lowering, uint32_t tensor)
{
    uint32_t i = 0;
    while (lowering->output_of[i] != tensor)
        i++;
    assert(i < lowering->program->unit_count);
    return i;
}

static void norm_lower(struct lowering *lowering, const struct graph_op *op)
{
    struct cuda_program *program = lowering->program;
    const uint32_t index = program->unit_count - 1;
    struct unit *unit = last_unit(lowering);
    unit->norm = op->parameter;
    unit->silu = op->silu;
    lowering->output_of[index] = op->output;
    if (op->residual == GRAPH_NONE)
        return;
    unit->residual = unit_making(lowering, op->residual);
    unit->block = op->block;
    program->units[unit->residual].residual_to = index;
}

static void squeeze_lower(struct lowering *lowering, const struct graph_op *op)
{
    struct unit *unit = last_unit(lowering);
    assert(unit->silu && unit->residual == UNIT_NONE);
    unit->gated = true;
    unit->gate.parameter = op->parameter;
    unit->gate.squeezed = op->squeezed;
    lowering->output_of[lowering->program->unit_count - 1] = op->output;
}

static void linear_lower(struct lowering *lowering, const struct graph_op *op)
{
    const struct graph *graph = lowering->program->program.graph;
    lowering->program->tail =
        (struct tail){.channels = convolution_pad_channels(graph->tensors[op->input].channels),
                      .classes = graph->tensors[op->output].channels,
                      .weight = op->parameter,
                      .bias = op->parameter + 1};
}

static void op_lower(struct lowering *lowering, const struct graph_op *op)
{
    switch (op->kind) {
    case OP_CONV:
    case OP_DEPTHWISE:
        convolution_lower(lowering, op);
        return;
    case OP_NORM:
        norm_lower(lowering, op);
        return;
    case OP_SQUEEZE:
        squeeze_lower(lowering, op);
        return;
    case OP_MEAN:
        return;
    case OP_LINEAR:
        linear_lower(lowering, op);
        return;
    }
}

/* Whether a depthwise convolution can do without its input being stored: nobody else reads it, and it is made of y alone. */
static void inputs_set(struct cuda_program *program)
{
    for (uint32_t i = 1; i < program->unit_count; i++) {
        const struct unit *before = &program->units[i - 1];
        struct unit *unit = &program->units[i];
        if (unit->shape.depthwise && !before->gated && before->residual == UNIT_NONE &&
            before->residual_to == UNIT_NONE)
            unit->input = INPUT_NORMALISED;
    }
    const struct unit *last = &program->units[program->unit_count - 1];
    assert(!last->gated && last->residual == UNIT_NONE && last->residual_to == UNIT_NONE);
    (void)last;
}

/* Kernels count the pixels of a map in 32 bits. */
static int pixels_check(const struct cuda_program *program, struct error *error)
{
    const struct graph *graph = program->program.graph;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const uint64_t size = graph->tensors[i].size;
        if (program->images * size * size > UINT32_MAX)
            return error_set(error, -EINVAL, "/micro_batches",
                             "%u images of %u x %u pixels are too many for one part",
                             program->images, graph->tensors[i].size, graph->tensors[i].size);
    }
    return 0;
}

int cuda_lower(struct cuda_program *program, struct error *error)
{
    const struct graph *graph = program->program.graph;
    struct lowering lowering = {.program = program};
    int r = pixels_check(program, error);
    if (r < 0)
        return r;
    program->units = calloc(graph->op_count, sizeof *program->units);
    lowering.output_of = calloc(graph->op_count, sizeof *lowering.output_of);
    if (!program->units || !lowering.output_of) {
        free(lowering.output_of);
        return error_set(error, -ENOMEM, "", "out of memory");
    }
    for (size_t i = 0; i < graph->op_count; i++)
        op_lower(&lowering, &graph->ops[i]);
    free(lowering.output_of);
    inputs_set(program);
    return 0;
}

int cuda_prepare(struct cuda_program *program, struct error *error)
{
    for (uint32_t i = 0; i < program->unit_count; i++) {
        struct unit *unit = &program->units[i];
        for (int pass = 0; pass < CONVOLUTION_PASSES && !unit->shape.depthwise; pass++) {
            if (unit->shape.first && pass == CONVOLUTION_BACKWARD_DATA)
                continue;
            const int r = convolver_prepare(program->device->convolver, &unit->shape,
                                            (enum convolution_pass)pass, &unit->plans[pass], error);
            if (r < 0)
                return r;
            device_built_part(&program->device->device);
        }
    }
    return 0;
}
