#include "search/spec_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static int dataset_check(const struct spec *spec, struct error *error)
{
    uint64_t available = spec->dataset.train_images;
    if (spec->train_images > available || spec->validation_images > available ||
        spec->train_images + spec->validation_images > available)
        return error_set(
            error, -EINVAL, "/dataset/train",
            "train and validation are both taken from the training split of %s, which has "
            "%" PRIu64 " images; %" PRIu64 " and %" PRIu64 " are too many.",
            spec->dataset.name, available, spec->train_images, spec->validation_images);
    if (spec->train_images < spec->recipe.batch)
        return error_set(error, -EINVAL, "/dataset/train",
                         "train must be at least one batch, %" PRIu32 " images.",
                         spec->recipe.batch);
    uint32_t channels = space_image_channels(spec->space);
    if (channels != 0 && channels != spec->dataset.image_channels)
        return error_set(error, -EINVAL, "/space/image_channels",
                         "Images of %s have %" PRIu32 " channels; leave image_channels out to take "
                         "whatever the data set has.",
                         spec->dataset.name, spec->dataset.image_channels);
    return 0;
}

/* The most that the space can shrink an image, as a factor. */
static uint64_t space_stride(const struct space *space)
{
    uint64_t stride = space_ends(space)->stem_stride;
    for (uint32_t i = 0; i < space_stage_count(space); i++) {
        for (uint32_t j = 0; j < space_option_count(space, i); j++) {
            const struct stage *option = space_option(space, i, j);
            if (option->block != BLOCK_IDENTITY && option->stride == 2) {
                stride *= 2;
                break;
            }
        }
    }
    return stride;
}

static uint64_t architecture_stride(const struct architecture *architecture)
{
    uint64_t stride = architecture->stem_stride;
    for (uint32_t i = 0; i < architecture->stage_count; i++)
        stride *= architecture->stages[i].stride;
    return stride;
}

/* No halving may start from a single pixel. */
static int image_size_check(const struct spec *spec, struct error *error)
{
    const uint32_t smallest = recipe_image_size_min(&spec->recipe);
    uint64_t stride = space_stride(spec->space);
    if (smallest * UINT64_C(2) <= stride)
        return error_set(
            error, -EINVAL,
            smallest < spec->recipe.image_size ? "/recipe/progressive" : "/recipe/image_size",
            "Images of %" PRIu32 " pixels are too small for this space, whose strides "
            "shrink them up to %" PRIu64 " times; the size must be at least %" PRIu64 ".",
            smallest, stride, stride / 2 + 1);
    stride = architecture_stride(&spec->baseline);
    if (smallest * UINT64_C(2) <= stride)
        return error_set(error, -EINVAL, "/baseline",
                         "Images of %" PRIu32
                         " pixels are too small for the baseline, whose strides "
                         "shrink them %" PRIu64 " times; name a baseline with fewer strides.",
                         smallest, stride);
    return 0;
}

static int refuse_limit(enum limit limit, struct error *error, const char *reason, uint64_t given,
                        uint64_t needed)
{
    char pointer[ERROR_POINTER_SIZE];
    snprintf(pointer, sizeof pointer, "/constraints/%s", limit_name(limit));
    return error_set(error, -EINVAL, pointer,
                     "No architecture of this space meets %s = %" PRIu64 "%s; %s must be at least "
                     "%" PRIu64 ".",
                     limit_name(limit), given, reason, limit_name(limit), needed);
}

/* Each limit could be met alone: what is the least that one of them would have to be raised to, given the others? */
static int joint_check(const struct spec *spec, struct error *error)
{
    enum limit nearest = LIMIT_COUNT;
    uint64_t nearest_needed = 0;
    double nearest_factor = 0;
    bool nearest_exact = false;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        enum limit limit = (enum limit)i;
        uint64_t given = limit_value(&spec->constraints, limit);
        struct cost cost;
        bool exact = false;
        if (given == 0 ||
            pricing_minimize(spec->pricing, &spec->constraints, limit, &cost, &exact) != 0)
            continue;
        uint64_t needed = limit_of_cost(&cost, limit);
        if (needed <= given)
            return 0;
        double factor = (double)needed / (double)given;
        if (nearest == LIMIT_COUNT || factor < nearest_factor) {
            nearest = limit;
            nearest_needed = needed;
            nearest_factor = factor;
            nearest_exact = exact;
        }
    }
    if (nearest == LIMIT_COUNT)
        return error_set(
            error, -EINVAL, "/constraints",
            "Every limit could be met alone, but no architecture that meets them together "
            "was found; raise more than one of them.");
    return refuse_limit(nearest, error,
                        nearest_exact ? " together with the other limits"
                                      : " together with the other limits, as far as was searched",
                        limit_value(&spec->constraints, nearest), nearest_needed);
}

static int feasibility_check(const struct spec *spec, struct error *error)
{
    struct cost minimum = pricing_minimum(spec->pricing);
    bool limited = false;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t given = limit_value(&spec->constraints, (enum limit)i);
        uint64_t needed = limit_of_cost(&minimum, (enum limit)i);
        if (given != 0 && needed > given)
            return refuse_limit((enum limit)i, error, "", given, needed);
        limited = limited || given != 0;
    }
    return limited ? joint_check(spec, error) : 0;
}

static int listed_check(const struct spec *spec, struct error *error)
{
    for (uint32_t i = 0; i < spec->strategy.architecture_count; i++) {
        struct cost cost = pricing_cost(spec->pricing, &spec->strategy.architectures[i]);
        for (int j = 0; j < LIMIT_COUNT; j++) {
            uint64_t given = limit_value(&spec->constraints, (enum limit)j);
            uint64_t needed = limit_of_cost(&cost, (enum limit)j);
            if (given == 0 || needed <= given)
                continue;
            char pointer[ERROR_POINTER_SIZE];
            snprintf(pointer, sizeof pointer, "/strategy/architectures/%" PRIu32, i);
            return error_set(error, -EINVAL, pointer,
                             "This architecture does not meet %s = %" PRIu64 ": it has %" PRIu64
                             ". Raise the limit or leave it out.",
                             limit_name((enum limit)j), given, needed);
        }
    }
    return 0;
}

int spec_check(struct spec *spec, struct error *error)
{
    int r = dataset_check(spec, error);
    if (r == 0)
        r = image_size_check(spec, error);
    if (r < 0)
        return r;
    struct error inner;
    r = pricing_new(spec->space, &spec->problem, &spec->pricing, &inner);
    if (r < 0) {
        char pointer[ERROR_POINTER_SIZE];
        snprintf(pointer, sizeof pointer, "/space%.100s", inner.pointer);
        return error_set(error, r, r == -ENOMEM ? "" : pointer, "%s", inner.message);
    }
    spec->baseline_cost = cost_of(&spec->baseline, &spec->problem);
    r = feasibility_check(spec, error);
    return r < 0 ? r : listed_check(spec, error);
}
