#include "search/strategy_json.h"

#include "search/json_write.h"
#include "search/space_json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POPULATION_SMALL = 20, POPULATION_DEFAULT_MAX = 100 };

const char *const strategy_keys[] = {"name",          "population", "sample",  "architectures",
                                     "learning_rate", "minibatch",  "entropy", NULL};

/* Which strategies have which field. */
static const struct owner {
    const char *key, *strategy;
} owners[] = {
    {"population", "evolution"}, {"population", "nsga2"},     {"sample", "evolution"},
    {"architectures", "list"},   {"learning_rate", "policy"}, {"minibatch", "policy"},
    {"entropy", "policy"},
};

static uint32_t clamp(uint32_t value, uint32_t min, uint32_t max)
{
    return value < min ? min : (value > max ? max : value);
}

/* A tenth of the budget, at most Real et al.'s 100; 20 where a tenth is less, but no more than half the budget, for so much
 * of it is drawn by chance. */
static uint32_t population_default(const struct spec *spec)
{
    uint32_t small = clamp(spec->candidates_max / 2, 2, POPULATION_SMALL);
    return clamp(spec->candidates_max / 10, small, POPULATION_DEFAULT_MAX);
}

/* The tournament is half the population. */
static int evolution_read(const struct json_reader *reader, struct spec *spec)
{
    struct strategy_options *options = &spec->strategy;
    options->population = population_default(spec);
    int r = 0;
    if (reader)
        r = json_read_u32(reader, "population", (struct json_range){2, SPEC_POPULATION_MAX},
                          &options->population);
    options->sample = clamp(options->population / 2, 2, options->population);
    if (r == 0 && reader)
        r = json_read_u32(reader, "sample", (struct json_range){1, options->population},
                          &options->sample);
    return r;
}

static int nsga2_read(const struct json_reader *reader, struct spec *spec)
{
    struct strategy_options *options = &spec->strategy;
    options->population = population_default(spec);
    struct json_range range = {2, SPEC_RANKED_POPULATION_MAX};
    return reader ? json_read_u32(reader, "population", range, &options->population) : 0;
}

static int number_read(const struct json_reader *reader, const char *key, double max, double *value)
{
    int r = json_read_number(reader, key, value);
    if (r == 0 && !(*value >= 0 && *value <= max))
        return json_refuse(reader, key, "%s must be from 0 to %g.", key, max);
    return r;
}

static int policy_read(const struct json_reader *reader, struct spec *spec)
{
    struct strategy_options *options = &spec->strategy;
    options->learning_rate = 0.2;
    options->entropy = 0.03;
    options->minibatch = 10;
    if (!reader)
        return 0;
    int r = number_read(reader, "learning_rate", 10, &options->learning_rate);
    if (r == 0)
        r = number_read(reader, "entropy", 10, &options->entropy);
    if (r == 0)
        r = json_read_u32(reader, "minibatch", (struct json_range){1, SPEC_MINIBATCH_MAX},
                          &options->minibatch);
    return r;
}

static int choices_read(const json_t *value, const char *pointer, const struct space *space,
                        struct encoding *ret_encoding, struct error *error)
{
    struct encoding encoding = {{0}};
    uint32_t stages = space_stage_count(space);
    if (json_array_size(value) != stages)
        return error_set(error, -EINVAL, pointer,
                         "The space has %u stages, so an architecture is a list of %u choices.",
                         stages, stages);
    for (uint32_t i = 0; i < stages; i++) {
        const json_t *choice = json_array_get(value, i);
        uint32_t options = space_option_count(space, i);
        if (!json_is_integer(choice) || json_integer_value(choice) < 0 ||
            json_integer_value(choice) >= options) {
            char place[ERROR_POINTER_SIZE];
            json_pointer_join_index(pointer, i, place);
            return error_set(error, -EINVAL, place,
                             "A choice of this stage is a whole number from 0 to %u.", options - 1);
        }
        encoding.choices[i] = (uint16_t)json_integer_value(choice);
    }
    *ret_encoding = encoding;
    return 0;
}

/* Reads a list of choices, or an architecture that must be one of the space's. */
static int listed_read(const json_t *value, const char *pointer, const struct space *space,
                       struct encoding *ret_encoding, struct error *error)
{
    if (json_is_array(value))
        return choices_read(value, pointer, space, ret_encoding, error);
    struct architecture architecture;
    int r = architecture_read(value, pointer, &architecture, error);
    if (r < 0)
        return r;
    r = space_encode(space, &architecture, ret_encoding);
    if (r == -ENOENT)
        return error_set(error, -EINVAL, pointer,
                         "This architecture is none of the space's: its stem, head and blocks must "
                         "come from the space's choices.");
    return r < 0 ? error_set(error, r, "", "Out of memory.") : 0;
}

