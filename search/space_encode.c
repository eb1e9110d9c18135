#include "search/space.h"

#include <errno.h>
#include <stdlib.h>

enum { UNREACHED = UINT16_MAX };

_Static_assert((int)SPACE_OPTIONS_MAX <= (int)UNREACHED, "every option is a value of its own");

/* Which stages of a space can make the first blocks of a network. */
struct match {
    struct stage *blocks; /* of the network, one layer each */
    uint32_t block_count;
    /* (stage_count + 1, block_count + 1): the option of stage i - 1 after which stages 0 to i - 1 are exactly the first j
     * blocks; UNREACHED where they cannot be */
    uint16_t *options;
};

static uint16_t *match_cell(const struct match *match, uint32_t stage, uint32_t block)
{
    return &match->options[(size_t)stage * (match->block_count + 1) + block];
}

static int match_init(struct match *match, const struct space *space,
                      const struct architecture *architecture)
{
    size_t cells = 1;
    *match = (struct match){.block_count = 0};
    for (uint32_t i = 0; i < architecture->stage_count; i++)
        cells += architecture->stages[i].layers;
    match->blocks = calloc(cells, sizeof *match->blocks);
    cells *= space_stage_count(space) + 1;
    match->options = malloc(cells * sizeof *match->options);
    if (!match->blocks || !match->options)
        return -ENOMEM;
    for (size_t i = 0; i < cells; i++)
        match->options[i] = UNREACHED;
    match->options[0] = 0;
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        struct stage block = architecture->stages[i];
        block.layers = 1;
        for (uint32_t j = 0; j < architecture->stages[i].layers; j++) {
            match->blocks[match->block_count++] = block;
            block.stride = 1;
        }
    }
    return 0;
}

static void match_release(struct match *match)
{
    free(match->blocks);
    free(match->options);
}

/* An option in canonical form; without layers where it is an identity. */
static struct stage option_canonical(const struct space *space, uint32_t stage, uint32_t option)
{
    struct architecture one = {.stage_count = 1};
    one.stages[0] = *space_option(space, stage, option);
    architecture_canonicalize(&one);
    return one.stages[0];
}

static bool block_equal(const struct stage *a, const struct stage *b)
{
    return a->block == b->block && a->kernel == b->kernel && a->expansion == b->expansion &&
           a->se_ratio == b->se_ratio && a->stride == b->stride && a->channels == b->channels;
}

/* True where a canonical option's blocks are those from `first` on. */
static bool option_fits(const struct match *match, struct stage option, uint32_t first)
{
    if (option.layers > match->block_count - first)
        return false;
    for (uint32_t i = 0; i < option.layers; i++) {
        if (!block_equal(&match->blocks[first + i], &option))
            return false;
        option.stride = 1;
    }
    return true;
}

static void match_stage(struct match *match, const struct space *space, uint32_t stage)
{
    for (uint32_t i = 0; i < space_option_count(space, stage); i++) {
        struct stage option = option_canonical(space, stage, i);
        for (uint32_t first = 0; first <= match->block_count; first++) {
            if (*match_cell(match, stage, first) == UNREACHED || !option_fits(match, option, first))
                continue;
            uint16_t *cell = match_cell(match, stage + 1, first + option.layers);
            if (*cell == UNREACHED)
                *cell = (uint16_t)i;
        }
    }
}

static int match_read(const struct match *match, const struct space *space,
                      struct encoding *ret_encoding)
{
    struct encoding encoding = {{0}};
    uint32_t block = match->block_count;
    for (uint32_t stage = space_stage_count(space); stage > 0; stage--) {
        uint16_t option = *match_cell(match, stage, block);
        if (option == UNREACHED)
            return -ENOENT;
        encoding.choices[stage - 1] = option;
        block -= option_canonical(space, stage - 1, option).layers;
    }
    *ret_encoding = encoding;
    return 0;
}

int space_encode(const struct space *space, const struct architecture *architecture,
                 struct encoding *ret_encoding)
{
    const struct architecture *ends = space_ends(space);
    struct architecture canonical = *architecture;
    architecture_canonicalize(&canonical);
    if (canonical.stem_kernel != ends->stem_kernel || canonical.stem_stride != ends->stem_stride ||
        canonical.stem_channels != ends->stem_channels ||
        canonical.head_channels != ends->head_channels)
        return -ENOENT;
    struct match match;
    int r = match_init(&match, space, &canonical);
    for (uint32_t i = 0; i < space_stage_count(space) && r == 0; i++)
        match_stage(&match, space, i);
    if (r == 0)
        r = match_read(&match, space, ret_encoding);
    match_release(&match);
    return r;
}
