/* What the programs in tests/peers/ are asked to do: one JSON file, read by the product's own readers.
 *
 * {"backend": "onednn", "architecture": {...}, "recipe": {...}, "seed": 1, ...}; architecture and recipe as in docs/spec.md.
 * Fields that a program does not use are ignored by it. */
#ifndef TESTS_PEERS_JOB_H
#define TESTS_PEERS_JOB_H

#include "worker/engine/engine.h"

enum { JOB_PATH_SIZE = 512 };

struct job {
    const struct backend *backend;
    struct architecture architecture;
    struct recipe recipe;
    uint64_t seed;
    /* engine_peer */
    struct problem problem; /* from "image_size", "image_channels", "classes" */
    uint32_t steps;         /* training steps, after which the weights are written */
    char input[JOB_PATH_SIZE], output[JOB_PATH_SIZE]; /* safetensors files */
    /* train_peer */
    char data[JOB_PATH_SIZE]; /* directory of data sets */
    char dataset[64];
    char dump
        [JOB_PATH_SIZE]; /* directory; where given, the images are written there and nothing is trained */
    uint64_t train_images, validation_images, test_images;
    uint64_t split_seed;
    uint32_t epochs;
};

/* -EINVAL, -ENOENT, -ENOMEM. */
int job_read(const char *path, struct job *ret_job, struct error *error) MUST_USE;

#endif
