#include "search/spec_check.h"

#include "search/feasible.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { FEASIBLE_DRAWS_MAX = 256 }; /* before it is searched for what meets the limits */

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

/* Appends "params_max = 5 and macs_max = 7" or, for the needed values, "params_max must be at least 6 and ...", of the
 * limits in the set. */
static void list_limits(char *text, size_t size, unsigned set, const char *link,
                        const uint64_t values[LIMIT_COUNT])
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < LIMIT_COUNT && used < size; i++) {
        if (set >> i & 1)
            used += (size_t)snprintf(text + used, size - used, "%s%s %s %" PRIu64,
                                     used > 0 ? " and " : "", limit_name((enum limit)i), link,
                                     values[i]);
    }
}

/* Limits that, raised to the needed values, let an architecture in. */
struct raise {
    unsigned set; /* of limits */
    uint64_t needed[LIMIT_COUNT];
    bool exact; /* no smaller values would do */
};

static int refuse_limits(const struct spec *spec, const struct raise *raise, struct error *error)
{
    char pointer[ERROR_POINTER_SIZE], given[ERROR_MESSAGE_SIZE / 3], needed[ERROR_MESSAGE_SIZE / 3];
    uint64_t values[LIMIT_COUNT];
    struct cost minimum = pricing_minimum(spec->pricing);
    bool together = false;
    unsigned first = (unsigned)__builtin_ctz(raise->set);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        values[i] = limit_value(&spec->constraints, (enum limit)i);
        if (raise->set >> i & 1)
            together = together || raise->needed[i] != limit_of_cost(&minimum, (enum limit)i);
    }
    list_limits(given, sizeof given, raise->set, "=", values);
    list_limits(needed, sizeof needed, raise->set, "must be at least", raise->needed);
    snprintf(pointer, sizeof pointer, "/constraints/%s", limit_name((enum limit)first));
    return error_set(error, -EINVAL, pointer, "No architecture of this space meets %s%s%s; %s.",
                     given, together ? " together with the other limits" : "",
                     raise->exact ? "" : ", as far as was searched", needed);
}

/* Whether architectures that meet all limits are soon found among those that may. */
static int draw_feasible(const struct spec *spec, bool *ret_found)
{
    struct feasible *feasible = NULL;
    struct random_stream random = random_stream_of(0, 0, RANDOM_FEASIBLE);
    int r = feasible_new(spec->pricing, &spec->constraints, &feasible);
    if (r < 0)
        return r;
    *ret_found = false;
    for (int i = 0; i < FEASIBLE_DRAWS_MAX && !*ret_found && feasible_count(feasible) > 0; i++) {
        struct encoding encoding;
        *ret_found = feasible_draw(feasible, &random, &encoding);
    }
    feasible_free(feasible);
    return 0;
}

/* The one limit that has to be raised least, given the others. An empty set where none was found. */
static struct raise raise_one(const struct spec *spec)
{
    struct raise raise = {.set = 0};
    double least = 0;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        enum limit limit = (enum limit)i;
        uint64_t given = limit_value(&spec->constraints, limit);
        struct cost cost;
        bool exact = false;
        if (given == 0 ||
            pricing_minimize(spec->pricing, &spec->constraints, limit, &cost, &exact) != 0)
            continue;
        double factor = (double)limit_of_cost(&cost, limit) / (double)given;
        if (raise.set != 0 && factor >= least)
            continue;
        least = factor;
        raise.set = 1U << i;
        raise.needed[i] = limit_of_cost(&cost, limit);
        raise.exact = exact;
    }
    return raise;
}

/* The limits that have to be raised for the architecture that is nearest to all of them. */
static struct raise raise_several(const struct spec *spec)
{
    struct raise raise = {.set = 0};
    struct cost cost = pricing_nearest(spec->pricing, &spec->constraints, &raise.exact);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        uint64_t given = limit_value(&spec->constraints, (enum limit)i);
        raise.needed[i] = limit_of_cost(&cost, (enum limit)i);
        if (given != 0 && raise.needed[i] > given)
            raise.set |= 1U << i;
    }
    return raise;
}

/* The value named when something is refused is the figure of an architecture, and what finds it does not look at the value
 * given for it, so it finds that architecture again when the value is used. */
static int feasibility_check(const struct spec *spec, struct error *error)
{
    bool found = false;
    int r = draw_feasible(spec, &found);
    if (r < 0)
        return error_set(error, r, "", "Out of memory.");
    if (found)
        return 0;
    struct raise raise = raise_one(spec);
    if (raise.set == 0)
        raise = raise_several(spec);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (raise.set >> i & 1 && raise.needed[i] > limit_value(&spec->constraints, (enum limit)i))
            return refuse_limits(spec, &raise, error);
    }
    return 0;
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
