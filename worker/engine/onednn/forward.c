#include "worker/engine/onednn/program.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- normalisation ---- */

/* The first pixel of every channel: any value near the mean keeps the squares small. */
static void pivot_set(const struct onednn_program *program, struct unit *unit)
{
    const struct kernel_map map = unit_map(program, unit, 1);
    program->kernels->norm_pivot(&map, unit->z, unit->norm.pivot);
    memset(unit->norm.sums, 0, 2 * unit->out_channels * sizeof(double));
}

/* pre = z slope + offset = (z - mean) inverse scale + shift */
static void slopes_set(const struct onednn_program *program, struct unit *unit, const float *mean)
{
    const struct unit_norm *norm = &unit->norm;
    const float *scale = parameter_value(program, norm->scale),
                *shift = parameter_value(program, norm->shift);
    for (uint32_t c = 0; c < unit->out_channels; c++) {
        const double slope = (double)scale[c] * (double)norm->inverse[c];
        norm->slope[c] = (float)slope;
        norm->offset[c] = (float)((double)shift[c] - (double)mean[c] * slope);
    }
}

static void batch_statistics(const struct onednn_program *program, struct unit *unit,
                             bool keep_running)
{
    const struct unit_norm *norm = &unit->norm;
    const double *sum = unit_sums(unit, 0), *squares = unit_sums(unit, 1);
    const double count = (double)program->images * unit->out_size * unit->out_size;
    const double momentum = program->recipe.bn_momentum;
    float *mean = parameter_value(program, norm->mean),
          *variance = parameter_value(program, norm->variance);
    for (uint32_t c = 0; c < unit->out_channels; c++) {
        const double off = sum[c] / count, of_batch = (double)norm->pivot[c] + off;
        double spread = squares[c] / count - off * off;
        if (spread < 0)
            spread = 0;
        norm->batch_mean[c] = (float)of_batch;
        norm->inverse[c] = (float)(1.0 / sqrt(spread + GRAPH_NORM_EPSILON));
        if (keep_running)
            continue;
        mean[c] = (float)(momentum * (double)mean[c] + (1.0 - momentum) * of_batch);
        variance[c] = (float)(momentum * (double)variance[c] + (1.0 - momentum) * spread);
    }
    slopes_set(program, unit, norm->batch_mean);
}

static void running_statistics(const struct onednn_program *program, struct unit *unit)
{
    const float *variance = parameter_value(program, unit->norm.variance);
    for (uint32_t c = 0; c < unit->out_channels; c++)
        unit->norm.inverse[c] = (float)(1.0 / sqrt((double)variance[c] + GRAPH_NORM_EPSILON));
    slopes_set(program, unit, parameter_value(program, unit->norm.mean));
}

/* act(norm(z)) + residual of `images` images from `first` on, and act's slope where ret_slope is not NULL. */
static void output_make(struct onednn_program *program, uint32_t index, const uint32_t images[2],
                        void *ret_y, void *ret_slope)
{
    const struct unit *unit = &program->units[index];
    const struct kernel_map map = unit_map(program, unit, images[1]);
    const size_t at = images[0] * map_elements(unit->out_size, unit->out_channels);
    struct norm_apply apply = {.z = map_at(program, unit->z, at),
                               .slope = unit->norm.slope,
                               .offset = unit->norm.offset,
                               .y = ret_y,
                               .branch = unit_branch(program, unit, images[0]),
                               .act_slope = ret_slope,
                               .silu = unit->norm.silu};
    if (unit->norm.residual != UNIT_NONE)
        apply.residual = map_at(program, program->units[unit->norm.residual].x, at);
    program->kernels->norm_apply(&map, &apply);
    profile_stop(program, PROFILE_NORM_APPLY);
}

/* ---- squeeze-and-excitation ---- */

static void gate_make(struct onednn_program *program, const struct unit *unit, uint32_t first,
                      const void *y)
{
    const struct kernels *kernels = program->kernels;
    const struct unit_gate *gate = &unit->gate;
    const uint32_t wide = unit->in_channels, narrow = gate->squeezed;
    const struct kernel_map map = {unit->chunk, wide / kernels->lanes,
                                   (size_t)unit->in_size * unit->in_size};
    const size_t at_wide = (size_t)first * wide, at_narrow = (size_t)first * narrow;
    const struct kernel_linear matrix = {unit->chunk, wide, narrow};
    kernels->map_mean(&map, y, gate->mean + at_wide);
    kernels->linear_dot(&matrix, gate->mean + at_wide, parameter_value(program, gate->parameter),
                        parameter_value(program, gate->parameter + 1), gate->reduced + at_narrow);
    kernels->silu((size_t)unit->chunk * narrow, gate->reduced + at_narrow,
                  gate->active + at_narrow);
    kernels->linear_mix(&matrix, gate->active + at_narrow,
                        parameter_value(program, gate->parameter + 2),
                        parameter_value(program, gate->parameter + 3), gate->gate + at_wide);
    kernels->sigmoid((size_t)unit->chunk * wide, gate->gate + at_wide, gate->gate + at_wide);
}

/* ---- units ---- */

