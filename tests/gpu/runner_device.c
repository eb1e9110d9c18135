#include "tests/unit/kernels/runner.h"

#include "kernels/device.h"
#include "tests/unit/kernels/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

bool runner_ready(void)
{
    struct error error = {{0}, {0}};
    if (device_check(&error) == 0)
        return true;
    printf("SKIP: %s\n", error.message);
    return false;
}

static void *device_new(const void *from, size_t bytes)
{
    struct error error = {{0}, {0}};
    void *buffer = NULL;
    if (device_buffer_new(bytes, &buffer, &error) < 0 ||
        (from && device_write(buffer, from, bytes, &error) < 0))
        fail_msg("%s", error.message);
    return buffer;
}

/* An array on the device, its guard too. NULL stays NULL. */
static void *mirror(const void *array)
{
    return array ? device_new(array, array_bytes(array) + ARRAY_GUARD_BYTES) : NULL;
}

static void bring_back(void *device, void *ret_to, size_t bytes)
{
    struct error error = {{0}, {0}};
    if (device_read(ret_to, device, bytes, &error) < 0)
        fail_msg("%s", error.message);
    device_buffer_free(device);
}

/* What the kernels made of a mirrored array. */
static void unmirror(void *device, void *array)
{
    if (array)
        bring_back(device, array, array_bytes(array) + ARRAY_GUARD_BYTES);
}

void run_optimizer(enum optimizer_kind kind, const struct optimizer_arena *arena,
                   const struct optimizer_constants *constants, const struct step_control *control)
{
    struct optimizer_arena there = *arena;
    float *gradients = mirror(arena->gradients);
    struct step_control *device_control = device_new(control, sizeof *control);
    there.values = mirror(arena->values);
    there.gradients = gradients;
    there.states[0] = mirror(arena->states[0]);
    there.states[1] = mirror(arena->states[1]);
    there.averages = mirror(arena->averages);
    there.halves = mirror(arena->halves);
    assert_int_equal(optimizer_launch(kind, &there, constants, device_control, NULL), 0);
    unmirror(there.values, arena->values);
    unmirror(there.states[0], arena->states[0]);
    unmirror(there.states[1], arena->states[1]);
    unmirror(there.averages, arena->averages);
    unmirror(there.halves, arena->halves);
    device_buffer_free(gradients);
    device_buffer_free(device_control);
}

void run_halves(const float *values, uint16_t *ret_halves, size_t count)
{
    float *there = mirror(values);
    uint16_t *halves = mirror(ret_halves);
    assert_int_equal(halves_launch(there, halves, count, NULL), 0);
    unmirror(halves, ret_halves);
    device_buffer_free(there);
}

void run_gradient_norm(const struct gradient_norm *norm, struct step_control *control)
{
    struct gradient_norm there = *norm;
    float *gradients = mirror(norm->gradients);
    struct step_control *device_control = device_new(control, sizeof *control);
    there.gradients = gradients;
    there.partials = device_new(NULL, GRADIENT_NORM_BLOCKS_MAX * sizeof *there.partials);
    assert_int_equal(gradient_norm_launch(&there, device_control, NULL), 0);
    bring_back(device_control, control, sizeof *control);
    device_buffer_free(there.partials);
    device_buffer_free(gradients);
}

void run_cross_entropy(const struct cross_entropy_options *options,
                       const struct cross_entropy *loss)
{
    struct cross_entropy there = *loss;
    void *logits = mirror(loss->logits), *labels = mirror(loss->labels);
    void *partners = mirror(loss->partners), *shares = mirror(loss->shares);
    there.logits = logits;
    there.labels = labels;
    there.partners = partners;
    there.shares = shares;
    there.ret_gradient = mirror(loss->ret_gradient);
    there.images = device_new(NULL, options->count * sizeof *there.images);
    there.ret_sum = device_new(loss->ret_sum, sizeof *loss->ret_sum);
    if (loss->control)
        there.control = device_new(loss->control, sizeof *loss->control);
    assert_int_equal(cross_entropy_launch(options, &there, NULL), 0);
    unmirror(there.ret_gradient, loss->ret_gradient);
    bring_back(there.ret_sum, loss->ret_sum, sizeof *loss->ret_sum);
    if (loss->control)
        bring_back(there.control, loss->control, sizeof *loss->control);
    device_buffer_free(there.images);
    device_buffer_free(logits);
    device_buffer_free(labels);
    device_buffer_free(partners);
    device_buffer_free(shares);
}

