/* The reference backend: runs the graph's operations one after another with reference/ops.h. Nothing is reused or fused:
 * every tensor has a value and a gradient of its own, at the same offset of two slabs. */
#include "worker/engine/backend.h"
#include "worker/engine/loss.h"
#include "worker/engine/optimizer.h"
#include "worker/engine/reference/ops.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reference_program {
    struct program program;
    struct recipe recipe;
    uint32_t batch;                      /* images of one part */
    float *parameters, *gradients;       /* the graph's slab; gradients of its trained part */
    float *states[OPTIMIZER_STATES_MAX]; /* (trained) each */
    float *averages;                     /* as the parameters; NULL where the recipe keeps none */
    float *used;             /* parameters or averages: what the network computes with */
    float *values, *dvalues; /* of all tensors and stashes */
    size_t value_count;
    size_t *tensor_at,
        *stash_at; /* offsets in the two slabs, of each tensor and of each operation's stash */
};

/* What an operation keeps between forward and backward, in floats:
 * OP_NORM     mean (c), variance (c), BN's output (N, p, c)
 * OP_SQUEEZE  mean (N, c), reduced (N, s), its SiLU (N, s), expanded (N, c), gate (N, c) */
static size_t stash_size(const struct graph *graph, const struct graph_op *op, uint32_t batch)
{
    const struct graph_tensor *output = &graph->tensors[op->output];
    const size_t c = output->channels;
    if (op->kind == OP_NORM)
        return 2 * c + (size_t)batch * output->size * output->size * c;
    if (op->kind == OP_SQUEEZE)
        return (size_t)batch * (3 * c + 2 * (size_t)op->squeezed);
    return 0;
}

struct squeeze_stash {
    float *mean, *reduced, *active, *expanded, *gate;
};

static struct squeeze_stash squeeze_stash_at(const struct graph_op *op, size_t channels,
                                             size_t batch, float *stash)
{
    struct squeeze_stash at = {.mean = stash};
    at.reduced = at.mean + batch * channels;
    at.active = at.reduced + batch * op->squeezed;
    at.expanded = at.active + batch * op->squeezed;
    at.gate = at.expanded + batch * channels;
    return at;
}

/* One operation with everything it touches looked up. */
struct step {
    const struct graph_op *op;
    struct graph_tensor in, out;
    float *x, *y, *residual, *stash;     /* values; residual NULL where there is none */
    float *dx, *dy, *dresidual, *dstash; /* gradients; dx NULL for the image */
    float *p[4], *dp[4]; /* the operation's parameters, in the graph's order, and their gradients */
};

static struct step step_at(const struct reference_program *program, size_t index)
{
    const struct graph *graph = program->program.graph;
    const struct graph_op *op = &graph->ops[index];
    struct step step = {
        .op = op, .in = graph->tensors[op->input], .out = graph->tensors[op->output]};
    step.x = program->values + program->tensor_at[op->input];
    step.y = program->values + program->tensor_at[op->output];
    step.stash = program->values + program->stash_at[index];
    step.dx = op->input == 0 ? NULL : program->dvalues + program->tensor_at[op->input];
    step.dy = program->dvalues + program->tensor_at[op->output];
    step.dstash = program->dvalues + program->stash_at[index];
    if (op->residual != GRAPH_NONE) {
        step.residual = program->values + program->tensor_at[op->residual];
        step.dresidual = program->dvalues + program->tensor_at[op->residual];
    }
    for (size_t i = 0; i < ARRAY_LENGTH(step.p) && op->parameter + i < graph->parameter_count;
         i++) {
        const size_t offset = graph->parameters[op->parameter + i].offset;
        step.p[i] = program->used + offset;
        step.dp[i] = program->gradients + offset;
    }
    return step;
}

static struct conv_shape conv_shape_of(const struct reference_program *program,
                                       const struct step *step)
{
    return (struct conv_shape){.batch = program->batch,
                               .in_size = step->in.size,
                               .in_channels = step->in.channels,
                               .out_size = step->out.size,
                               .out_channels = step->out.channels,
                               .kernel = step->op->kernel,
                               .stride = step->op->stride};
}

