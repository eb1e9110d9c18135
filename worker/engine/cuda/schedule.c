#include "worker/engine/cuda/program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A gated unit with a residual has the most. */
enum {
    LAUNCHES_A_UNIT_MAX = 14,
    LAUNCHES_OTHER_MAX = 24,
    TENSORS_A_UNIT_MAX = 24,
    TENSORS_OTHER_MAX = 32
};

int schedule_init(struct schedule *schedule, uint32_t units)
{
    *schedule = (struct schedule){.launches_max = units * LAUNCHES_A_UNIT_MAX + LAUNCHES_OTHER_MAX,
                                  .tensors_max = units * TENSORS_A_UNIT_MAX + TENSORS_OTHER_MAX};
    schedule->launches = calloc(schedule->launches_max, sizeof *schedule->launches);
    schedule->tensors = calloc(schedule->tensors_max, sizeof *schedule->tensors);
    if (schedule->launches && schedule->tensors)
        return 0;
    schedule_release(schedule);
    return -ENOMEM;
}

void schedule_release(struct schedule *schedule)
{
    free(schedule->launches);
    free(schedule->tensors);
    *schedule = (struct schedule){0};
}

uint32_t tensor_add(struct cuda_program *program, const char *role, uint32_t unit, size_t bytes)
{
    struct schedule *schedule = &program->schedule;
    if (bytes == 0)
        return TENSOR_NONE;
    assert(schedule->tensor_count < schedule->tensors_max);
    schedule->tensors[schedule->tensor_count] =
        (struct tensor){.role = role, .unit = unit, .bytes = bytes};
    return schedule->tensor_count++;
}

void launch_add(struct cuda_program *program, const struct launch_kind *kind, uint32_t unit)
{
    struct schedule *schedule = &program->schedule;
    assert(schedule->launch_count < schedule->launches_max);
    schedule->launches[schedule->launch_count++] = (struct launch){.kind = kind, .unit = unit};
}

static void use_add(struct cuda_program *program, struct tensor_use use)
{
    struct schedule *schedule = &program->schedule;
    struct launch *launch = &schedule->launches[schedule->launch_count - 1];
    if (use.tensor == TENSOR_NONE)
        return;
    assert(use.tensor < schedule->tensor_count && launch->use_count < LAUNCH_USES_MAX);
    launch->uses[launch->use_count++] = use;
}

static size_t bytes_of(const struct cuda_program *program, uint32_t tensor)
{
    return tensor == TENSOR_NONE ? 0 : program->schedule.tensors[tensor].bytes;
}

void launch_reads(struct cuda_program *program, uint32_t tensor)
{
    use_add(program, (struct tensor_use){tensor, PARAMETER_NONE, false, bytes_of(program, tensor)});
}

void launch_writes(struct cuda_program *program, uint32_t tensor)
{
    use_add(program, (struct tensor_use){tensor, PARAMETER_NONE, true, bytes_of(program, tensor)});
}

static size_t parameter_bytes(const struct cuda_program *program, uint32_t tensor, size_t parameter)
{
    const struct slabs *slabs = &program->slabs;
    const size_t element = tensor == slabs->halves ? sizeof(uint16_t) : sizeof(float);
    return program->layout.places[parameter].floats * element;
}

void launch_reads_parameter(struct cuda_program *program, uint32_t tensor, size_t parameter)
{
    use_add(program, (struct tensor_use){tensor, parameter, false,
                                         parameter_bytes(program, tensor, parameter)});
}

void launch_writes_parameter(struct cuda_program *program, uint32_t tensor, size_t parameter)
{
    use_add(program, (struct tensor_use){tensor, parameter, true,
                                         parameter_bytes(program, tensor, parameter)});
}

static bool launch_names(const struct launch *launch, uint32_t tensor)
{
    for (uint32_t i = 0; i < launch->use_count; i++)
        if (launch->uses[i].tensor == tensor)
            return true;
    return false;
}

void *launch_data(const struct cuda_program *program, const struct launch *launch, uint32_t tensor)
{
    if (tensor == TENSOR_NONE)
        return NULL;
    assert(launch_names(launch, tensor));
    return program->schedule.tensors[tensor].data;
}

void *launch_data_if_named(const struct cuda_program *program, const struct launch *launch,
                           uint32_t tensor)
{
    return tensor != TENSOR_NONE && launch_names(launch, tensor)
               ? program->schedule.tensors[tensor].data
               : NULL;
}

