#include "worker/engine/onednn/program.h"

#include <math.h>
#include <string.h>

/* ---- normalisation ---- */

/* Takes dy, the gradient of a chunk of a unit's output through the unit after it, adds what comes through a residual, and
 * leaves g and its sums. */
static void output_reduce(struct onednn_program *program, uint32_t index, uint32_t first,
                          uint32_t images, void *dy, const void *act_slope)
{
    const struct unit *unit = &program->units[index];
    const struct kernel_map map = unit_map(program, unit, images);
    const size_t at = first * map_elements(unit->out_size, unit->out_channels);
    struct norm_reduce reduce = {.z = map_at(program, unit->z, at),
                                 .slope = unit->norm.slope,
                                 .offset = unit->norm.offset,
                                 .mean = unit->norm.batch_mean,
                                 .dy = dy,
                                 .act_slope = act_slope,
                                 .branch = unit_branch(program, unit, first),
                                 .g = map_at(program, unit->g, at),
                                 .sum = unit_sums(unit, 0),
                                 .product = unit_sums(unit, 1),
                                 .silu = unit->norm.silu,
                                 .keep_dy = unit_keeps_dy(unit)};
    const uint32_t next = index + 1;
    if (next < program->unit_count && program->units[next].residual_from != UNIT_NONE)
        reduce.residual = map_at(program, program->units[program->units[next].residual_from].g, at);
    if (first == 0)
        memset(unit->norm.sums, 0, 2 * unit->out_channels * sizeof(double));
    program->kernels->norm_reduce(&map, &reduce);
    profile_stop(program, PROFILE_NORM_REDUCE);
}

/* With n = (z - mean) inverse: dz = scale inverse (g - mean(g) - n mean(g n)), as by_g g + by_z z + constant. */
static void norm_finish(struct onednn_program *program, struct unit *unit)
{
    const struct unit_norm *norm = &unit->norm;
    const double *sum = unit_sums(unit, 0), *product = unit_sums(unit, 1);
    const double count = (double)program->images * unit->out_size * unit->out_size;
    float *dscale = parameter_gradient(program, norm->scale),
          *dshift = parameter_gradient(program, norm->shift);
    for (uint32_t c = 0; c < unit->out_channels; c++) {
        const double inverse = (double)norm->inverse[c], slope = (double)norm->slope[c];
        const double by_z = slope * inverse * inverse * product[c] / count;
        dshift[c] += (float)sum[c];
        dscale[c] += (float)(product[c] * inverse);
        norm->by_g[c] = norm->slope[c];
        norm->by_z[c] = (float)-by_z;
        norm->constant[c] = (float)(by_z * (double)norm->batch_mean[c] - slope * sum[c] / count);
    }
}

static void *dz_make(struct onednn_program *program, const struct unit *unit, uint32_t first)
{
    const struct kernel_map map = unit_map(program, unit, unit->chunk);
    const size_t at = first * map_elements(unit->out_size, unit->out_channels);
    const struct norm_dz dz = {.z = map_at(program, unit->z, at),
                               .g = map_at(program, unit->g, at),
                               .slope = unit->norm.slope,
                               .offset = unit->norm.offset,
                               .by_g = unit->norm.by_g,
                               .by_z = unit->norm.by_z,
                               .constant = unit->norm.constant,
                               .branch = unit_branch(program, unit, first),
                               .dz = program->chunk.dz,
                               .g_is_dy = unit_keeps_dy(unit)};
    program->kernels->norm_dz(&map, &dz);
    profile_stop(program, PROFILE_NORM_DZ);
    return program->chunk.dz;
}

/* ---- convolutions ---- */

static struct depthwise_shape depthwise_of(const struct onednn_program *program,
                                           const struct unit *unit)
{
    return (struct depthwise_shape){unit->chunk,   unit->out_channels / program->kernels->lanes,
                                    unit->in_size, unit->out_size,
                                    unit->kernel,  unit->stride};
}

static size_t dense_floats(const struct onednn_program *program, const struct unit *unit)
{
    return program->places.places[unit->weight].floats;
}

