/* A compiled network: what the CUDA backend's files share. Private to cuda/.
 *
 * The graph becomes a row of units, a unit being one convolution and the normalisation of its output y. What a step launches is
 * one fixed list, the schedule, made once a program: of every launch it says which kernel and which tensors, and from that
 * follows when each tensor's memory may be used for another (memory.c). Nothing else may touch a tensor: launch_data() looks it
 * up in the launch's own list.
 *
 *   forward    y = conv(z of the unit before);  statistics of y;  z = branch gate silu(BN(y)) + residual
 *   backward   dz -> sums -> dy = gradient of y -> gradient of the weights, dz of the unit before
 *
 * y is stored, for the backward pass too. z is stored where a dense convolution or a residual reads it, and until the backward
 * pass has read it; a depthwise convolution normalises y while it loads it. Maps are bfloat16 (images, size, size, channels),
 * channels padded to multiples of 8. */
#ifndef WORKER_ENGINE_CUDA_PROGRAM_H
#define WORKER_ENGINE_CUDA_PROGRAM_H

#include "kernels/batch_norm.h"
#include "kernels/step.h"
#include "worker/engine/backend.h"
#include "worker/engine/cuda/convolver.h"
#include "worker/engine/cuda/cuda.h"
#include "worker/engine/cuda/image_store.h"
#include "worker/engine/cuda/slab.h"
#include "worker/engine/memory_plan.h"
#include "worker/engine/optimizer.h"

#include <assert.h>

#define PARAMETER_NONE SIZE_MAX
#define CUDA_WORKSPACE_BYTES ((size_t)CONVOLVER_WORKSPACE_MIB << 20)

enum {
    UNIT_NONE = UINT32_MAX,
    TENSOR_NONE = UINT32_MAX,
    TENSOR_ALIGNMENT = CONVOLVER_ALIGNMENT,
    LAUNCH_USES_MAX = 20,
    CUDA_MEMORY_PARTS = 64 /* of a device's memory; one is left to the driver */
};

/* Squeeze-and-excitation between a unit's activation and its z. Tensors in float. */
struct unit_gate {
    size_t parameter;         /* index of the first of four */
    uint32_t squeezed;        /* channels between the two layers */
    uint32_t pooled;          /* (images, channels): mean of silu(BN(y)) */
    uint32_t reduced, active; /* (images, squeezed) */
    uint32_t gate;            /* (images, channels) */
    uint32_t sums;            /* (5, images, channels), see squeeze_sums_launch */
    uint32_t added;           /* (images, channels): gradient of pooled */
    uint32_t scratch;         /* the backward pass's own */
};

/* How a unit's convolution gets its input. */
enum unit_input {
    INPUT_IMAGES,    /* the packed images */
    INPUT_MAP,       /* z of the unit before */
    INPUT_NORMALISED /* y of the unit before, normalised while it is loaded; depthwise only */
};

struct unit {
    struct convolution shape;                               /* channels padded, a part's images */
    const struct convolver_plan *plans[CONVOLUTION_PASSES]; /* dense; NULL where there is none */
    enum unit_input input;
    size_t weight, norm; /* parameters, by index; norm: the first of scale, shift, mean, variance */
    bool silu, gated;
    uint32_t residual;    /* unit whose z is added to this one's, or UNIT_NONE */
    uint32_t residual_to; /* unit to whose z this one's is added, or UNIT_NONE */
    uint32_t block;       /* of the residual */
    struct unit_gate gate;
    /* tensors, by index */
    uint32_t y, z;                /* maps; z may be TENSOR_NONE */
    uint32_t moments;             /* (2, channels): mean, inverse deviation */
    uint32_t sums, backward_sums; /* partial sums, see struct batch_norm */
    uint32_t means;               /* (2, channels), see struct batch_norm_gradients */
    uint32_t
        dz; /* gradient of z, or of BN(y) where a depthwise convolution read that; last unit: none */
    uint32_t dy;          /* dense only */
    uint32_t weight_sums; /* depthwise only */
    uint32_t workspaces[CONVOLUTION_PASSES];
};

/* Pooling, dropout, the last layer, the loss. */
struct tail {
    uint32_t channels, classes;  /* channels padded */
    size_t weight, bias;         /* parameters, by index */
    uint32_t pooled, dpooled;    /* tensors (images, channels) */
    uint32_t logits, dlogits;    /* (images, classes) */
    uint32_t image_losses, loss; /* see struct cross_entropy */
};