static struct norm_shape norm_shape_of(const struct reference_program *program,
                                       const struct step *step)
{
    return (struct norm_shape){.pixels = (size_t)program->batch * step->in.size * step->in.size,
                               .channels = step->in.channels,
                               .epsilon = GRAPH_NORM_EPSILON};
}

static struct map_shape map_shape_of(const struct reference_program *program,
                                     const struct step *step)
{
    return (struct map_shape){.batch = program->batch,
                              .channels = step->in.channels,
                              .pixels = (size_t)step->in.size * step->in.size};
}

/* Multiplies the rows (rows, count) by a factor each. */
static void rows_scale(size_t rows, size_t count, const float *factors, float *values)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < count; i++)
            values[row * count + i] *= factors[row];
}

/* The factors of the branch that ends with this operation, one an image; NULL where nothing is multiplied. */
static const float *branch_of(const struct reference_program *program, const struct step *step,
                              const struct part *part)
{
    if (!part->branches || step->op->residual == GRAPH_NONE)
        return NULL;
    return part->branches + (size_t)step->op->block * program->batch;
}

static void norm_run(const struct reference_program *program, const struct step *step,
                     const struct part *part, bool training)
{
    const float *branch = branch_of(program, step, part);
    const struct norm_shape shape = norm_shape_of(program, step);
    const size_t count = shape.pixels * shape.channels;
    float *mean = step->stash, *variance = mean + shape.channels,
          *normal = variance + shape.channels;
    struct norm_parameters parameters = {step->p[0], step->p[1], step->p[2], step->p[3]};
    if (training) {
        norm_statistics(&shape, step->x, mean, variance);
        parameters.mean = mean;
        parameters.variance = variance;
    }
    norm_forward(&shape, &parameters, step->x, normal);
    if (step->op->silu)
        silu_forward(count, normal, step->y);
    else
        memcpy(step->y, normal, count * sizeof *normal);
    if (branch)
        rows_scale(program->batch, count / program->batch, branch, step->y);
    if (step->residual)
        accumulate(count, step->residual, step->y);
}

/* dy becomes the gradient of what was multiplied. */
static void norm_run_backward(const struct reference_program *program, const struct step *step,
                              const struct part *part)
{
    const float *branch = branch_of(program, step, part);
    const struct norm_shape shape = norm_shape_of(program, step);
    const size_t count = shape.pixels * shape.channels;
    const float *mean = step->stash, *variance = mean + shape.channels,
                *normal = variance + shape.channels;
    float *dnormal = step->dstash + 2 * shape.channels;
    if (step->dresidual)
        accumulate(count, step->dy, step->dresidual);
    if (branch)
        rows_scale(program->batch, count / program->batch, branch, step->dy);
    if (step->op->silu)
        silu_backward(count, normal, step->dy, dnormal);
    else
        accumulate(count, step->dy, dnormal);
    const struct norm_parameters parameters = {step->p[0], step->p[1], mean, variance};
    const struct norm_gradients gradients = {step->dx, step->dp[0], step->dp[1]};
    norm_backward(&shape, &parameters, step->x, dnormal, &gradients);
}

static void squeeze_run(const struct reference_program *program, const struct step *step)
{
    const struct map_shape map = map_shape_of(program, step);
    const uint32_t batch = program->batch, s = step->op->squeezed;
    const struct squeeze_stash at = squeeze_stash_at(step->op, map.channels, batch, step->stash);
    mean_forward(&map, step->x, at.mean);
    linear_forward(&(struct linear_shape){batch, map.channels, s}, at.mean, step->p[0], step->p[1],
                   at.reduced);
    silu_forward((size_t)batch * s, at.reduced, at.active);
    linear_forward(&(struct linear_shape){batch, s, map.channels}, at.active, step->p[2],
                   step->p[3], at.expanded);
    sigmoid_forward((size_t)batch * map.channels, at.expanded, at.gate);
    gate_forward(&map, step->x, at.gate, step->y);
}