/* Weight gradient of the chunk that begins at image `first`, by the library, in whose order the chunks are summed. */
static int dense_weights(struct onednn_program *program, const struct unit *unit, uint32_t first,
                         void *x, void *dz)
{
    struct convolution *pass = unit->passes[CONVOLUTION_BACKWARD_WEIGHTS];
    float *dw = first == 0 ? program->chunk.dw_sum : program->chunk.dw;
    const struct convolution_places places = {x, dw, dz, program->chunk.library};
    int r = convolution_run(pass, &places);
    profile_stop(program, PROFILE_DENSE_BACKWARD_WEIGHTS);
    if (r < 0 || first == 0)
        return r;
    program->kernels->row_sums(1, dense_floats(program, unit), dw, program->chunk.dw_sum);
    profile_stop(program, PROFILE_WEIGHTS);
    return 0;
}

/* After the last chunk: the sum, in our order, is added to the gradient. */
static int dense_weights_finish(struct onednn_program *program, const struct unit *unit)
{
    struct convolution *pass = unit->passes[CONVOLUTION_BACKWARD_WEIGHTS];
    const float *sum = program->chunk.dw_sum;
    int r = 0;
    if (convolution_weight_bytes(pass) > 0) {
        r = convolution_weights_export(pass, sum, program->chunk.dw);
        sum = program->chunk.dw;
    }
    if (r == 0)
        program->kernels->row_sums(1, dense_floats(program, unit), sum,
                                   parameter_gradient(program, unit->weight));
    profile_stop(program, PROFILE_WEIGHTS);
    return r;
}

static int weights_backward(struct onednn_program *program, const struct unit *unit, uint32_t first,
                            void *x, void *dz)
{
    const struct kernels *kernels = program->kernels;
    float *gradient = parameter_gradient(program, unit->weight);
    if (unit->kind == UNIT_DENSE)
        return dense_weights(program, unit, first, x, dz);
    if (unit->kind == UNIT_STEM) {
        const struct stem_shape shape = {
            unit->chunk,   unit->in_channels, unit->out_channels / kernels->lanes,
            unit->in_size, unit->out_size,    unit->kernel,
            unit->stride};
        kernels->stem_backward_weights(&shape, x, dz, gradient, program->chunk.kernel);
        profile_stop(program, PROFILE_STEM_BACKWARD_WEIGHTS);
        return 0;
    }
    const struct depthwise_shape shape = depthwise_of(program, unit);
    kernels->depthwise_backward_weights(&shape, x, dz, gradient, program->chunk.kernel);
    profile_stop(program, PROFILE_DEPTHWISE_BACKWARD_WEIGHTS);
    return 0;
}

static int data_backward(struct onednn_program *program, const struct unit *unit, void *dz,
                         void *ret_dx)
{
    void *weight = parameter_value(program, unit->weight);
    if (unit->kind == UNIT_DEPTHWISE) {
        const struct depthwise_shape shape = depthwise_of(program, unit);
        program->kernels->depthwise_backward_data(&shape, dz, weight, ret_dx,
                                                  program->chunk.kernel);
        profile_stop(program, PROFILE_DEPTHWISE_BACKWARD_DATA);
        return 0;
    }
    if (unit->imported[CONVOLUTION_BACKWARD_DATA])
        weight = unit->imported[CONVOLUTION_BACKWARD_DATA];
    const struct convolution_places places = {ret_dx, weight, dz, program->chunk.library};
    int r = convolution_run(unit->passes[CONVOLUTION_BACKWARD_DATA], &places);
    profile_stop(program, PROFILE_DENSE_BACKWARD_DATA);
    return r;
}

/* ---- squeeze-and-excitation ---- */

