#include "search/space.h"

#include "search/decimal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct space {
    struct architecture ends;
    uint32_t image_channels;
    uint32_t stage_count;
    struct stage *stages[ARCHITECTURE_STAGES_MAX]; /* all in one block, which stages[0] owns */
    uint32_t option_counts[ARCHITECTURE_STAGES_MAX];
    unsigned __int128 encodings;
};

static int stage_check(const struct space_stage *stage, uint32_t index, struct error *error)
{
    char pointer[ERROR_POINTER_SIZE];
    snprintf(pointer, sizeof pointer, "/stages/%" PRIu32, index);
    if (stage->option_count < 1)
        return error_set(error, -EINVAL, pointer, "A stage must have at least one choice.");
    if (stage->option_count > SPACE_OPTIONS_MAX)
        return error_set(error, -EINVAL, pointer,
                         "A stage has at most %d choices, this one %" PRIu32 ".", SPACE_OPTIONS_MAX,
                         stage->option_count);
    for (uint32_t i = 0; i < stage->option_count; i++) {
        struct error inner;
        if (stage_validate(&stage->options[i], &inner) < 0)
            return error_set(error, -EINVAL, pointer, "%s", inner.message);
    }
    return 0;
}

/* Checks a definition and counts its options and encodings. */
static int definition_check(const struct space_definition *definition, size_t *ret_options,
                            unsigned __int128 *ret_encodings, struct error *error)
{
    struct architecture ends = definition->ends;
    ends.stage_count = 0;
    int r = architecture_validate(&ends, error);
    if (r < 0)
        return r;
    uint32_t channels = definition->image_channels;
    if (channels != 0 && channels != 1 && channels != 3)
        return error_set(error, -EINVAL, "/image_channels",
                         "Images have 1 channel (grey) or 3 (colour).");
    if (definition->stage_count < 1 || definition->stage_count > ARCHITECTURE_STAGES_MAX)
        return error_set(error, -EINVAL, "/stages", "A space must have 1 to %d stages.",
                         ARCHITECTURE_STAGES_MAX);
    size_t options = 0;
    unsigned __int128 encodings = 1;
    for (uint32_t i = 0; i < definition->stage_count; i++) {
        r = stage_check(&definition->stages[i], i, error);
        if (r < 0)
            return r;
        options += definition->stages[i].option_count;
        if (__builtin_mul_overflow(encodings, definition->stages[i].option_count, &encodings))
            return error_set(
                error, -E2BIG, "/stages",
                "A space must have fewer than 2^128 encodings; leave out some choices.");
    }
    *ret_options = options;
    *ret_encodings = encodings;
    return 0;
}

int space_new(const struct space_definition *definition, struct space **ret_space,
              struct error *error)
{
    size_t options = 0;
    unsigned __int128 encodings = 0;
    int r = definition_check(definition, &options, &encodings, error);
    if (r < 0)
        return r;
    struct space *space = calloc(1, sizeof *space);
    struct stage *stages = malloc(options * sizeof *stages);
    if (!space || !stages) {
        free(space);
        free(stages);
        return error_set(error, -ENOMEM, "", "Out of memory.");
    }
    space->ends = definition->ends;
    memset(space->ends.stages, 0, sizeof space->ends.stages);
    space->ends.stage_count = 0;
    space->image_channels = definition->image_channels;
    space->stage_count = definition->stage_count;
    space->encodings = encodings;
    for (uint32_t i = 0; i < definition->stage_count; i++) {
        const struct space_stage *stage = &definition->stages[i];
        memcpy(stages, stage->options, stage->option_count * sizeof *stages);
        space->stages[i] = stages;
        space->option_counts[i] = stage->option_count;
        stages += stage->option_count;
    }
    *ret_space = space;
    return 0;
}

void space_free(struct space *space)
{
    if (!space)
        return;
    free(space->stages[0]);
    free(space);
}

uint32_t space_stage_count(const struct space *space)
{
    return space->stage_count;
}

uint32_t space_option_count(const struct space *space, uint32_t stage)
{
    assert(stage < space->stage_count);
    return space->option_counts[stage];
}

const struct stage *space_option(const struct space *space, uint32_t stage, uint32_t option)
{
    assert(stage < space->stage_count && option < space->option_counts[stage]);
    return &space->stages[stage][option];
}

const struct architecture *space_ends(const struct space *space)
{
    return &space->ends;
}

uint32_t space_image_channels(const struct space *space)
{
    return space->image_channels;
}

void space_count_encodings(const struct space *space, char ret_count[SPACE_COUNT_SIZE])
{
    decimal_format(space->encodings, ret_count);
}

void space_architecture(const struct space *space, const struct encoding *encoding,
                        struct architecture *ret_architecture)
{
    assert(space_contains(space, encoding));
    *ret_architecture = space->ends;
    ret_architecture->stage_count = space->stage_count;
    for (uint32_t i = 0; i < space->stage_count; i++)
        ret_architecture->stages[i] = space->stages[i][encoding->choices[i]];
    architecture_canonicalize(ret_architecture);
}

bool space_contains(const struct space *space, const struct encoding *encoding)
{
    for (uint32_t i = 0; i < ARCHITECTURE_STAGES_MAX; i++) {
        uint32_t count = i < space->stage_count ? space->option_counts[i] : 1;
        if (encoding->choices[i] >= count)
            return false;
    }
    return true;
}
