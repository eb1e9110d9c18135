/* A compiled network: what the oneDNN backend's files share. Private to onednn/.
 *
 * The graph becomes a row of units. A unit is what lies between two points at which a whole batch's statistics are needed:
 *
 *   forward   x = gate(act(norm of the unit before) + residual);  z = conv(x);  sums of z
 *   backward  dz from z, g and the sums of g;  dw, dx;  gradient of the gate;  g of the unit before, and its sums
 *
 * Inside a unit a few images at a time (a chunk) pass through all of it, so that what one kernel writes the next finds in
 * the cache; the batch's maps are read from memory two to three times less often than with one operation after another.
 * After the last unit come the mean over the map and the linear layer.
 *
 * Maps are (images, blocks, pixels, lanes), floats or bfloat16 as the program's kernels have them: pointers to void. */
#ifndef WORKER_ENGINE_ONEDNN_PROGRAM_H
#define WORKER_ENGINE_ONEDNN_PROGRAM_H

#include "worker/engine/arena.h"
#include "worker/engine/backend.h"
#include "worker/engine/onednn/kernels.h"
#include "worker/engine/onednn/onednn.h"
#include "worker/engine/onednn/parameters.h"
#include "worker/engine/onednn/primitive.h"
#include "worker/engine/optimizer.h"

enum { UNIT_NONE = UINT32_MAX };

enum unit_kind { UNIT_STEM, UNIT_DENSE, UNIT_DEPTHWISE };

/* Normalisation of a unit's z. Pointers are to arrays of one value a channel. */
struct unit_norm {
    size_t scale, shift, mean, variance; /* parameters, by index */
    bool silu;
    uint32_t residual; /* unit whose input is added after the activation; or UNIT_NONE */
    uint32_t block;    /* of the residual */
    float *pivot, *batch_mean, *inverse; /* inverse deviation */
    float *slope, *offset;
    float *by_g, *by_z, *constant;
    float *
        sums; /* two arrays of double: forward of z and its square, backward of g and g (z - mean) */
};

/* Squeeze-and-excitation on a unit's input. */
struct unit_gate {
    size_t parameter;                      /* index of the first of four */
    uint32_t squeezed;                     /* channels, padded */
    float *mean, *reduced, *active, *gate; /* (images, channels) or (images, squeezed) */
};

struct unit {
    enum unit_kind kind;
    uint32_t in_size, in_channels, out_size,
        out_channels; /* channels padded, but the stem's in_channels */
    uint32_t kernel, stride;
    uint32_t chunk; /* images that pass together; divides the part's images */
    size_t weight;  /* parameter, by index */
    bool gated;
    bool stored;            /* x is kept for the backward pass; otherwise made again */
    uint32_t residual_from; /* unit whose norm adds this unit's input; or UNIT_NONE */
    struct unit_gate gate;
    struct unit_norm norm;
    struct convolution *passes[3]; /* by enum convolution_pass; NULL for our own kernels */
    float *imported[3];            /* weights in the library's order, where it wants its own */
    void *x, *z;                   /* (images, ...) ; x NULL unless stored */
    void *g;                       /* gradient of act(norm(z)), see norm_reduce */
};

/* Buffers of one chunk, each as large as the largest unit needs. */
struct chunk_buffers {
    void *plain;     /* the stem's images, channels apart */
    void *y;         /* input before its gate */
    void *x;         /* input, where it is not stored */
    void *act_slope; /* of the activation before the input, made with it in the backward pass */
    void *dz, *dx;
    float *dw,
        *dw_sum; /* weight gradient of a chunk, of the chunks so far; as the library orders it */
    float *dgate, *dexpanded, *dreduced, *dmean;
    float *kernel, *library; /* scratch */
};

struct tail {
    uint32_t channels, classes, chunk; /* channels padded */
    size_t weight, bias;               /* parameters, by index */
    float *mean, *dmean;               /* (images, channels) */
    float *dlogits;                    /* (images, classes) */
};

/* A buffer in the arena. */
struct slot {
    float **floats; /* one of the two is not NULL */
    void **map;
    bool kept; /* holds values from step to step */
};

