/* What the tests of the engine share: numbers, comparisons, small networks. A failed check ends the cmocka test. */
#ifndef TESTS_OPS_SUPPORT_H
#define TESTS_OPS_SUPPORT_H

#include "worker/engine/engine.h"

/* `count` floats of a deterministic normal distribution, to be freed. */
float *random_values(size_t count, uint64_t seed);
/* `count` zeroes, to be freed. */
float *zero_values(size_t count);

/* Fails where any |got - want| exceeds tolerance * (largest |want| + 1e-3); NaN fails. */
void assert_close(const char *what, const float *got, const float *want, size_t count,
                  double tolerance);

/* A scalar function of `count` inputs. */
struct scalar_function {
    double (*value)(void *context); /* reads `inputs` */
    void *context;
    float *inputs;
    size_t count;
};
/* Compares `gradient` with central differences of the function at every `stride`-th input. */
void assert_gradient(const char *what, const struct scalar_function *function,
                     const float *gradient, size_t stride, double tolerance);
/* sum of weights[i] * values[i]: turns a tensor into a scalar whose gradient is `weights` */
double weighted_sum(const float *weights, const float *values, size_t count);

/* A network of one stage (or none where stage is NULL) on `size` pixels. */
struct small_network {
    uint32_t size, channels; /* image */
    uint32_t stem_kernel, stem_stride, stem_channels;
    struct stage stage;
    uint32_t stage_count; /* 0, or times that the stage is repeated */
    uint32_t head_channels;
    uint32_t batch;
};
struct plan_options small_options(const struct small_network *network);

/* Engine and plan on a backend; both checked. */
struct session {
    struct engine *engine;
    struct plan *plan;
};
struct session session_open(const struct backend *backend, const struct plan_options *options);
void session_close(struct session *session);
/* Fills the batch buffers with random images, whose mean depends on their random label. */
void session_fill(struct session *session, const struct plan_options *options, uint64_t seed);
/* A tensor by name, to be freed; *ret_count floats. */
float *session_tensor(struct session *session, const char *name, size_t *ret_count);

enum { DEVICE_SKIPPED = 77 }; /* what a program of tests returns that has no device */
/* Whether a backend has a device here; says SKIP and why otherwise. */
bool device_is_here(const struct backend *backend);

/* Runs a group of tests on every backend of the build that has a device here, and says SKIP and why for the others. What the
 * groups returned, added up. */
int backends_run(int (*run_on)(const struct backend *backend));

/* Fails where the norm of the difference is more than `tolerance` times that of `want`. */
void assert_near(const char *what, const float *got, const float *want, size_t count,
                 double tolerance);

/* Fails where a gradient's distance from the wanted one is more than `tolerance` times its norm, or a hundredth of the largest
 * gradient's: for backends that keep maps in bfloat16. */
void assert_gradients_near(struct session *got, struct session *want, double tolerance);

/* Compares all gradients, statistics and logits of two sessions, each tensor against the largest of its values. */
void assert_sessions_close(struct session *got, struct session *want, uint32_t logits,
                           double tolerance);
/* Every parameter, average and state of the optimizer the same to the bit. */
void assert_sessions_equal(struct session *a, struct session *b);

#endif