/* What a part and a step bring with them, and what holds values between steps. Tensors, by index. */
struct inputs {
    uint32_t images; /* (images, size, size, image channels), float; TENSOR_NONE: transforms come */
    uint32_t packed; /* the map that the first unit reads */
    uint32_t labels, partners, shares; /* (images) */
    uint32_t branches, features;       /* what dropout and stochastic depth drop */
    uint32_t control;                  /* struct step_control */
};

struct slabs {
    uint32_t values, averages; /* (total); averages: TENSOR_NONE where there are none */
    uint32_t gradients;        /* (trained) */
    uint32_t states[OPTIMIZER_STATES_MAX];
    uint32_t halves, average_halves; /* (decayed), bfloat16 */
    uint32_t norm_sums;              /* of the gradients' norm */
};

/* A buffer in device memory. */
struct tensor {
    const char *role; /* "y", "dz", ... */
    uint32_t unit;    /* whose, or UNIT_NONE */
    size_t bytes;
    bool kept;           /* holds values from step to step */
    unsigned char *data; /* NULL until memory is laid out, and where bytes is 0 */
};

struct tensor_use {
    uint32_t tensor;
    size_t parameter; /* of a slab; PARAMETER_NONE: all of it */
    bool written;
    size_t bytes; /* that pass over the bus if nothing stays in a cache */
};

struct cuda_program;
struct launch;

struct launch_kind {
    const char *name;                                                      /* of the launcher */
    int (*run)(struct cuda_program *program, const struct launch *launch); /* 0, -ENOMEM or -EIO */
};

struct launch {
    const struct launch_kind *kind;
    uint32_t unit; /* or UNIT_NONE */
    uint32_t use_count;
    struct tensor_use uses[LAUNCH_USES_MAX];
};

/* Launches 0 .. forward_end - 1 are the forward pass with the loss, then backward up to backward_end, then the update. */
struct schedule {
    struct launch *launches;
    struct tensor *tensors;
    uint32_t launch_count, tensor_count, launches_max, tensors_max;
    uint32_t forward_end, backward_end;
};

/* How the launches are to be understood this time. */
struct run {
    bool
        training; /* batch statistics, dropout, gradients; otherwise running statistics and averages */
    bool first, keep_statistics; /* struct part's */
    uint32_t count;              /* images that count */
    uint32_t batch_first;        /* struct part's */
    struct part_masks masks;
};

/* Host memory that the device copies from and to. */
struct staging {
    struct step_control *control; /* to the device */
    uint32_t *labels, *partners;  /* (images) */
    float *shares;
    float *logits; /* (images, classes), from the device */
    struct cross_entropy_sum *loss;
    struct step_control *outcome;
    unsigned char *piece; /* of what is not pinned itself */
    void *pinned;         /* all of them */
};

struct cuda_device {
    struct device device;
    struct CUstream_st *stream;
    struct convolver *convolver;
    struct CUevent_st *before, *after; /* around the last step */
    struct image_store *images;
    struct image_set set; /* that the store holds; bytes NULL: none */
    void *arena;          /* kept between programs */
    size_t arena_bytes;
    int index;
};

struct cuda_program {
    struct program program;
    struct cuda_device *device;
    struct recipe recipe;
    uint32_t images; /* of a part */
    struct slab_layout layout;
    struct unit *units;
    uint32_t unit_count;
    struct tail tail;
    struct inputs inputs;
    struct slabs slabs;
    struct schedule schedule;
    struct staging staging;
    struct run run;
    bool transforms; /* come instead of floats */
    bool halves_stale, average_halves_stale;
    struct device_graph *graph;    /* of a step; NULL until the first one */
    struct part_masks graph_masks; /* rates that it was recorded with */
    bool stepped;                  /* the device's events stand around a step */
};

/* lower.c: units from the graph. -ENOMEM, -EINVAL where a map has too many pixels. */
int cuda_lower(struct cuda_program *program, struct error *error) MUST_USE;
/* lower.c: plans of the dense convolutions. Errors of convolver_prepare. */
int cuda_prepare(struct cuda_program *program, struct error *error) MUST_USE;

