/* The network that a measuring program of the CUDA backend was asked for on its command line. */
#ifndef TESTS_BENCH_CUDA_NETWORK_H
#define TESTS_BENCH_CUDA_NETWORK_H

#include "worker/engine/engine.h"

struct cuda_network {
    const char *preset;
    const char *pixels, *images; /* NULL: the preset's size; 1 */
};

/* -ENOENT, -EINVAL. */
int cuda_network_options(const struct cuda_network *network, struct plan_options *ret_options,
                         struct error *error) MUST_USE;
/* Random images and labels into the plan's batch. */
void cuda_network_fill(const struct cuda_network *network, struct plan *plan);

/* The launcher's name at the beginning of cuda_launch_text's line. */
void cuda_launch_name(const char *text, size_t size, char *ret_name);

#endif