struct unit_input unit_input_make(struct onednn_program *program, uint32_t index, uint32_t first,
                                  bool again)
{
    const struct unit *unit = &program->units[index];
    const struct kernels *kernels = program->kernels;
    const size_t at = first * map_elements(unit->in_size, unit->in_channels);
    if (unit->stored && again) {
        void *x = map_at(program, unit->x, at);
        return (struct unit_input){x, x, NULL};
    }
    const struct unit *before = &program->units[index - 1];
    const bool slope = again && before->norm.silu && !unit_keeps_dy(before);
    void *act_slope = slope ? program->chunk.act_slope : NULL;
    void *x = program->chunk.x, *y = program->chunk.y;
    if (unit->stored)
        x = map_at(program, unit->x, at);
    if (!unit->gated)
        y = x;
    output_make(program, index - 1, (const uint32_t[2]){first, unit->chunk}, y, act_slope);
    if (unit->gated) {
        const struct kernel_map map = {unit->chunk, unit->in_channels / kernels->lanes,
                                       (size_t)unit->in_size * unit->in_size};
        if (!again)
            gate_make(program, unit, first, y);
        kernels->gate_apply(&map, y, unit->gate.gate + (size_t)first * unit->in_channels, x);
        profile_stop(program, PROFILE_GATE);
    }
    return (struct unit_input){x, y, act_slope};
}

static int convolution_forward(struct onednn_program *program, const struct unit *unit, void *x,
                               void *z)
{
    void *weight = parameter_value(program, unit->weight);
    if (unit->kind == UNIT_DEPTHWISE) {
        const struct depthwise_shape shape = {
            unit->chunk,   unit->out_channels / program->kernels->lanes,
            unit->in_size, unit->out_size,
            unit->kernel,  unit->stride};
        program->kernels->depthwise_forward(&shape, x, weight, z, program->chunk.kernel);
        profile_stop(program, PROFILE_DEPTHWISE_FORWARD);
        return 0;
    }
    if (unit->imported[CONVOLUTION_FORWARD])
        weight = unit->imported[CONVOLUTION_FORWARD];
    const struct convolution_places places = {x, weight, z, program->chunk.library};
    int r = convolution_run(unit->passes[CONVOLUTION_FORWARD], &places);
    profile_stop(program, PROFILE_DENSE_FORWARD);
    return r;
}

static void *plain_make(const struct onednn_program *program, const struct unit *unit,
                        const struct part *part, uint32_t first)
{
    const struct stem_shape shape = {
        .images = unit->chunk, .channels = unit->in_channels, .in_size = unit->in_size};
    const size_t at = first * map_elements(unit->in_size, unit->in_channels);
    program->kernels->stem_plain(&shape, part->images + at, program->chunk.plain);
    return program->chunk.plain;
}

static int unit_forward(struct onednn_program *program, uint32_t index, const struct part *part,
                        bool training)
{
    struct unit *unit = &program->units[index];
    const struct kernel_map map = unit_map(program, unit, unit->chunk);
    for (uint32_t first = 0; first < part->count; first += unit->chunk) {
        void *z =
            map_at(program, unit->z, first * map_elements(unit->out_size, unit->out_channels));
        void *x = index == 0 ? plain_make(program, unit, part, first)
                             : unit_input_make(program, index, first, false).x;
        int r = convolution_forward(program, unit, x, z);
        if (r < 0)
            return r;
        if (!training)
            continue;
        if (first == 0)
            pivot_set(program, unit);
        program->kernels->norm_sums(&map, z, unit->norm.pivot, unit_sums(unit, 0),
                                    unit_sums(unit, 1));
        profile_stop(program, PROFILE_NORM_SUMS);
    }
    if (training)
        batch_statistics(program, unit, part->keep_statistics);
    else
        running_statistics(program, unit);
    return 0;
}

/* Multiplies what the last layer reads, or its gradient; the channels past the last stay zero. */
void features_scale(const struct onednn_program *program, const struct part *part, float *values)
{
    const size_t features = program->program.graph->features;
    for (size_t n = 0; part->features && n < part->count; n++)
        for (size_t c = 0; c < features; c++)
            values[n * program->tail.channels + c] *= part->features[n * features + c];
}

static void tail_forward(struct onednn_program *program, const struct part *part)
{
    const struct tail *tail = &program->tail;
    const struct unit *last = &program->units[program->unit_count - 1];
    const struct kernel_map map = unit_map(program, last, tail->chunk);
    for (uint32_t first = 0; first < part->count; first += tail->chunk) {
        output_make(program, program->unit_count - 1, (const uint32_t[2]){first, tail->chunk},
                    program->chunk.x, NULL);
        program->kernels->map_mean(&map, program->chunk.x,
                                   tail->mean + (size_t)first * tail->channels);
    }
    features_scale(program, part, tail->mean);
    const struct kernel_linear shape = {part->count, tail->channels, tail->classes};
    program->kernels->linear_dot(&shape, tail->mean, parameter_value(program, tail->weight),
                                 parameter_value(program, tail->bias), part->logits);
    profile_stop(program, PROFILE_TAIL);
}

/* Where the library wants its weights in another order, it gets a copy of them after every change. */
static int weights_import(struct onednn_program *program)
{
    for (uint32_t i = 0; i < program->unit_count; i++) {
        struct unit *unit = &program->units[i];
        for (int pass = 0; pass < CONVOLUTION_BACKWARD_WEIGHTS; pass++) {
            if (!unit->imported[pass])
                continue;
            int r = convolution_weights_import(
                unit->passes[pass], parameter_value(program, unit->weight), unit->imported[pass]);
            if (r < 0)
                return r;
        }
    }
    profile_stop(program, PROFILE_WEIGHTS);
    return 0;
}

int program_forward(struct onednn_program *program, const struct part *part, bool training)
{
    profile_start(program);
    program->branches = part->branches;
    if (!program->imported) {
        int r = weights_import(program);
        if (r < 0)
            return r;
        program->imported = true;
    }
    for (uint32_t i = 0; i < program->unit_count; i++) {
        int r = unit_forward(program, i, part, training);
        if (r < 0)
            return r;
    }
    tail_forward(program, part);
    return 0;
}
