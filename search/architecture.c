#include "search/architecture.h"

#include "search/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const block_names[] = {
    [BLOCK_IDENTITY] = "identity",
    [BLOCK_CONV] = "conv",
    [BLOCK_MBCONV] = "mbconv",
    [BLOCK_FUSED_MBCONV] = "fused_mbconv",
};

const char *block_type_name(enum block_type block)
{
    assert((size_t)block < ARRAY_LENGTH(block_names));
    return block_names[block];
}

int block_type_from_name(const char *name, enum block_type *ret_block)
{
    for (size_t i = 0; i < ARRAY_LENGTH(block_names); i++) {
        if (strcmp(name, block_names[i]) == 0) {
            *ret_block = (enum block_type)i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool kernel_is_valid(uint32_t kernel)
{
    return kernel % 2 == 1 && kernel <= ARCHITECTURE_KERNEL_MAX;
}

static bool stride_is_valid(uint32_t stride)
{
    return stride == 1 || stride == 2;
}

static bool in_range(uint32_t value, uint32_t max)
{
    return value >= 1 && value <= max;
}

/* What is wrong with a field, as a sentence; NULL where nothing is. *ret_field is its name. */
static const char *stage_complaint(const struct stage *stage, const char **ret_field)
{
    if ((unsigned)stage->block >= ARRAY_LENGTH(block_names))
        return *ret_field = "block", "must be identity, conv, mbconv or fused_mbconv";
    if (stage->block == BLOCK_IDENTITY)
        return NULL;
    if (!in_range(stage->layers, ARCHITECTURE_LAYERS_MAX))
        return *ret_field = "layers", "must be a whole number from 1 to 128";
    if (!kernel_is_valid(stage->kernel))
        return *ret_field = "kernel", "must be 1, 3, 5 or 7";
    if (!in_range(stage->expansion, ARCHITECTURE_EXPANSION_MAX))
        return *ret_field = "expansion", "must be a whole number from 1 to 16";
    if (stage->se_ratio > SE_RATIO_SCALE)
        return *ret_field = "se", "must be a ratio from 0 (no SE) to 1";
    if (!stride_is_valid(stage->stride))
        return *ret_field = "stride", "must be 1 or 2";
    if (!in_range(stage->channels, ARCHITECTURE_CHANNELS_MAX))
        return *ret_field = "channels", "must be a whole number from 1 to 8192";
    return NULL;
}

int stage_validate(const struct stage *stage, struct error *error)
{
    const char *field = NULL;
    const char *complaint = stage_complaint(stage, &field);
    if (!complaint)
        return 0;
    char pointer[32];
    snprintf(pointer, sizeof pointer, "/%s", field);
    return error_set(error, -EINVAL, pointer, "%s of a stage %s.", field, complaint);
}

static int ends_validate(const struct architecture *architecture, struct error *error)
{
    if (!kernel_is_valid(architecture->stem_kernel))
        return error_set(error, -EINVAL, "/stem/kernel", "The stem's kernel must be 1, 3, 5 or 7.");
    if (!stride_is_valid(architecture->stem_stride))
        return error_set(error, -EINVAL, "/stem/stride", "The stem's stride must be 1 or 2.");
    if (!in_range(architecture->stem_channels, ARCHITECTURE_CHANNELS_MAX))
        return error_set(error, -EINVAL, "/stem/channels",
                         "The stem's channels must be a whole number from 1 to 8192.");
    if (!in_range(architecture->head_channels, ARCHITECTURE_CHANNELS_MAX))
        return error_set(error, -EINVAL, "/head/channels",
                         "The head's channels must be a whole number from 1 to 8192.");
    return 0;
}

int architecture_validate(const struct architecture *architecture, struct error *error)
{
    int r = ends_validate(architecture, error);
    if (r < 0)
        return r;
    if (architecture->stage_count > ARCHITECTURE_STAGES_MAX)
        return error_set(error, -EINVAL, "/stages", "An architecture has at most %d stages.",
                         ARCHITECTURE_STAGES_MAX);
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        const char *field = NULL;
        const char *complaint = stage_complaint(&architecture->stages[i], &field);
        if (!complaint)
            continue;
        char pointer[48];
        snprintf(pointer, sizeof pointer, "/stages/%" PRIu32 "/%s", i, field);
        return error_set(error, -EINVAL, pointer, "%s of a stage %s.", field, complaint);
    }
    return 0;
}

int problem_validate(const struct problem *problem, struct error *error)
{
    if (!in_range(problem->image_size, IMAGE_SIZE_MAX))
        return error_set(error, -EINVAL, "/image_size",
                         "The image size must be a whole number of pixels from 1 to %d.",
                         IMAGE_SIZE_MAX);
    if (problem->image_channels != 1 && problem->image_channels != 3)
        return error_set(error, -EINVAL, "/image_channels",
                         "Images have 1 channel (grey) or 3 (colour).");
    if (!in_range(problem->classes, CLASSES_MAX))
        return error_set(error, -EINVAL, "/classes",
                         "The classes must be a whole number from 1 to %d.", CLASSES_MAX);
    return 0;
}

static void stage_canonicalize(struct stage *stage)
{
    if (stage->block == BLOCK_CONV) {
        stage->block = BLOCK_FUSED_MBCONV;
        stage->expansion = 1;
    }
    if (stage->block == BLOCK_FUSED_MBCONV && stage->expansion == 1)
        stage->se_ratio = 0;
}

/* True where the blocks of `next` are more of the last blocks of `stage`. */
static bool stage_continues(const struct stage *stage, const struct stage *next)
{
    return next->stride == 1 && stage->block == next->block && stage->kernel == next->kernel &&
           stage->expansion == next->expansion && stage->se_ratio == next->se_ratio &&
           stage->channels == next->channels;
}

void architecture_canonicalize(struct architecture *architecture)
{
    assert(architecture->stage_count <= ARCHITECTURE_STAGES_MAX);
    struct stage *stages = architecture->stages;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        struct stage stage = stages[i];
        if (stage.block == BLOCK_IDENTITY)
            continue;
        stage_canonicalize(&stage);
        if (kept > 0 && stage_continues(&stages[kept - 1], &stage)) {
            uint32_t room = ARCHITECTURE_LAYERS_MAX - stages[kept - 1].layers;
            uint32_t moved = stage.layers < room ? stage.layers : room;
            stages[kept - 1].layers += moved;
            stage.layers -= moved;
        }
        if (stage.layers > 0)
            stages[kept++] = stage;
    }
    memset(&stages[kept], 0, (ARCHITECTURE_STAGES_MAX - kept) * sizeof *stages);
    architecture->stage_count = kept;
}

/* "_se0.25"; "" without SE. The ratio is in ten-thousandths, so four decimals are exact. */
static size_t se_format(uint32_t se_ratio, char ret_text[16])
{
    if (se_ratio == 0) {
        ret_text[0] = '\0';
        return 0;
    }
    int length = snprintf(ret_text, 16, "_se%" PRIu32 ".%04" PRIu32, se_ratio / SE_RATIO_SCALE,
                          se_ratio % SE_RATIO_SCALE);
    while (ret_text[length - 1] == '0')
        length--;
    if (ret_text[length - 1] == '.')
        length--;
    ret_text[length] = '\0';
    return (size_t)length;
}

void architecture_text(const struct architecture *architecture,
                       char ret_text[ARCHITECTURE_TEXT_SIZE])
{
    struct architecture canonical = *architecture;
    architecture_canonicalize(&canonical);
    size_t used = (size_t)snprintf(
        ret_text, ARCHITECTURE_TEXT_SIZE, "stem_k%" PRIu32 "_s%" PRIu32 "_c%" PRIu32 "|",
        canonical.stem_kernel, canonical.stem_stride, canonical.stem_channels);
    for (uint32_t i = 0; i < canonical.stage_count; i++) {
        const struct stage *s = &canonical.stages[i];
        char se[16];
        se_format(s->se_ratio, se);
        used += (size_t)snprintf(ret_text + used, ARCHITECTURE_TEXT_SIZE - used,
                                 "%s_r%" PRIu32 "_k%" PRIu32 "_s%" PRIu32 "_e%" PRIu32 "_c%" PRIu32
                                 "%s|",
                                 s->block == BLOCK_MBCONV ? "mb" : "fused", s->layers, s->kernel,
                                 s->stride, s->expansion, s->channels, se);
        assert(used < ARCHITECTURE_TEXT_SIZE);
    }
    snprintf(ret_text + used, ARCHITECTURE_TEXT_SIZE - used, "head_c%" PRIu32,
             canonical.head_channels);
}

/* SplitMix64's finalizer: a bijection of 64-bit words in which every input bit reaches every output
 * bit. */
static uint64_t mix64(uint64_t word)
{
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static uint64_t stage_word(const struct stage *stage)
{
    return (uint64_t)stage->block | (uint64_t)stage->layers << 2 | (uint64_t)stage->kernel << 10 |
           (uint64_t)stage->expansion << 14 | (uint64_t)stage->se_ratio << 19 |
           (uint64_t)stage->stride << 33 | (uint64_t)stage->channels << 35;
}

uint64_t architecture_hash(const struct architecture *architecture)
{
    struct architecture canonical = *architecture;
    architecture_canonicalize(&canonical);
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15);
    hash = mix64(hash ^ ((uint64_t)canonical.stem_kernel | (uint64_t)canonical.stem_stride << 8 |
                         (uint64_t)canonical.stem_channels << 16 |
                         (uint64_t)canonical.head_channels << 40));
    for (uint32_t i = 0; i < canonical.stage_count; i++)
        hash = mix64(hash ^ stage_word(&canonical.stages[i]));
    return hash;
}

static bool stage_equal(const struct stage *a, const struct stage *b)
{
    return stage_word(a) == stage_word(b);
}

bool architecture_equal(const struct architecture *a, const struct architecture *b)
{
    struct architecture x = *a, y = *b;
    architecture_canonicalize(&x);
    architecture_canonicalize(&y);
    if (x.stem_kernel != y.stem_kernel || x.stem_stride != y.stem_stride ||
        x.stem_channels != y.stem_channels || x.head_channels != y.head_channels ||
        x.stage_count != y.stage_count)
        return false;
    for (uint32_t i = 0; i < x.stage_count; i++) {
        if (!stage_equal(&x.stages[i], &y.stages[i]))
            return false;
    }
    return true;
}
