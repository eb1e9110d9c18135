#include "worker/engine/optimizer.h"
#include "worker/engine/plan.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

static struct part part_at(const struct plan *plan, uint32_t index)
{
    const struct problem *problem = &plan->graph->problem;
    const uint32_t count = plan->options.recipe.batch / plan->options.micro_batches;
    const size_t first = (size_t)index * count;
    const size_t image =
        (size_t)problem->image_size * problem->image_size * problem->image_channels;
    return (struct part){.images = plan->images ? plan->images + first * image : NULL,
                         .transforms = plan->transforms,
                         .batch = plan->options.recipe.batch,
                         .batch_first = index * count,
                         .labels = plan->labels + first,
                         .logits = plan->logits + first * problem->classes,
                         .count = count,
                         .first = index == 0};
}

/* What the current step drops of a part. */
static void masks_set(struct plan *plan, uint32_t index, struct part *part)
{
    const struct recipe *recipe = &plan->options.recipe;
    const struct mask_key key = {plan->options.seed, plan->steps, index * part->count};
    part->masks = (struct part_masks){key, recipe->stochastic_depth, recipe->dropout};
    if (plan->engine->backend->draws_masks)
        return;
    if (recipe->stochastic_depth > 0) {
        masks_draw_branches(&plan->masks, &key, recipe->stochastic_depth);
        part->branches = plan->masks.branches;
    }
    if (recipe->dropout > 0) {
        masks_draw_features(&plan->masks, &key, recipe->dropout);
        part->features = plan->masks.features;
    }
}

static struct part training_part_at(struct plan *plan, uint32_t index)
{
    struct part part = part_at(plan, index);
    part.partners = plan->partners + (size_t)index * part.count;
    part.shares = plan->shares + (size_t)index * part.count;
    masks_set(plan, index, &part);
    return part;
}

static int train_parts(struct plan *plan, bool keep_statistics, struct batch_result *ret_result)
{
    struct batch_result sum = {0};
    for (uint32_t i = 0; i < plan->options.micro_batches; i++) {
        struct part part = training_part_at(plan, i);
        struct batch_result result;
        part.keep_statistics = keep_statistics;
        int r = plan->engine->backend->train(plan->program, &part, &result);
        if (r < 0)
            return r;
        sum.loss += result.loss;
        sum.correct += result.correct;
    }
    if (!isfinite(sum.loss))
        return -EDOM;
    *ret_result = sum;
    return 0;
}

static int train_and_update(struct plan *plan, const struct optimizer_update *update,
                            struct batch_result *ret_result)
{
    const struct backend *backend = plan->engine->backend;
    if (backend->step && plan->options.micro_batches == 1) {
        const struct part part = training_part_at(plan, 0);
        return backend->step(plan->program, &part, update, ret_result);
    }
    const int r = train_parts(plan, false, ret_result);
    return r < 0 ? r : backend->update(plan->program, update);
}

int plan_step(struct plan *plan, double learning_rate, struct batch_result *ret_result)
{
    const struct optimizer_update update = {learning_rate, plan->steps};
    struct batch_result result;
    const int r = train_and_update(plan, &update, &result);
    if (r < 0)
        return r;
    plan->steps++;
    *ret_result = result;
    return 0;
}

double plan_step_seconds(const struct plan *plan)
{
    const struct backend *backend = plan->engine->backend;
    return backend->seconds ? backend->seconds(plan->program) : -1;
}

bool plan_has_clock(const struct plan *plan)
{
    return plan->engine->backend->seconds != NULL;
}

int plan_gradients(struct plan *plan, struct batch_result *ret_result)
{
    return train_parts(plan, true, ret_result);
}

int plan_evaluate(struct plan *plan, uint32_t count, struct batch_result *ret_result)
{
    assert(count <= plan->options.recipe.batch);
    struct batch_result sum = {0};
    for (uint32_t i = 0, done = 0; done < count; i++) {
        struct part part = part_at(plan, i);
        struct batch_result result;
        if (part.count > count - done)
            part.count = count - done;
        part.batch = count;
        int r = plan->engine->backend->infer(plan->program, &part, &result);
        if (r < 0)
            return r;
        sum.loss += result.loss;
        sum.correct += result.correct;
        done += part.count;
    }
    if (!isfinite(sum.loss))
        return -EDOM;
    *ret_result = sum;
    return 0;
}

uint64_t plan_step_count(const struct plan *plan)
{
    return plan->steps;
}

void plan_set_step_count(struct plan *plan, uint64_t steps)
{
    plan->steps = steps;
}
