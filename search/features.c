#include "search/features.h"

#include <math.h>
#include <string.h>

/* ---- attributes ---- */

static void attributes_of(const struct stage *stage, double ret_values[FEATURES_A_SLOT])
{
    const bool is_fused = stage->block != BLOCK_MBCONV;
    const bool is_conv = stage->block == BLOCK_CONV || (is_fused && stage->expansion == 1);
    ret_values[0] = stage->layers;
    ret_values[1] = stage->kernel;
    ret_values[2] = log1p(is_conv ? 1 : stage->expansion);
    ret_values[3] = is_conv ? 0 : sqrt((double)stage->se_ratio);
    ret_values[4] = is_fused;
    ret_values[5] = log1p(stage->channels);
    ret_values[6] = stage->stride;
}

static bool same_blocks(const struct stage *a, const struct stage *b)
{
    double x[FEATURES_A_SLOT], y[FEATURES_A_SLOT];
    attributes_of(a, x);
    attributes_of(b, y);
    for (int i = 1; i <= 4; i++)
        if (x[i] != y[i])
            return false;
    return true;
}

/* ---- runs ---- */

/* The width of all of a stage's options; 0 where they differ or all are identities. */
static uint32_t stage_width(const struct space *space, uint32_t index)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < space_option_count(space, index); i++) {
        const struct stage *option = space_option(space, index, i);
        if (option->block == BLOCK_IDENTITY)
            continue;
        if (width != 0 && option->channels != width)
            return 0;
        width = option->channels;
    }
    return width;
}

/* True where a stage can only go on with the width and the resolution of the one before it. */
static bool stage_continues(const struct space *space, uint32_t index)
{
    if (index == 0 || stage_width(space, index) == 0 ||
        stage_width(space, index) != stage_width(space, index - 1))
        return false;
    for (uint32_t i = 0; i < space_option_count(space, index); i++) {
        const struct stage *option = space_option(space, index, i);
        if (option->block != BLOCK_IDENTITY && option->stride != 1)
            return false;
    }
    return true;
}

static void find_runs(struct features *features)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < space_stage_count(features->space); i++) {
        if (!stage_continues(features->space, i))
            first = i;
        features->run_length[first]++;
    }
}

/* ---- ranges ---- */

/* The largest and the smallest of an attribute over a slot's options. */
struct range {
    double low, high;
};

/* A run shares its range, because blocks move between its stages. */
static struct range range_of(const struct features *features, uint32_t first, uint32_t attribute)
{
    struct range range = {INFINITY, -INFINITY};
    for (uint32_t stage = first; stage < first + features->run_length[first]; stage++) {
        for (uint32_t i = 0; i < space_option_count(features->space, stage); i++) {
            const struct stage *option = space_option(features->space, stage, i);
            double values[FEATURES_A_SLOT] = {0};
            if (option->block != BLOCK_IDENTITY)
                attributes_of(option, values);
            range.low = fmin(range.low, values[attribute]);
            range.high = fmax(range.high, values[attribute]);
        }
    }
    return range;
}

static void slot_init(struct features *features, uint32_t stage, const struct range *ranges)
{
    const uint32_t before = features->count;
    for (uint32_t i = 0; i < FEATURES_A_SLOT; i++) {
        if (!(ranges[i].high > ranges[i].low))
            continue;
        const uint32_t at = features->count++;
        features->slot[at] = (uint8_t)features->slot_count;
        features->source[at] = (uint8_t)(stage * FEATURES_A_SLOT + i);
        features->factor[at] = 1.0 / (ranges[i].high - ranges[i].low);
    }
    features->slot_count += features->count > before;
}

void features_init(struct features *features, const struct space *space,
                   const struct pricing *pricing)
{
    *features = (struct features){.space = space, .pricing = pricing};
    find_runs(features);
    for (uint32_t first = 0; first < space_stage_count(space);
         first += features->run_length[first]) {
        struct range ranges[FEATURES_A_SLOT];
        for (uint32_t i = 0; i < FEATURES_A_SLOT; i++)
            ranges[i] = range_of(features, first, i);
        for (uint32_t i = 0; i < features->run_length[first]; i++)
            slot_init(features, first + i, ranges);
    }
}

/* ---- one encoding ---- */

/* The blocks of a run's stages, equal neighbours joined. */
static uint32_t run_join(const struct features *features, const struct encoding *encoding,
                         uint32_t first, struct stage *ret_groups)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < first + features->run_length[first]; i++) {
        const struct stage *stage = space_option(features->space, i, encoding->choices[i]);
        if (stage->block == BLOCK_IDENTITY)
            continue;
        if (count > 0 && same_blocks(&ret_groups[count - 1], stage))
            ret_groups[count - 1].layers += stage->layers;
        else
            ret_groups[count++] = *stage;
    }
    return count;
}

/* Halves the first of the deepest groups until there are as many as slots, or all are single blocks. */
static uint32_t run_spread(struct stage *groups, uint32_t count, uint32_t slots)
{
    while (count > 0 && count < slots) {
        uint32_t deepest = 0;
        for (uint32_t i = 1; i < count; i++)
            deepest = groups[i].layers > groups[deepest].layers ? i : deepest;
        if (groups[deepest].layers < 2)
            break;
        memmove(groups + deepest + 1, groups + deepest, (count - deepest) * sizeof *groups);
        groups[deepest + 1].layers /= 2;
        groups[deepest + 1].stride = 1;
        groups[deepest].layers -= groups[deepest + 1].layers;
        count++;
    }
    return count;
}

void features_of(const struct features *features, const struct encoding *encoding,
                 struct feature_vector *ret_vector)
{
    double attributes[FEATURES_MAX];
    const uint32_t stages = space_stage_count(features->space);
    memset(attributes, 0, stages * FEATURES_A_SLOT * sizeof *attributes);
    for (uint32_t first = 0; first < stages; first += features->run_length[first]) {
        struct stage groups[ARCHITECTURE_STAGES_MAX];
        uint32_t count = run_join(features, encoding, first, groups);
        count = run_spread(groups, count, features->run_length[first]);
        for (uint32_t i = 0; i < count; i++)
            attributes_of(&groups[i], attributes + (first + i) * FEATURES_A_SLOT);
    }
    for (uint32_t i = 0; i < features->count; i++)
        ret_vector->values[i] = attributes[features->source[i]] * features->factor[i];
    const struct cost cost = pricing_cost(features->pricing, encoding);
    ret_vector->trends[0] = log((double)cost.params);
    ret_vector->trends[1] = log((double)cost.macs);
}
