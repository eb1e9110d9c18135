#include "tests/ops/support.h"

#include "search/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

float *zero_values(size_t count)
{
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

float *random_values(size_t count, uint64_t seed)
{
    struct random_stream random = random_stream_of(seed, 0, RANDOM_AUGMENT);
    float *values = zero_values(count);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)random_normal(&random);
    return values;
}

static double largest_of(const float *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)values[i]));
    return largest;
}

void assert_close(const char *what, const float *got, const float *want, size_t count,
                  double tolerance)
{
    const double limit = tolerance * (largest_of(want, count) + 1e-3);
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= limit))
            fail_msg("%s[%zu of %zu]: got %.8g, want %.8g, allowed %.2g apart", what, i, count,
                     (double)got[i], (double)want[i], limit);
}

void assert_gradient(const char *what, const struct scalar_function *function,
                     const float *gradient, size_t stride, double tolerance)
{
    const double step = 1e-2;
    const double limit = tolerance * (largest_of(gradient, function->count) + 1e-3);
    for (size_t i = 0; i < function->count; i += stride) {
        const float before = function->inputs[i];
        const float above = (float)(before + step), below = (float)(before - step);
        function->inputs[i] = above;
        const double high = function->value(function->context);
        function->inputs[i] = below;
        const double low = function->value(function->context);
        function->inputs[i] = before;
        const double slope = (high - low) / ((double)above - (double)below);
        if (!(fabs(slope - (double)gradient[i]) <= limit))
            fail_msg("%s[%zu]: gradient %.8g, finite difference %.8g, allowed %.2g apart", what, i,
                     (double)gradient[i], slope, limit);
    }
}

double weighted_sum(const float *weights, const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)weights[i] * (double)values[i];
    return sum;
}

struct plan_options small_options(const struct small_network *network)
{
    struct plan_options options = {
        .architecture = {.stem_kernel = network->stem_kernel,
                         .stem_stride = network->stem_stride,
                         .stem_channels = network->stem_channels,
                         .head_channels = network->head_channels,
                         .stage_count = network->stage_count},
        .problem = {.image_size = network->size, .image_channels = network->channels, .classes = 5},
        .micro_batches = 1,
        .seed = 11};
    for (uint32_t i = 0; i < network->stage_count; i++)
        options.architecture.stages[i] = network->stage;
    options.recipe = (struct recipe){.optimizer = OPTIMIZER_SGD,
                                     .learning_rate = 0.05,
                                     .momentum = 0.9,
                                     .decay = 0.9,
                                     .epsilon = 1e-3,
                                     .weight_decay = 1e-5,
                                     .label_smoothing = 0.1,
                                     .batch = network->batch,
                                     .image_size = network->size,
                                     .staircase_factor = 1,
                                     .staircase_epochs = 1,
                                     .crop_area_min = 1,
                                     .micro_batches = 1,
                                     .bn_momentum = 0.9};
    return options;
}

struct session session_open(const struct backend *backend, const struct plan_options *options)
{
    struct session session = {0};
    struct error error = {{0}, {0}};
    if (engine_new(backend, &session.engine, &error) < 0)
        fail_msg("engine_new: %s", error.message);
    if (plan_new(session.engine, options, &session.plan, &error) < 0)
        fail_msg("plan_new: %s %s", error.pointer, error.message);
    return session;
}

void session_close(struct session *session)
{
    plan_free(session->plan);
    engine_free(session->engine);
    *session = (struct session){0};
}

void session_fill(struct session *session, const struct plan_options *options, uint64_t seed)
{
    struct random_stream random = random_stream_of(seed, 1, RANDOM_AUGMENT);
    const struct problem *problem = &options->problem;
    const size_t pixels =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    for (uint32_t n = 0; n < options->recipe.batch; n++) {
        const uint32_t label = (uint32_t)random_below(&random, problem->classes);
        plan_labels(session->plan)[n] = label;
        for (size_t i = 0; i < pixels; i++)
            plan_images(session->plan)[n * pixels + i] =
                (float)(random_normal(&random) + (i % (label + 2) == 0 ? 1.0 : -0.5));
    }
}