/* A list is trained whole unless the budget says otherwise. */
static int list_read(const struct json_reader *document, const struct json_reader *reader,
                     struct spec *spec)
{
    struct strategy_options *options = &spec->strategy;
    const json_t *list = json_object_get(reader->object, "architectures");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count < 1 || count > SPEC_CANDIDATES_MAX)
        return json_refuse(reader, "architectures",
                           "architectures must be a list with at least one architecture.");
    options->architectures = calloc(count, sizeof *options->architectures);
    if (!options->architectures)
        return error_set(reader->error, -ENOMEM, "", "Out of memory.");
    char pointer[ERROR_POINTER_SIZE], place[ERROR_POINTER_SIZE];
    json_pointer_join(reader->pointer, "architectures", pointer);
    for (size_t i = 0; i < count; i++) {
        json_pointer_join_index(pointer, i, place);
        int r = listed_read(json_array_get(list, i), place, spec->space, &options->architectures[i],
                            reader->error);
        if (r < 0)
            return r;
    }
    options->architecture_count = (uint32_t)count;
    if (!json_object_get(json_object_get(document->object, "budget"), "candidates"))
        spec->candidates_max = options->architecture_count;
    return 0;
}

/* Refuses a field of other strategies, and names them. */
static int foreign_key_check(const struct json_reader *reader, const char *key, const char *name)
{
    char belongs[128];
    size_t used = 0, count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(owners); i++) {
        if (strcmp(owners[i].key, key) != 0)
            continue;
        if (strcmp(owners[i].strategy, name) == 0)
            return 0;
        int length = snprintf(belongs + used, sizeof belongs - used, "%s\"%s\"",
                              count++ > 0 ? " and " : "", owners[i].strategy);
        used += (size_t)length;
        assert(used < sizeof belongs);
    }
    return json_refuse(reader, key, "%s belongs to the %s %s.", key,
                       count > 1 ? "strategies" : "strategy", belongs);
}

static int foreign_keys_check(const struct json_reader *reader, const char *name)
{
    int r = 0;
    for (size_t i = 1; strategy_keys[i] && r == 0; i++) {
        if (json_reader_has(reader, strategy_keys[i]))
            r = foreign_key_check(reader, strategy_keys[i], name);
    }
    return r;
}

int strategy_options_read(const struct json_reader *document, const struct json_reader *reader,
                          struct spec *spec)
{
    const char *name = spec->strategy.name;
    int r = reader ? foreign_keys_check(reader, name) : 0;
    if (r < 0)
        return r;
    if (strcmp(name, "evolution") == 0)
        return evolution_read(reader, spec);
    if (strcmp(name, "nsga2") == 0)
        return nsga2_read(reader, spec);
    if (strcmp(name, "policy") == 0)
        return policy_read(reader, spec);
    if (strcmp(name, "list") == 0)
        return list_read(document, reader, spec);
    return 0;
}

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Lists of choices, one an architecture. */
static json_t *architectures_write(const struct spec *spec)
{
    const struct strategy_options *options = &spec->strategy;
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < options->architecture_count; i++) {
        json_t *choices = json_array();
        int r = json_array_append_new(list, choices);
        for (uint32_t j = 0; j < space_stage_count(spec->space) && r == 0; j++)
            r = json_array_append_new(choices, whole(options->architectures[i].choices[j]));
        if (r < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *strategy_write(const struct spec *spec)
{
    const struct strategy_options *options = &spec->strategy;
    json_t *name = json_string(options->name);
    if (strcmp(options->name, "evolution") == 0)
        return JSON_BUILD({"name", name}, {"population", whole(options->population)},
                          {"sample", whole(options->sample)});
    if (strcmp(options->name, "nsga2") == 0)
        return JSON_BUILD({"name", name}, {"population", whole(options->population)});
    if (strcmp(options->name, "policy") == 0)
        return JSON_BUILD({"name", name}, {"learning_rate", json_real(options->learning_rate)},
                          {"minibatch", whole(options->minibatch)},
                          {"entropy", json_real(options->entropy)});
    if (strcmp(options->name, "list") == 0)
        return JSON_BUILD({"name", name}, {"architectures", architectures_write(spec)});
    return JSON_BUILD({"name", name});
}