float *launch_value(const struct cuda_program *program, const struct launch *launch,
                    size_t parameter)
{
    const struct slabs *slabs = &program->slabs;
    const bool averages = !program->run.training && slabs->averages != TENSOR_NONE;
    assert(launch_names(launch, slabs->values));
    unsigned char *slab =
        program->schedule.tensors[averages ? slabs->averages : slabs->values].data;
    return (float *)(void *)slab + program->layout.places[parameter].offset;
}

uint16_t *launch_half(const struct cuda_program *program, const struct launch *launch,
                      size_t parameter)
{
    const struct slabs *slabs = &program->slabs;
    const bool averages = !program->run.training && slabs->averages != TENSOR_NONE;
    assert(launch_names(launch, slabs->halves));
    unsigned char *slab =
        program->schedule.tensors[averages ? slabs->average_halves : slabs->halves].data;
    return (uint16_t *)(void *)slab + program->layout.places[parameter].offset;
}

float *launch_gradient(const struct cuda_program *program, const struct launch *launch,
                       size_t parameter)
{
    float *gradients = launch_data_if_named(program, launch, program->slabs.gradients);
    return gradients ? gradients + program->layout.places[parameter].offset : NULL;
}

int schedule_run(struct cuda_program *program, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        const struct launch *launch = &program->schedule.launches[i];
        const int r = launch->kind->run(program, launch);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- in words ---- */

/* A growing line that is cut at its end. */
struct line {
    char *text;
    size_t size, length;
};

static void line_put(struct line *line, const char *text)
{
    const int added = snprintf(line->text + line->length, line->size - line->length, "%s", text);
    line->length += (size_t)added;
    if (line->length >= line->size)
        line->length = line->size - 1;
}

/* "blocks_3.exp" of "blocks_3.exp.weight" */
static void unit_put(const struct cuda_program *program, uint32_t unit, struct line *line)
{
    char name[GRAPH_NAME_SIZE];
    if (unit == UNIT_NONE)
        return;
    const struct graph *graph = program->program.graph;
    snprintf(name, sizeof name, "%s", graph->parameters[program->units[unit].weight].name);
    char *end = strrchr(name, '.');
    if (end)
        *end = '\0';
    line_put(line, name);
    line_put(line, ".");
}

/* "blocks_3.exp.y", "values" for a whole slab, "values:blocks_3.exp.bn.scale" for a part of it */
static void use_put(const struct cuda_program *program, const struct tensor_use *use,
                    struct line *line)
{
    const struct tensor *tensor = &program->schedule.tensors[use->tensor];
    char bytes[32];
    unit_put(program, tensor->unit, line);
    line_put(line, tensor->role);
    if (use->parameter != PARAMETER_NONE) {
        line_put(line, ":");
        line_put(line, program->program.graph->parameters[use->parameter].name);
    }
    snprintf(bytes, sizeof bytes, " %zu", use->bytes);
    line_put(line, bytes);
}

static void uses_put(const struct cuda_program *program, const struct launch *launch, bool written,
                     struct line *line)
{
    const char *before = written ? "  writes" : "  reads";
    for (uint32_t i = 0; i < launch->use_count; i++) {
        const struct tensor_use *use = &launch->uses[i];
        if (use->written != written)
            continue;
        line_put(line, before);
        line_put(line, " ");
        use_put(program, use, line);
        before = ",";
    }
}

size_t cuda_launch_count(const struct program *base)
{
    return ((const struct cuda_program *)base)->schedule.launch_count;
}

size_t cuda_launch_bytes(const struct program *base, size_t index)
{
    const struct cuda_program *program = (const struct cuda_program *)base;
    assert(index < program->schedule.launch_count);
    const struct launch *launch = &program->schedule.launches[index];
    size_t bytes = 0;
    for (uint32_t i = 0; i < launch->use_count; i++)
        bytes += launch->uses[i].bytes;
    return bytes;
}

void cuda_launch_text(const struct program *base, size_t index,
                      char ret_text[CUDA_LAUNCH_TEXT_SIZE])
{
    const struct cuda_program *program = (const struct cuda_program *)base;
    assert(index < program->schedule.launch_count);
    const struct launch *launch = &program->schedule.launches[index];
    struct line line = {.text = ret_text, .size = CUDA_LAUNCH_TEXT_SIZE};
    ret_text[0] = '\0';
    line_put(&line, launch->kind->name);
    uses_put(program, launch, false, &line);
    uses_put(program, launch, true, &line);
}