/* Turns the gradient of y * gate into that of y, in place, and adds those of the gate's parameters. */
static void gate_backward(struct onednn_program *program, const struct unit *unit, uint32_t first,
                          const void *y, void *d)
{
    const struct kernels *kernels = program->kernels;
    const struct chunk_buffers *chunk = &program->chunk;
    const struct unit_gate *gate = &unit->gate;
    const uint32_t wide = unit->in_channels, narrow = gate->squeezed;
    const size_t at_wide = (size_t)first * wide, at_narrow = (size_t)first * narrow;
    const size_t wides = (size_t)unit->chunk * wide, pixels = (size_t)unit->in_size * unit->in_size;
    const struct kernel_map map = {unit->chunk, wide / kernels->lanes, pixels};
    const struct kernel_linear matrix = {unit->chunk, wide, narrow};
    const float *value = gate->gate + at_wide;

    kernels->gate_reduce(&map, y, d, chunk->dgate);
    for (size_t i = 0; i < wides; i++)
        chunk->dexpanded[i] = chunk->dgate[i] * value[i] * (1.0f - value[i]);
    kernels->linear_outer(&matrix, gate->active + at_narrow, chunk->dexpanded,
                          parameter_gradient(program, gate->parameter + 2));
    kernels->row_sums(unit->chunk, wide, chunk->dexpanded,
                      parameter_gradient(program, gate->parameter + 3));
    kernels->linear_dot(&matrix, chunk->dexpanded, parameter_value(program, gate->parameter + 2),
                        NULL, chunk->dreduced);
    kernels->silu_backward((size_t)unit->chunk * narrow, gate->reduced + at_narrow, chunk->dreduced,
                           chunk->dreduced);
    kernels->linear_outer(&matrix, chunk->dreduced, gate->mean + at_wide,
                          parameter_gradient(program, gate->parameter));
    kernels->row_sums(unit->chunk, narrow, chunk->dreduced,
                      parameter_gradient(program, gate->parameter + 1));
    kernels->linear_mix(&matrix, chunk->dreduced, parameter_value(program, gate->parameter), NULL,
                        chunk->dmean);
    const float share = 1.0f / (float)pixels;
    for (size_t i = 0; i < wides; i++)
        chunk->dmean[i] *= share;
    kernels->gate_spread(&map, value, chunk->dmean, d);
    profile_stop(program, PROFILE_GATE);
}

/* ---- units ---- */

static int unit_backward(struct onednn_program *program, uint32_t index)
{
    struct unit *unit = &program->units[index];
    norm_finish(program, unit);
    for (uint32_t first = 0; first < program->images; first += unit->chunk) {
        void *dz = dz_make(program, unit, first);
        const struct unit_input input = unit_input_make(program, index, first, true);
        int r = weights_backward(program, unit, first, input.x, dz);
        if (r == 0)
            r = data_backward(program, unit, dz, program->chunk.dx);
        if (r < 0)
            return r;
        if (unit->gated)
            gate_backward(program, unit, first, input.y, program->chunk.dx);
        output_reduce(program, index - 1, first, unit->chunk, program->chunk.dx, input.act_slope);
    }
    return unit->kind == UNIT_DENSE ? dense_weights_finish(program, unit) : 0;
}

static int stem_backward(struct onednn_program *program, const struct part *part)
{
    struct unit *stem = &program->units[0];
    norm_finish(program, stem);
    for (uint32_t first = 0; first < program->images; first += stem->chunk) {
        const size_t at = first * map_elements(stem->in_size, stem->in_channels);
        int r = weights_backward(program, stem, first, (float *)part->images + at,
                                 dz_make(program, stem, first));
        if (r < 0)
            return r;
    }
    return 0;
}

static void tail_backward(struct onednn_program *program, const struct part *part)
{
    const struct tail *tail = &program->tail;
    const struct kernels *kernels = program->kernels;
    const uint32_t last = program->unit_count - 1;
    const struct kernel_map map = unit_map(program, &program->units[last], tail->chunk);
    const struct kernel_linear shape = {program->images, tail->channels, tail->classes};
    kernels->linear_outer(&shape, tail->dlogits, tail->mean,
                          parameter_gradient(program, tail->weight));
    kernels->row_sums(program->images, tail->classes, tail->dlogits,
                      parameter_gradient(program, tail->bias));
    kernels->linear_mix(&shape, tail->dlogits, parameter_value(program, tail->weight), NULL,
                        tail->dmean);
    features_scale(program, part, tail->dmean);
    const float share = 1.0f / (float)map.pixels;
    for (size_t i = 0; i < (size_t)program->images * tail->channels; i++)
        tail->dmean[i] *= share;
    profile_stop(program, PROFILE_TAIL);
    for (uint32_t first = 0; first < program->images; first += tail->chunk) {
        kernels->map_fill(&map, tail->dmean + (size_t)first * tail->channels, program->chunk.dx);
        profile_stop(program, PROFILE_TAIL);
        output_reduce(program, last, first, tail->chunk, program->chunk.dx, NULL);
    }
}

int program_backward(struct onednn_program *program, const struct part *part)
{
    profile_start(program);
    tail_backward(program, part);
    for (uint32_t i = program->unit_count - 1; i > 0; i--) {
        int r = unit_backward(program, i);
        if (r < 0)
            return r;
    }
    return stem_backward(program, part);
}