/* tanh.approx has a relative error of 2^-11, and SiLU multiplies it by x / 2. */
double runner_silu_tolerance(void)
{
    return 2e-3;
}

struct norm_mirror {
    struct batch_norm there;
    void *x, *scale, *shift;
};

static struct norm_mirror norm_new(const struct batch_norm *norm)
{
    struct norm_mirror mirrored = {*norm, mirror(norm->x), mirror(norm->scale),
                                   mirror(norm->shift)};
    mirrored.there.x = mirrored.x;
    mirrored.there.scale = mirrored.scale;
    mirrored.there.shift = mirrored.shift;
    mirrored.there.mean = mirror(norm->mean);
    mirrored.there.inverse = mirror(norm->inverse);
    mirrored.there.partials =
        device_new(NULL, batch_norm_partials(&norm->shape) * sizeof *norm->partials);
    return mirrored;
}

static void norm_free(const struct norm_mirror *mirrored, const struct batch_norm *norm)
{
    unmirror(mirrored->there.mean, norm->mean);
    unmirror(mirrored->there.inverse, norm->inverse);
    device_buffer_free(mirrored->there.partials);
    device_buffer_free(mirrored->x);
    device_buffer_free(mirrored->scale);
    device_buffer_free(mirrored->shift);
}

static void running_run(const struct batch_norm *norm, const struct batch_norm_running *running,
                        int (*launch)(const struct batch_norm *, const struct batch_norm_running *,
                                      struct CUstream_st *))
{
    const struct norm_mirror mirrored = norm_new(norm);
    struct batch_norm_running there = *running;
    there.mean = mirror(running->mean);
    there.variance = mirror(running->variance);
    assert_int_equal(launch(&mirrored.there, &there, NULL), 0);
    unmirror(there.mean, running->mean);
    unmirror(there.variance, running->variance);
    norm_free(&mirrored, norm);
}

void run_norm_statistics(const struct batch_norm *norm, const struct batch_norm_running *running)
{
    running_run(norm, running, batch_norm_statistics_launch);
}

void run_norm_running(const struct batch_norm *norm, const struct batch_norm_running *running)
{
    running_run(norm, running, batch_norm_running_launch);
}

void run_norm_apply(const struct batch_norm *norm, const struct batch_norm_output *output)
{
    const struct norm_mirror mirrored = norm_new(norm);
    void *branch = mirror(output->branch), *residual = mirror(output->residual);
    void *gate = mirror(output->gate);
    const struct batch_norm_output there = {branch, gate, residual, mirror(output->ret_y)};
    assert_int_equal(batch_norm_apply_launch(&mirrored.there, &there, NULL), 0);
    unmirror(there.ret_y, output->ret_y);
    norm_free(&mirrored, norm);
    device_buffer_free(branch);
    device_buffer_free(gate);
    device_buffer_free(residual);
}

void run_norm_pool(const struct batch_norm *norm, const struct batch_norm_pool *pool)
{
    const struct norm_mirror mirrored = norm_new(norm);
    void *features = mirror(pool->features);
    const struct batch_norm_pool there = {features, mirror(pool->ret_pooled)};
    assert_int_equal(batch_norm_pool_launch(&mirrored.there, &there, NULL), 0);
    unmirror(there.ret_pooled, pool->ret_pooled);
    norm_free(&mirrored, norm);
    device_buffer_free(features);
}

void run_norm_backward(const struct batch_norm *norm, const struct batch_norm_incoming *incoming,
                       const struct batch_norm_gradients *gradients)
{
    const struct norm_mirror mirrored = norm_new(norm);
    struct batch_norm_gradients there = *gradients;
    void *map = mirror(incoming->map), *branch = mirror(incoming->branch);
    void *gate = mirror(incoming->gate), *added = mirror(incoming->added);
    void *features = mirror(incoming->features);
    const struct batch_norm_incoming read = {map, branch, gate, added, features};
    there.dscale = mirror(gradients->dscale);
    there.dshift = mirror(gradients->dshift);
    there.ret_dx = mirror(gradients->ret_dx);
    there.means = device_new(NULL, (size_t)2 * norm->shape.channels * sizeof(float));
    assert_int_equal(batch_norm_backward_launch(&mirrored.there, &read, &there, NULL), 0);
    unmirror(there.dscale, gradients->dscale);
    unmirror(there.dshift, gradients->dshift);
    unmirror(there.ret_dx, gradients->ret_dx);
    norm_free(&mirrored, norm);
    void *all[] = {there.means, map, branch, gate, added, features};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        device_buffer_free(all[i]);
}