/* memory.c: tensors that belong to no pass, and every tensor's place in the device's arena. -ENOMEM naming the bytes. */
void cuda_slabs_add(struct cuda_program *program);
int cuda_lay_out(struct cuda_program *program, struct error *error) MUST_USE;
/* memory.c: bytes that the device has free, but for a 64th of all its memory: the driver takes some when it loads kernels and
 * makes graphs, and where it gets none the process must end. -EIO. */
int cuda_room(const struct cuda_device *device, size_t *ret_bytes, struct error *error) MUST_USE;
/* memory.c: the backend's function of that name. */
int cuda_hold_images(struct device *device, const struct image_set *set, struct error *error);

/* forward.c, tail.c, backward.c, update.c: put tensors and launches into the schedule, in this order. */
void cuda_schedule_inputs(struct cuda_program *program);
void cuda_schedule_forward(struct cuda_program *program);
void cuda_schedule_tail(struct cuda_program *program);
void cuda_schedule_tail_backward(struct cuda_program *program);
void cuda_schedule_backward(struct cuda_program *program);
void cuda_schedule_update(struct cuda_program *program);

/* step.c: the backend's functions of the same names. */
int cuda_train(struct program *program, const struct part *part, struct batch_result *ret_result);
int cuda_update(struct program *program, const struct optimizer_update *update);
int cuda_step(struct program *program, const struct part *part,
              const struct optimizer_update *update, struct batch_result *ret_result);
int cuda_infer(struct program *program, const struct part *part, struct batch_result *ret_result);
double cuda_seconds(struct program *program);

/* staging.c */
int cuda_staging_init(struct cuda_program *program, struct error *error) MUST_USE;
void cuda_staging_release(struct cuda_program *program);
/* Between ordinary memory and the device, in pieces; waits. Not while a step is recorded. 0 or -EIO. */
int cuda_write_bytes(struct cuda_program *program, void *to_device, const void *from,
                     size_t bytes) MUST_USE;
int cuda_read_bytes(struct cuda_program *program, void *ret_to, const void *from_device,
                    size_t bytes) MUST_USE;

/* ---- schedule.c ---- */

/* -ENOMEM. */
int schedule_init(struct schedule *schedule, uint32_t units) MUST_USE;
void schedule_release(struct schedule *schedule);

/* Its index; TENSOR_NONE for 0 bytes. */
uint32_t tensor_add(struct cuda_program *program, const char *role, uint32_t unit, size_t bytes);

/* Appends a launch; the uses that follow are its. TENSOR_NONE is passed over. */
void launch_add(struct cuda_program *program, const struct launch_kind *kind, uint32_t unit);
void launch_reads(struct cuda_program *program, uint32_t tensor);
void launch_writes(struct cuda_program *program, uint32_t tensor);
/* One parameter of a slab of floats or halves. */
void launch_reads_parameter(struct cuda_program *program, uint32_t tensor, size_t parameter);
void launch_writes_parameter(struct cuda_program *program, uint32_t tensor, size_t parameter);

/* Device memory of a tensor that the launch has named; NULL for TENSOR_NONE. */
void *launch_data(const struct cuda_program *program, const struct launch *launch, uint32_t tensor);
/* NULL too for what the launch has not named. */
void *launch_data_if_named(const struct cuda_program *program, const struct launch *launch,
                           uint32_t tensor);

/* A parameter that the network computes with, of the weights or in evaluation of their averages; the launch has named
 * slabs.values or slabs.halves. */
float *launch_value(const struct cuda_program *program, const struct launch *launch,
                    size_t parameter);
uint16_t *launch_half(const struct cuda_program *program, const struct launch *launch,
                      size_t parameter);
/* Of a parameter; NULL where the launch has not named slabs.gradients. */
float *launch_gradient(const struct cuda_program *program, const struct launch *launch,
                       size_t parameter);

/* Runs launches first .. end - 1. 0, -ENOMEM or -EIO. */
int schedule_run(struct cuda_program *program, uint32_t first, uint32_t end) MUST_USE;

/* Bytes of a map of all images. */
static inline size_t map_bytes(const struct cuda_program *program, uint32_t size, uint32_t channels)
{
    return (size_t)program->images * size * size * channels * sizeof(uint16_t);
}

static inline bool unit_is_last(const struct cuda_program *program, const struct unit *unit)
{
    return unit == &program->units[program->unit_count - 1];
}

#endif