static void squeeze_run_backward(const struct reference_program *program, const struct step *step)
{
    const struct map_shape map = map_shape_of(program, step);
    const uint32_t batch = program->batch, s = step->op->squeezed;
    const struct squeeze_stash at = squeeze_stash_at(step->op, map.channels, batch, step->stash);
    const struct squeeze_stash d = squeeze_stash_at(step->op, map.channels, batch, step->dstash);
    gate_backward(&map, step->x, at.gate, step->dy, step->dx, d.gate);
    sigmoid_backward((size_t)batch * map.channels, at.gate, d.gate, d.expanded);
    linear_backward(&(struct linear_shape){batch, s, map.channels}, at.active, step->p[2],
                    d.expanded, &(struct linear_gradients){d.active, step->dp[2], step->dp[3]});
    silu_backward((size_t)batch * s, at.reduced, d.active, d.reduced);
    linear_backward(&(struct linear_shape){batch, map.channels, s}, at.mean, step->p[0], d.reduced,
                    &(struct linear_gradients){d.mean, step->dp[0], step->dp[1]});
    mean_backward(&map, d.mean, step->dx);
}

/* The global mean, then dropout. */
static void mean_run(const struct reference_program *program, const struct step *step,
                     const struct part *part)
{
    const struct map_shape map = map_shape_of(program, step);
    mean_forward(&map, step->x, step->y);
    if (part->features)
        rows_scale((size_t)map.batch * map.channels, 1, part->features, step->y);
}

static void mean_run_backward(const struct reference_program *program, const struct step *step,
                              const struct part *part)
{
    const struct map_shape map = map_shape_of(program, step);
    if (part->features)
        rows_scale((size_t)map.batch * map.channels, 1, part->features, step->dy);
    mean_backward(&map, step->dy, step->dx);
}

static void step_forward(const struct reference_program *program, const struct step *step,
                         const struct part *part, bool training)
{
    const struct conv_shape conv = conv_shape_of(program, step);
    const struct linear_shape linear = {program->batch, step->in.channels, step->out.channels};
    switch (step->op->kind) {
    case OP_CONV:
        conv_forward(&conv, step->x, step->p[0], step->y);
        return;
    case OP_DEPTHWISE:
        depthwise_forward(&conv, step->x, step->p[0], step->y);
        return;
    case OP_NORM:
        norm_run(program, step, part, training);
        return;
    case OP_SQUEEZE:
        squeeze_run(program, step);
        return;
    case OP_MEAN:
        mean_run(program, step, part);
        return;
    case OP_LINEAR:
        linear_forward(&linear, step->x, step->p[0], step->p[1], step->y);
        return;
    }
}

static void step_backward(const struct reference_program *program, const struct step *step,
                          const struct part *part)
{
    const struct conv_shape conv = conv_shape_of(program, step);
    const struct linear_shape linear = {program->batch, step->in.channels, step->out.channels};
    switch (step->op->kind) {
    case OP_CONV:
        conv_backward(&conv, step->x, step->p[0], step->dy, step->dx, step->dp[0]);
        return;
    case OP_DEPTHWISE:
        depthwise_backward(&conv, step->x, step->p[0], step->dy, step->dx, step->dp[0]);
        return;
    case OP_NORM:
        norm_run_backward(program, step, part);
        return;
    case OP_SQUEEZE:
        squeeze_run_backward(program, step);
        return;
    case OP_MEAN:
        mean_run_backward(program, step, part);
        return;
    case OP_LINEAR:
        linear_backward(&linear, step->x, step->p[0], step->dy,
                        &(struct linear_gradients){step->dx, step->dp[0], step->dp[1]});
        return;
    }
}

static struct reference_program *program_of(struct program *program)
{
    return (struct reference_program *)program;
}

static struct optimizer_slabs slabs_of(const struct reference_program *program)
{
    const struct graph *graph = program->program.graph;
    return (struct optimizer_slabs){.values = program->parameters,
                                    .gradients = program->gradients,
                                    .states = {program->states[0], program->states[1]},
                                    .averages = program->averages,
                                    .total = graph->total,
                                    .count = graph->trained,
                                    .decayed = graph->decayed};
}

static float *logits_of(const struct reference_program *program, float *slab)
{
    return slab + program->tensor_at[program->program.graph->tensor_count - 1];
}

