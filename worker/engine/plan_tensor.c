#include "worker/engine/optimizer.h"
#include "worker/engine/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const prefixes[] = {[VALUE_PARAMETER] = "",
                                       [VALUE_AVERAGE] = "ema:",
                                       [VALUE_STATE_0] = "state0:",
                                       [VALUE_STATE_1] = "state1:",
                                       [VALUE_GRADIENT] = "grad:"};

/* What a checkpoint needs, in this order. */
static const enum value_class state_classes[] = {VALUE_PARAMETER, VALUE_AVERAGE, VALUE_STATE_0,
                                                 VALUE_STATE_1};

static bool trained_only(enum value_class class)
{
    return class != VALUE_PARAMETER && class != VALUE_AVERAGE;
}

bool plan_has_tensor(const struct plan *plan, struct tensor_key key)
{
    const struct recipe *recipe = &plan->options.recipe;
    if (key.class == VALUE_AVERAGE && recipe->ema_decay <= 0)
        return false;
    if (key.class == VALUE_STATE_1 && optimizer_state_count(recipe->optimizer) < 2)
        return false;
    return !trained_only(key.class) ||
           parameter_trained(plan->graph->parameters[key.parameter].kind);
}

/* The class that a name's prefix says, and the name without it. */
static enum value_class class_of(const char *name, const char **ret_bare)
{
    for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
        const size_t length = strlen(prefixes[i]);
        if (length == 0 || strncmp(name, prefixes[i], length) != 0)
            continue;
        *ret_bare = name + length;
        return (enum value_class)i;
    }
    *ret_bare = name;
    return VALUE_PARAMETER;
}

static int key_of(const struct plan *plan, const char *name, struct tensor_key *ret_key)
{
    const char *bare;
    const enum value_class class = class_of(name, &bare);
    const struct tensor_key key = {class, graph_parameter_find(plan->graph, bare)};
    if (key.parameter == plan->graph->parameter_count || !plan_has_tensor(plan, key))
        return -ENOENT;
    *ret_key = key;
    return 0;
}

static void info_make(const struct plan *plan, struct tensor_key key, struct tensor_info *ret_info)
{
    const struct graph_parameter *parameter = &plan->graph->parameters[key.parameter];
    struct tensor_info info = {.dimension_count = parameter->dimension_count,
                               .elements = parameter->elements};
    static_assert(sizeof info.name >= sizeof parameter->name + sizeof "state0:", "names fit");
    snprintf(info.name, sizeof info.name, "%s%s", prefixes[key.class], parameter->name);
    memcpy(info.dimensions, parameter->dimensions, sizeof info.dimensions);
    *ret_info = info;
}

size_t plan_tensor_count(const struct plan *plan)
{
    return plan->graph->parameter_count;
}

void plan_tensor_info(const struct plan *plan, size_t index, struct tensor_info *ret_info)
{
    assert(index < plan->graph->parameter_count);
    info_make(plan, (struct tensor_key){VALUE_PARAMETER, index}, ret_info);
}

int plan_tensor_read(struct plan *plan, const char *name, float *ret_values)
{
    struct tensor_key key;
    int r = key_of(plan, name, &key);
    if (r < 0)
        return r;
    return plan->engine->backend->read(plan->program, key.class, key.parameter, ret_values);
}

int plan_tensor_write(struct plan *plan, const char *name, const float *values)
{
    struct tensor_key key;
    int r = key_of(plan, name, &key);
    if (r < 0)
        return r;
    if (key.class == VALUE_GRADIENT)
        return -ENOENT;
    return plan->engine->backend->write(plan->program, key.class, key.parameter, values);
}

size_t plan_state_count(const struct plan *plan)
{
    size_t count = 0;
    for (size_t c = 0; c < ARRAY_LENGTH(state_classes); c++)
        for (size_t p = 0; p < plan->graph->parameter_count; p++)
            count += plan_has_tensor(plan, (struct tensor_key){state_classes[c], p});
    return count;
}

struct tensor_key plan_state_key(const struct plan *plan, size_t index)
{
    assert(index < plan_state_count(plan));
    struct tensor_key key = {VALUE_PARAMETER, 0};
    for (size_t c = 0; c < ARRAY_LENGTH(state_classes); c++)
        for (size_t p = 0; p < plan->graph->parameter_count; p++) {
            key = (struct tensor_key){state_classes[c], p};
            if (plan_has_tensor(plan, key) && index-- == 0)
                return key;
        }
    return key;
}

void plan_state_info(const struct plan *plan, size_t index, struct tensor_info *ret_info)
{
    info_make(plan, plan_state_key(plan, index), ret_info);
}
