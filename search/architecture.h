/* Architectures: a stem, a list of stages and a head, as plain values.
 *
 * Source: EfficientNetV2 (Tan and Le, 2021), tables 4 and 5; EfficientNet (2019), table 1. An
 * architecture says nothing of the images or classes that it is used for: struct problem does.
 *
 * A stage repeats one block `layers` times; the first block has the stage's stride and takes the
 * previous stage's channels, the others have stride 1. An identity stage is left out altogether:
 * its input goes on unchanged, and its channels and stride are not applied. An architecture is thus
 * a sequence of blocks, and the canonical form writes that sequence in one way only: no identity
 * stages; a plain conv as a Fused-MBConv of expansion 1, which is the same network; a stage that
 * goes on with the blocks of the stage before it (stride 1, all else equal) joined to it, up to
 * ARCHITECTURE_LAYERS_MAX. Two architectures are the same network exactly when their canonical
 * forms are equal. */
#ifndef SEARCH_ARCHITECTURE_H
#define SEARCH_ARCHITECTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "search/error.h"

enum {
    ARCHITECTURE_STAGES_MAX = 32,
    ARCHITECTURE_LAYERS_MAX = 128, /* blocks in one stage */
    ARCHITECTURE_CHANNELS_MAX = 8192,
    ARCHITECTURE_EXPANSION_MAX = 16,
    ARCHITECTURE_KERNEL_MAX = 7,   /* kernels are odd: 1, 3, 5, 7 */
    ARCHITECTURE_TEXT_SIZE = 2048, /* holds any canonical text, terminator included */
    IMAGE_SIZE_MAX = 1024,
    CLASSES_MAX = 65536,
    SE_RATIO_SCALE =
        10000, /* squeeze ratios are stored in ten-thousandths, so that they compare exactly */
};

enum block_type {
    BLOCK_IDENTITY,
    BLOCK_CONV,        /* k x k conv, BN, SiLU; residual where shapes allow; no expansion, no SE */
    BLOCK_MBCONV,      /* [1x1 expand] k x k depthwise [SE] 1x1 project */
    BLOCK_FUSED_MBCONV /* k x k expand [SE] 1x1 project; with expansion 1 one k x k conv without SE
                        */
};

struct stage {
    enum block_type block;
    uint32_t layers;    /* 1 .. ARCHITECTURE_LAYERS_MAX */
    uint32_t kernel;    /* 1, 3, 5 or 7 */
    uint32_t expansion; /* 1 .. ARCHITECTURE_EXPANSION_MAX; not used by BLOCK_CONV */
    uint32_t
        se_ratio;    /* squeeze ratio x SE_RATIO_SCALE, 0 = no SE; of the block's input channels */
    uint32_t stride; /* 1 or 2 */
    uint32_t channels; /* out, 1 .. ARCHITECTURE_CHANNELS_MAX */
};

struct architecture {
    uint32_t stem_kernel, stem_stride, stem_channels;
    uint32_t head_channels; /* of the 1x1 conv before pooling */
    uint32_t stage_count;
    struct stage stages[ARCHITECTURE_STAGES_MAX];
};

/* What a network is used for: it fixes the shapes at both ends. */
struct problem {
    uint32_t image_size;     /* pixels, square */
    uint32_t image_channels; /* 1 or 3 */
    uint32_t classes;
};

/* Checks every field that the block uses. -EINVAL, pointer "/kernel" and so on ("/se" for the
 * squeeze ratio). */
int stage_validate(const struct stage *stage, struct error *error) MUST_USE;

/* Checks every field. -EINVAL with a pointer relative to the architecture ("/stages/2/kernel"). */
int architecture_validate(const struct architecture *architecture, struct error *error) MUST_USE;

/* -EINVAL, pointer "/image_size" and so on. */
int problem_validate(const struct problem *problem, struct error *error) MUST_USE;

/* Brings a valid architecture into its canonical form, in place. Stages past the count become
 * zeros. */
void architecture_canonicalize(struct architecture *architecture);

/* The canonical text of an architecture in any form, for example
 * "stem_k3_s2_c32|fused_r1_k3_s1_e1_c16|mb_r3_k3_s2_e4_c96_se0.25|head_c1280". */
void architecture_text(const struct architecture *architecture,
                       char ret_text[ARCHITECTURE_TEXT_SIZE]);

/* 64-bit hash of the canonical form's numbers; the same on every machine and in every version. Of n
 * different architectures two share a hash with probability n^2 / 2^65. */
uint64_t architecture_hash(const struct architecture *architecture);

bool architecture_equal(const struct architecture *a, const struct architecture *b);

const char *block_type_name(
    enum block_type block); /* "identity", "conv", "mbconv", "fused_mbconv" */
int block_type_from_name(const char *name, enum block_type *ret_block) MUST_USE; /* -EINVAL */

#endif
