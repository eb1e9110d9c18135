#include "worker/engine/onednn/program.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* What is known while the operations are walked. */
struct lowering {
    struct onednn_program *program;
    const struct graph_op *gate; /* waits for the convolution that reads its output */
    uint32_t *input_of;          /* graph tensor that each unit's first operation reads */
};

static uint32_t padded(const struct lowering *lowering, uint32_t channels)
{
    return channels_padded(channels, lowering->program->kernels->lanes);
}

static void gate_set(const struct lowering *lowering, struct unit *unit)
{
    if (!lowering->gate)
        return;
    unit->gated = true;
    unit->gate.parameter = lowering->gate->parameter;
    unit->gate.squeezed = padded(lowering, lowering->gate->squeezed);
}

static void convolution_lower(struct lowering *lowering, const struct graph_op *op)
{
    struct onednn_program *program = lowering->program;
    const struct graph *graph = program->program.graph;
    const struct graph_tensor *in = &graph->tensors[op->input], *out = &graph->tensors[op->output];
    struct unit *unit = &program->units[program->unit_count];
    const bool stem = op->input == 0;
    *unit = (struct unit){.kind = stem                       ? UNIT_STEM
                                  : op->kind == OP_DEPTHWISE ? UNIT_DEPTHWISE
                                                             : UNIT_DENSE,
                          .in_size = in->size,
                          .in_channels = stem ? in->channels : padded(lowering, in->channels),
                          .out_size = out->size,
                          .out_channels = padded(lowering, out->channels),
                          .kernel = op->kernel,
                          .stride = op->stride,
                          .weight = op->parameter,
                          .residual_from = UNIT_NONE};
    gate_set(lowering, unit);
    lowering->input_of[program->unit_count++] = lowering->gate ? lowering->gate->input : op->input;
    lowering->gate = NULL;
}

/* The unit whose input is that tensor. */
static uint32_t unit_reading(const struct lowering *lowering, uint32_t tensor)
{
    uint32_t i = 0;
    while (lowering->input_of[i] != tensor)
        i++;
    assert(i < lowering->program->unit_count && !lowering->program->units[i].gated);
    return i;
}

static void norm_lower(struct lowering *lowering, const struct graph_op *op)
{
    struct onednn_program *program = lowering->program;
    const uint32_t index = program->unit_count - 1;
    struct unit_norm *norm = &program->units[index].norm;
    *norm = (struct unit_norm){.scale = op->parameter,
                               .shift = op->parameter + 1,
                               .mean = op->parameter + 2,
                               .variance = op->parameter + 3,
                               .silu = op->silu,
                               .residual = UNIT_NONE};
    if (op->residual == GRAPH_NONE)
        return;
    norm->residual = unit_reading(lowering, op->residual);
    norm->block = op->block;
    program->units[norm->residual].residual_from = index;
    program->units[norm->residual].stored = true;
}

static void linear_lower(struct lowering *lowering, const struct graph_op *op)
{
    struct onednn_program *program = lowering->program;
    const struct graph *graph = program->program.graph;
    program->tail.channels = padded(lowering, graph->tensors[op->input].channels);
    program->tail.classes = graph->tensors[op->output].channels;
    program->tail.weight = op->parameter;
    program->tail.bias = op->parameter + 1;
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
        lowering->gate = op;
        return;
    case OP_MEAN:
        return;
    case OP_LINEAR:
        linear_lower(lowering, op);
        return;
    }
}

int program_lower(struct onednn_program *program)
{
    const struct graph *graph = program->program.graph;
    struct lowering lowering = {.program = program};
    program->units = calloc(graph->op_count, sizeof *program->units);
    lowering.input_of = calloc(graph->op_count, sizeof *lowering.input_of);
    int r = program->units && lowering.input_of ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < graph->op_count; i++)
        op_lower(&lowering, &graph->ops[i]);
    free(lowering.input_of);
    return r;
}