float *session_tensor(struct session *session, const char *name, size_t *ret_count)
{
    const char *colon = strchr(name, ':'), *bare = colon ? colon + 1 : name;
    for (size_t i = 0; i < plan_tensor_count(session->plan); i++) {
        struct tensor_info info;
        plan_tensor_info(session->plan, i, &info);
        if (strcmp(info.name, bare) != 0)
            continue;
        float *values = zero_values(info.elements);
        assert_int_equal(plan_tensor_read(session->plan, name, values), 0);
        *ret_count = info.elements;
        return values;
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

static void assert_tensor_close(struct session *got, struct session *want, const char *name,
                                double tolerance)
{
    size_t count = 0, want_count = 0;
    float *a = session_tensor(got, name, &count), *b = session_tensor(want, name, &want_count);
    assert_int_equal(count, want_count);
    assert_close(name, a, b, count, tolerance);
    free(a);
    free(b);
}

void assert_sessions_close(struct session *got, struct session *want, uint32_t logits,
                           double tolerance)
{
    assert_close("logits", plan_logits(got->plan), plan_logits(want->plan), logits, tolerance);
    for (size_t i = 0; i < plan_tensor_count(want->plan); i++) {
        struct tensor_info info;
        char gradient[sizeof info.name + 8];
        plan_tensor_info(want->plan, i, &info);
        assert_tensor_close(got, want, info.name, tolerance);
        if (strstr(info.name, ".bn.mean") || strstr(info.name, ".bn.variance"))
            continue;
        snprintf(gradient, sizeof gradient, "grad:%s", info.name);
        assert_tensor_close(got, want, gradient, tolerance);
    }
}

static double norm_of(const float *values, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)values[i] * (double)values[i];
    return sqrt(squares);
}

void assert_near(const char *what, const float *got, const float *want, size_t count,
                 double tolerance)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
    const double norm = norm_of(want, count);
    if (!(sqrt(squares) <= tolerance * norm))
        fail_msg("%s: %.3g away, its norm is %.3g", what, sqrt(squares), norm);
}

void assert_gradients_near(struct session *got, struct session *want, double tolerance)
{
    double largest = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < plan_tensor_count(want->plan); i++) {
            struct tensor_info info;
            char name[sizeof info.name + 8];
            size_t count;
            plan_tensor_info(want->plan, i, &info);
            if (strstr(info.name, ".bn.mean") || strstr(info.name, ".bn.variance"))
                continue;
            snprintf(name, sizeof name, "grad:%s", info.name);
            float *a = session_tensor(got, name, &count), *b = session_tensor(want, name, &count);
            const double norm = norm_of(b, count);
            for (size_t j = 0; j < count; j++)
                a[j] -= b[j];
            const double scale = fmax(norm, 0.01 * largest);
            if (pass == 0)
                largest = fmax(largest, norm);
            else if (!(norm_of(a, count) <= tolerance * scale))
                fail_msg("%s: %.3g of its norm %.3g away", name, norm_of(a, count) / scale, norm);
            free(a);
            free(b);
        }
}

bool device_is_here(const struct backend *backend)
{
    struct device_info device;
    struct error error = {{0}, {0}};
    if (backend_devices(backend, NULL, &device, 1, &error) >= 0)
        return true;
    printf("SKIP: backend %s: %s\n", backend_name(backend), error.message);
    return false;
}

int backends_run(int (*run_on)(const struct backend *backend))
{
    static const char *const names[] = {"reference", "onednn", "cuda"};
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct backend *backend = backend_find(names[i]);
        if (!backend)
            printf("SKIP: the build has no backend %s\n", names[i]);
        else if (device_is_here(backend))
            failed += run_on(backend);
    }
    return failed;
}

void assert_sessions_equal(struct session *a, struct session *b)
{
    for (size_t i = 0; i < plan_state_count(a->plan); i++) {
        struct tensor_info info;
        size_t count = 0;
        plan_state_info(a->plan, i, &info);
        float *of_a = session_tensor(a, info.name, &count);
        float *of_b = session_tensor(b, info.name, &count);
        assert_memory_equal(of_a, of_b, count * sizeof *of_a);
        free(of_a);
        free(of_b);
    }
}