struct onednn_device {
    struct device device;
    struct primitive_context *context;
    const struct kernels *kernels,
        *kernels_bfloat; /* the second NULL where bfloat16 is not to be had */
    struct arena arena;
};

struct onednn_program {
    struct program program;
    struct onednn_device *device;
    const struct kernels *kernels;
    struct recipe recipe;
    uint32_t images;       /* of a part */
    const float *branches; /* struct part's, while it is trained on */
    struct parameter_places places;
    struct unit *units;
    uint32_t unit_count;
    struct tail tail;
    struct chunk_buffers chunk;
    float *weights, *averages; /* slabs of total floats; averages NULL where there are none */
    float *values;             /* the one of the two that the network computes with */
    float *gradients;          /* trained */
    float *states[OPTIMIZER_STATES_MAX]; /* trained */
    struct slot *slots;
    struct memory_buffer *buffers; /* of the slots, in the same order */
    size_t slot_count;
    bool imported;           /* the library's copies of the weights are up to date */
    struct profile *profile; /* NULL: nobody measures */
};

/* lower.c: units from the graph. -ENOMEM. */
int program_lower(struct onednn_program *program) MUST_USE;
/* layout.c: the library's passes, then every buffer's place in the device's arena. -ENOMEM naming the bytes. */
int program_lay_out(struct onednn_program *program, struct error *error) MUST_USE;

/* forward.c. Batch statistics where `training`, running ones otherwise. */
int program_forward(struct onednn_program *program, const struct part *part,
                    bool training) MUST_USE;
/* The input of unit `index`, images `first` .. first + chunk - 1; with `again` in the backward pass, where gates are known.
 * x is the input, y the input before its gate (the same where there is none). */
struct unit_input {
    void *x, *y;
    const void *act_slope; /* of the activation that made y; NULL where there is none at hand */
};
struct unit_input unit_input_make(struct onednn_program *program, uint32_t index, uint32_t first,
                                  bool again);

/* Dropout of what the last layer reads, (images, tail.channels), or of its gradient. */
void features_scale(const struct onednn_program *program, const struct part *part, float *values);

/* backward.c: from tail.dlogits to the gradients, which are added to. */
int program_backward(struct onednn_program *program, const struct part *part) MUST_USE;

/* profile.c */
void profile_start(struct onednn_program *program);
/* Books the time since profile_start, or the last profile_stop, under `kind`. */
void profile_stop(struct onednn_program *program, enum profile_kind kind);

/* ---- shorthands ---- */

static inline float *parameter_value(const struct onednn_program *program, size_t index)
{
    return program->values + program->places.places[index].offset;
}

static inline float *parameter_gradient(const struct onednn_program *program, size_t index)
{
    return program->gradients + program->places.places[index].offset;
}

/* Elements of one image's map. */
static inline size_t map_elements(uint32_t size, uint32_t channels)
{
    return (size_t)size * size * channels;
}

/* Where element `at` of a map is. */
static inline void *map_at(const struct onednn_program *program, void *map, size_t at)
{
    return (unsigned char *)map + at * program->kernels->map_bytes;
}

/* The two arrays of unit_norm's sums. */
static inline double *unit_sums(const struct unit *unit, int which)
{
    return (double *)(void *)unit->norm.sums + (size_t)which * unit->out_channels;
}

/* SiLU's slope is folded into g, unless dy itself is needed later as the gradient of a residual. */
static inline bool unit_keeps_dy(const struct unit *unit)
{
    return unit->norm.silu && unit->norm.residual != UNIT_NONE;
}

/* What the branch that ends with a unit is multiplied by, from image `first` on; NULL: nothing. */
static inline const float *unit_branch(const struct onednn_program *program,
                                       const struct unit *unit, uint32_t first)
{
    if (!program->branches || unit->norm.residual == UNIT_NONE)
        return NULL;
    return program->branches + (size_t)unit->norm.block * program->images + first;
}

/* The outputs of a unit, `images` of them. */
static inline struct kernel_map unit_map(const struct onednn_program *program,
                                         const struct unit *unit, uint32_t images)
{
    return (struct kernel_map){.images = images,
                               .blocks = unit->out_channels / program->kernels->lanes,
                               .pixels = (size_t)unit->out_size * unit->out_size};
}

#endif
