/* The seam between what all devices share and what each does its own way. Private to worker/engine.
 *
 * A backend compiles a whole graph into a program and runs micro-batches of it; engine.c does the rest (checks, batch buffers,
 * the loop over micro-batches). To add a device: a folder with one struct backend, listed in engine.c and CMakeLists.txt.
 *
 * A backend's own device and program structs start with these as their first member. */
#ifndef WORKER_ENGINE_BACKEND_H
#define WORKER_ENGINE_BACKEND_H

#include "worker/engine/engine.h"
#include "worker/engine/graph.h"
#include "worker/engine/mask.h"

struct optimizer_update;

struct device {
    size_t bytes_max; /* 0 = no limit; set by the engine */
    size_t
        bytes_needed; /* by the program that is compiled; set as soon as compile knows it, also where it then fails */
    void (*on_part)(void *context); /* see engine_watch_building; device_built_part calls it */
    void *on_part_context;
};

struct program {
    const struct graph *graph;
    size_t bytes;
    enum precision
        precision; /* of maps and their gradients; what the recipe asks for, or PRECISION_F32 */
};

/* What is dropped of a part: see mask.h. */
struct part_masks {
    struct mask_key key;
    double stochastic_depth, dropout; /* rates */
};

/* One micro-batch. */
struct part {
    const float *images; /* (images, size, size, channels); NULL: to be made out of transforms */
    /* Of the whole batch, for partners may lie in another part: (batch), of which those of this part start at batch_first. NULL
     * where images are given. */
    const struct transform *transforms;
    uint32_t batch, batch_first;
    const uint32_t *labels;   /* (images) */
    const uint32_t *partners; /* (images), see plan_partners; NULL in evaluation */
    const float *shares;
    float *logits; /* out: (images, classes) */
    /* What is multiplied in training: the branch of every block with a residual, before that is added, (blocks, images),
     * and what the last layer reads, (images, features). NULL: 1. Both NULL where the backend draws its masks itself. */
    const float *branches, *features;
    struct part_masks masks; /* of training; what the two above were drawn by */
    uint32_t
        count; /* images that count; the others of the micro-batch are there but ignored (evaluation only) */
    bool first;           /* gradients replace those of before; otherwise they are added */
    bool keep_statistics; /* BN's running statistics stay as they are */
};

/* A parameter, its moving average, the optimizer's states and the gradient of a trained one. */
enum value_class { VALUE_PARAMETER, VALUE_AVERAGE, VALUE_STATE_0, VALUE_STATE_1, VALUE_GRADIENT };

struct backend {
    const char *name;
    bool draws_masks; /* by itself, as mask.h does */
    /* `name` is engine_new_on's. Processors have one device: device_is_cpu says whether it was meant. */
    int (*device_open)(const char *name, struct device **ret_device, struct error *error);
    void (*device_close)(struct device *device);
    /* backend_devices and engine_memory_free; both NULL on processors. */
    int (*devices)(const char *name, struct device_info *ret_devices, uint32_t max,
                   struct error *error);
    size_t (*memory_free)(const struct device *device);
    /* engine_failure; NULL on processors. */
    void (*failure)(const struct device *device, char *ret_text, size_t size);
    /* Parameters are not initialised: the engine writes them. `graph` outlives the program. One program at a time. */
    int (*compile)(struct device *device, const struct graph *graph,
                   const struct plan_options *options, struct program **ret_program,
                   struct error *error);
    void (*release)(struct program *program);
    /* Forward in training mode, loss with label smoothing, backward; gradients are of the loss over the whole batch's
     * images. Loss is the sum over the part; not finite is not an error here. */
    int (*train)(struct program *program, const struct part *part, struct batch_result *ret_result);
    /* optimizer_step over all parameters. */
    int (*update)(struct program *program, const struct optimizer_update *update);
    /* train, which replaces gradients and moves statistics, and update in one, for programs whose part is the whole batch: a
     * device can do that without asking the processor in between. -EDOM as plan_step. NULL: the two after each other. */
    int (*step)(struct program *program, const struct part *part,
                const struct optimizer_update *update, struct batch_result *ret_result);
    /* Forward with running statistics, loss without smoothing; of the moving averages where the recipe keeps them. */
    int (*infer)(struct program *program, const struct part *part, struct batch_result *ret_result);
    /* Values that the plan has, in the graph's order of dimensions. Gradients are not written. */
    int (*read)(struct program *program, enum value_class class, size_t parameter,
                float *ret_values);
    int (*write)(struct program *program, enum value_class class, size_t parameter,
                 const float *values);
    void (*poison)(struct program *program); /* see plan_poison */
    /* engine_hold_images: `set` is copied, its bytes are not. NULL where the backend takes floats alone. */
    int (*hold_images)(struct device *device, const struct image_set *set, struct error *error);
    /* Seconds that the last whole training step took on the device, by the device's own clock; NULL where it has none. */
    double (*seconds)(struct program *program);
};

/* For backends that run on the processor: 0 where `name` is NULL or "cpu", -EINVAL otherwise. */
int device_is_cpu(const char *name, struct error *error) MUST_USE;

/* For backends whose compile takes long: a part is made. */
void device_built_part(const struct device *device);

/* The program behind a plan; for measurements. */
struct program *plan_program(struct plan *plan);

#endif
