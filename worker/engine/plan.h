/* What a plan is made of. Private to the engine's shared files: engine.c makes plans, plan_step.c runs them, plan_resize.c
 * changes their image size, plan_tensor.c knows their tensors by name. */
#ifndef WORKER_ENGINE_PLAN_H
#define WORKER_ENGINE_PLAN_H

#include "worker/engine/backend.h"
#include "worker/engine/mask.h"

struct engine {
    const struct backend *backend;
    struct device *device;
    char device_name[DEVICE_NAME_SIZE]; /* as it was asked for; "": not */
    bool has_plan;
    struct image_set images; /* that plans take transforms of; bytes NULL: they take floats */
};

struct plan {
    struct engine *engine;
    struct plan_options options;
    struct graph *graph;
    struct program *program; /* NULL only where a resize failed for good */
    /* (batch, size, size, channels), or (batch) transforms: one of the two is NULL. */
    float *images;
    struct transform *transforms;
    float *logits; /* (batch, classes) */
    uint32_t *labels, *partners;
    float *shares;      /* (batch), as the two before */
    struct masks masks; /* of the part that is trained on */
    uint64_t steps;     /* done so far */
};

/* A tensor of the plan: a parameter, or what belongs to one. */
struct tensor_key {
    enum value_class class;
    size_t parameter;
};

/* Whether the plan has such a tensor. */
bool plan_has_tensor(const struct plan *plan, struct tensor_key key);

/* The tensors that plan_state_info lists, 0 .. plan_state_count() - 1. */
struct tensor_key plan_state_key(const struct plan *plan, size_t index);

#endif
