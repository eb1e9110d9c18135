#include "search/recipe.h"

#include "search/suggest.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

/* A schedule without RandAugment: the recipe's own magnitude holds throughout. */
enum { OWN = -1 };

/* The first and the last stage; those between are linear in all published schedules. */
struct schedule {
    const char *name;
    uint32_t count;
    struct recipe_stage first, last;
};

static const struct schedule schedules[] = {
    {"efficientnetv2-b0-automl", 4, {144, OWN, 0, 0, 0.2}, {192, OWN, 0, 0, 0.2}},
    {"efficientnetv2-b1-automl", 4, {144, OWN, 0, 0, 0.2}, {192, OWN, 0, 0, 0.2}},
    {"efficientnetv2-b2-automl", 4, {148, OWN, 0, 0, 0.3}, {208, OWN, 0, 0, 0.3}},
    {"efficientnetv2-b3-automl", 4, {156, OWN, 0, 0, 0.3}, {240, OWN, 0, 0, 0.3}},
    {"efficientnetv2-l-automl", 4, {192, 5, 0, 0, 0.4}, {384, 20, 0.5, 0.5, 0.4}},
    {"efficientnetv2-l-paper", 4, {128, 5, 0, 0, 0.1}, {380, 25, 0.5, 0, 0.5}},
    {"efficientnetv2-m-automl", 4, {192, 5, 0, 0, 0.3}, {384, 15, 0.2, 0.2, 0.3}},
    {"efficientnetv2-m-paper", 4, {128, 5, 0, 0, 0.1}, {380, 20, 0.2, 0, 0.4}},
    {"efficientnetv2-s-automl", 4, {171, 5, 0, 0, 0.2}, {300, 10, 0, 0, 0.2}},
    {"efficientnetv2-s-paper", 4, {128, 5, 0, 0, 0.1}, {300, 15, 0, 0, 0.3}},
    {"efficientnetv2-xl-automl", 4, {192, 5, 0, 0, 0.4}, {384, 20, 0.5, 0.5, 0.4}},
};

uint32_t recipe_stage_index(const struct recipe *recipe, uint64_t step, uint64_t steps_total)
{
    assert(step < steps_total);
    uint32_t index = 0;
    while (index + 1 < recipe->stage_count &&
           step >= (index + 1) * steps_total / recipe->stage_count)
        index++;
    return index;
}

struct recipe_stage recipe_stage_at(const struct recipe *recipe, uint64_t step,
                                    uint64_t steps_total)
{
    if (recipe->stage_count > 0)
        return recipe->stages[recipe_stage_index(recipe, step, steps_total)];
    return (struct recipe_stage){.image_size = recipe->image_size,
                                 .randaugment_magnitude = recipe->randaugment_magnitude,
                                 .mixup = recipe->mixup,
                                 .cutmix = recipe->cutmix,
                                 .dropout = recipe->dropout};
}

uint32_t recipe_image_size_min(const struct recipe *recipe)
{
    uint32_t smallest = recipe->image_size;
    for (uint32_t i = 0; i < recipe->stage_count; i++)
        if (recipe->stages[i].image_size < smallest)
            smallest = recipe->stages[i].image_size;
    return smallest;
}

static double between(double first, double last, double share)
{
    return first + (last - first) * share;
}

void recipe_stages_linear(struct recipe *recipe, uint32_t count, const struct recipe_stage *first,
                          const struct recipe_stage *last)
{
    assert(count >= 1 && count <= RECIPE_STAGES_MAX);
    recipe->stage_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const double share = count > 1 ? (double)i / (count - 1) : 1;
        recipe->stages[i] = (struct recipe_stage){
            .image_size = (uint32_t)lround(between(first->image_size, last->image_size, share)),
            .randaugment_magnitude =
                between(first->randaugment_magnitude, last->randaugment_magnitude, share),
            .mixup = between(first->mixup, last->mixup, share),
            .cutmix = between(first->cutmix, last->cutmix, share),
            .dropout = between(first->dropout, last->dropout, share)};
    }
}

const char *recipe_progressive_preset_name(size_t index)
{
    return index < ARRAY_LENGTH(schedules) ? schedules[index].name : NULL;
}

int recipe_progressive_preset(struct recipe *recipe, const char *name, struct error *error)
{
    const char *names[ARRAY_LENGTH(schedules)];
    for (size_t i = 0; i < ARRAY_LENGTH(schedules); i++) {
        const struct schedule *schedule = &schedules[i];
        names[i] = schedule->name;
        if (strcmp(name, schedule->name) != 0)
            continue;
        struct recipe_stage first = schedule->first, last = schedule->last;
        if (first.randaugment_magnitude == OWN)
            first.randaugment_magnitude = last.randaugment_magnitude =
                recipe->randaugment_magnitude;
        recipe_stages_linear(recipe, schedule->count, &first, &last);
        const uint32_t own_size = schedule->last.image_size;
        if (recipe->image_size == 0)
            recipe->image_size = own_size;
        for (uint32_t s = 0; s < schedule->count; s++) {
            const double size = recipe->stages[s].image_size;
            const double scaled = size * recipe->image_size / own_size;
            recipe->stages[s].image_size = (uint32_t)fmax(1, round(scaled));
        }
        return 0;
    }
    const char *near = suggest(name, names, ARRAY_LENGTH(names));
    return error_set(error, -ENOENT, "",
                     "There is no progressive schedule \"%.64s\"%s%s%s; they are "
                     "\"efficientnetv2-s-paper\" (s, m, l) and \"efficientnetv2-s-automl\" (s, m, "
                     "l, xl, b0 to b3).",
                     name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}