static void forward(struct reference_program *program, const struct part *part, bool training)
{
    const struct graph *graph = program->program.graph;
    const struct graph_tensor *image = &graph->tensors[0];
    const size_t pixels = (size_t)image->size * image->size * image->channels;
    memcpy(program->values + program->tensor_at[0], part->images,
           part->count * pixels * sizeof(float));
    for (size_t i = 0; i < graph->op_count; i++) {
        const struct step step = step_at(program, i);
        step_forward(program, &step, part, training);
    }
    memcpy(part->logits, logits_of(program, program->values),
           (size_t)part->count * graph->problem.classes * sizeof(float));
}

/* running = momentum running + (1 - momentum) batch */
static void statistics_move(struct reference_program *program)
{
    const struct graph *graph = program->program.graph;
    const double momentum = program->recipe.bn_momentum;
    for (size_t i = 0; i < graph->op_count; i++) {
        const struct step step = step_at(program, i);
        if (step.op->kind != OP_NORM)
            continue;
        for (uint32_t c = 0; c < step.in.channels; c++) {
            const double mean = step.stash[c], variance = step.stash[step.in.channels + c];
            step.p[2][c] = (float)(momentum * step.p[2][c] + (1.0 - momentum) * mean);
            step.p[3][c] = (float)(momentum * step.p[3][c] + (1.0 - momentum) * variance);
        }
    }
}

static int reference_train(struct program *base, const struct part *part,
                           struct batch_result *ret_result)
{
    struct reference_program *program = program_of(base);
    const struct graph *graph = base->graph;
    assert(part->count == program->batch);
    program->used = program->parameters;
    forward(program, part, true);
    if (!part->keep_statistics)
        statistics_move(program);

    memset(program->dvalues, 0, program->value_count * sizeof *program->dvalues);
    if (part->first)
        memset(program->gradients, 0, graph->trained * sizeof *program->gradients);
    const struct loss_options options = {part->count, graph->problem.classes,
                                         program->recipe.label_smoothing,
                                         1.0 / program->recipe.batch};
    const struct loss_targets targets = {part->labels, part->partners, part->shares};
    *ret_result =
        loss_softmax(&options, &targets, part->logits, logits_of(program, program->dvalues));
    for (size_t i = graph->op_count; i-- > 0;) {
        const struct step step = step_at(program, i);
        step_backward(program, &step, part);
    }
    return 0;
}

static int reference_update(struct program *base, const struct optimizer_update *update)
{
    const struct optimizer_slabs slabs = slabs_of(program_of(base));
    return optimizer_step(&program_of(base)->recipe, update, &slabs);
}

static int reference_infer(struct program *base, const struct part *part,
                           struct batch_result *ret_result)
{
    struct reference_program *program = program_of(base);
    assert(part->count <= program->batch);
    program->used = program->averages ? program->averages : program->parameters;
    forward(program, part, false);
    const struct loss_options options = {part->count, base->graph->problem.classes, 0, 0};
    const struct loss_targets targets = {.labels = part->labels};
    *ret_result = loss_softmax(&options, &targets, part->logits, NULL);
    return 0;
}

static float *slab_of(const struct reference_program *program, enum value_class class)
{
    switch (class) {
    case VALUE_PARAMETER:
        return program->parameters;
    case VALUE_AVERAGE:
        return program->averages;
    case VALUE_STATE_0:
        return program->states[0];
    case VALUE_STATE_1:
        return program->states[1];
    case VALUE_GRADIENT:
        break;
    }
    return program->gradients;
}

static int reference_read(struct program *base, enum value_class class, size_t index,
                          float *ret_values)
{
    const struct graph_parameter *parameter = &base->graph->parameters[index];
    memcpy(ret_values, slab_of(program_of(base), class) + parameter->offset,
           parameter->elements * sizeof *ret_values);
    return 0;
}

static int reference_write(struct program *base, enum value_class class, size_t index,
                           const float *values)
{
    const struct graph_parameter *parameter = &base->graph->parameters[index];
    memcpy(slab_of(program_of(base), class) + parameter->offset, values,
           parameter->elements * sizeof *values);
    return 0;
}

static void reference_poison(struct program *base)
{
    struct reference_program *program = program_of(base);
    for (size_t i = 0; i < program->value_count; i++)
        program->values[i] = program->dvalues[i] = NAN;
    for (size_t i = 0; i < base->graph->trained; i++)
        program->gradients[i] = NAN;
}

/* Gives every tensor and stash its offset and sets value_count. */
static void lay_out(struct reference_program *program)
{
    const struct graph *graph = program->program.graph;
    size_t at = 0;
    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct graph_tensor *tensor = &graph->tensors[i];
        program->tensor_at[i] = at;
        at += (size_t)program->batch * tensor->size * tensor->size * tensor->channels;
    }
    for (size_t i = 0; i < graph->op_count; i++) {
        program->stash_at[i] = at;
        at += stash_size(graph, &graph->ops[i], program->batch);
    }
    program->value_count = at;
}

static int allocate(struct reference_program *program, struct device *device, struct error *error)
{
    const struct graph *graph = program->program.graph;
    const size_t states = optimizer_state_count(program->recipe.optimizer);
    const bool averaged = program->recipe.ema_decay > 0;
    const size_t bytes = sizeof(float) * (2 * program->value_count + (1 + averaged) * graph->total +
                                          (1 + states) * graph->trained);
    program->program.bytes = bytes;
    device->bytes_needed = bytes;
    if (device->bytes_max && bytes > device->bytes_max)
        return error_set(error, -ENOMEM, "", "the plan needs %zu bytes, the limit is %zu", bytes,
                         device->bytes_max);
    program->values = calloc(program->value_count, sizeof(float));
    program->dvalues = calloc(program->value_count, sizeof(float));
    program->parameters = calloc(graph->total, sizeof(float));
    program->gradients = calloc(graph->trained, sizeof(float));
    if (averaged)
        program->averages = calloc(graph->total, sizeof(float));
    bool complete = program->values && program->dvalues && program->parameters &&
                    program->gradients && (program->averages || !averaged);
    for (size_t i = 0; i < states; i++) {
        program->states[i] = calloc(graph->trained, sizeof(float));
        complete = complete && program->states[i];
    }
    return complete ? 0 : error_set(error, -ENOMEM, "", "the plan needs %zu bytes", bytes);
}

static void reference_release(struct program *base)
{
    if (!base)
        return;
    struct reference_program *program = program_of(base);
    free(program->values);
    free(program->dvalues);
    free(program->parameters);
    free(program->gradients);
    free(program->averages);
    for (size_t i = 0; i < ARRAY_LENGTH(program->states); i++)
        free(program->states[i]);
    free(program->tensor_at);
    free(program->stash_at);
    free(program);
}

static int reference_compile(struct device *device, const struct graph *graph,
                             const struct plan_options *options, struct program **ret_program,
                             struct error *error)
{
    struct reference_program *program = calloc(1, sizeof *program);
    if (!program)
        return error_set(error, -ENOMEM, "", "out of memory");
    program->program.graph = graph;
    program->recipe = options->recipe;
    program->batch = options->recipe.batch / options->micro_batches;
    program->tensor_at = calloc(graph->tensor_count, sizeof *program->tensor_at);
    program->stash_at = calloc(graph->op_count, sizeof *program->stash_at);
    int r = program->tensor_at && program->stash_at
                ? 0
                : error_set(error, -ENOMEM, "", "out of memory");
    if (r == 0) {
        lay_out(program);
        r = allocate(program, device, error);
    }
    if (r < 0) {
        reference_release(&program->program);
        return r;
    }
    const struct optimizer_slabs slabs = slabs_of(program);
    optimizer_init(program->recipe.optimizer, &slabs);
    *ret_program = &program->program;
    return 0;
}

static int reference_open(const char *name, struct device **ret_device, struct error *error)
{
    int r = device_is_cpu(name, error);
    if (r < 0)
        return r;
    struct device *device = calloc(1, sizeof *device);
    if (!device)
        return error_set(error, -ENOMEM, "", "out of memory");
    *ret_device = device;
    return 0;
}

static void reference_close(struct device *device)
{
    free(device);
}

const struct backend *backend_reference(void)
{
    static const struct backend backend = {
        .name = "reference",
        .device_open = reference_open,
        .device_close = reference_close,
        .compile = reference_compile,
        .release = reference_release,
        .train = reference_train,
        .update = reference_update,
        .infer = reference_infer,
        .read = reference_read,
        .write = reference_write,
        .poison = reference_poison,
    };
    return &backend;
}
