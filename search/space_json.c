#include "search/space_json.h"

#include "search/preset.h"
#include "search/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_VALUES_MAX = 128, SPACE_TEXT_MAX = 1 << 20, PRESET_NAMES_MAX = 32 };

/* The fields of a stage, in the order in which their lists multiply: the last one varies fastest. */
enum stage_field {
    FIELD_BLOCK,
    FIELD_LAYERS,
    FIELD_KERNEL,
    FIELD_EXPANSION,
    FIELD_SE,
    FIELD_CHANNELS,
    FIELD_STRIDE,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_BLOCK] = "block",         [FIELD_LAYERS] = "layers", [FIELD_KERNEL] = "kernel",
    [FIELD_EXPANSION] = "expansion", [FIELD_SE] = "se",         [FIELD_CHANNELS] = "channels",
    [FIELD_STRIDE] = "stride"};

/* The values that a field may take. */
struct field_values {
    uint32_t values[FIELD_VALUES_MAX];
    size_t count;
};

/* What stands in one stage or alternative. */
struct choice {
    struct field_values fields[FIELD_COUNT];
};

/* A space while it is being read. */
struct reading {
    struct architecture ends;
    uint32_t image_channels;
    struct stage *options; /* of all stages */
    size_t option_count, option_capacity;
    uint32_t stage_count;
    uint32_t counts[ARCHITECTURE_STAGES_MAX];
    struct error *error;
};

static const struct json_range field_ranges[FIELD_COUNT] = {
    [FIELD_LAYERS] = {1, ARCHITECTURE_LAYERS_MAX},
    [FIELD_KERNEL] = {1, ARCHITECTURE_KERNEL_MAX},
    [FIELD_EXPANSION] = {1, ARCHITECTURE_EXPANSION_MAX},
    [FIELD_CHANNELS] = {1, ARCHITECTURE_CHANNELS_MAX},
    [FIELD_STRIDE] = {1, 2}};

static int block_read(const json_t *value, const char *pointer, uint32_t *ret_value,
                      struct error *error)
{
    static const char *const names[] = {"identity", "conv", "mbconv", "fused_mbconv"};
    if (!json_is_string(value))
        return error_set(
            error, -EINVAL, pointer,
            "A block is \"identity\", \"conv\", \"mbconv\" or \"fused_mbconv\", not %s.",
            json_type_name(value));
    enum block_type block;
    const char *name = json_string_value(value);
    if (block_type_from_name(name, &block) < 0) {
        const char *near = suggest(name, names, ARRAY_LENGTH(names));
        return error_set(error, -EINVAL, pointer,
                         "There is no block \"%.64s\"%s%s%s; blocks are identity, conv, mbconv and "
                         "fused_mbconv.",
                         name, near ? " (did you mean \"" : "", near ? near : "",
                         near ? "\"?)" : "");
    }
    *ret_value = (uint32_t)block;
    return 0;
}

static int se_read(const json_t *value, const char *pointer, uint32_t *ret_value,
                   struct error *error)
{
    double ratio = json_number_value(value);
    if (!json_is_number(value) || !(ratio >= 0 && ratio <= 1))
        return error_set(error, -EINVAL, pointer,
                         "se must be a squeeze ratio from 0 (no squeeze-and-excitation) to 1.");
    double scaled = round(ratio * SE_RATIO_SCALE);
    if (fabs(scaled - ratio * SE_RATIO_SCALE) > 1e-6)
        return error_set(error, -EINVAL, pointer, "se must have at most four decimals.");
    *ret_value = (uint32_t)scaled;
    return 0;
}

static int whole_number_read(enum stage_field field, const json_t *value, const char *pointer,
                             uint32_t *ret_value, struct error *error)
{
    struct json_range range = field_ranges[field];
    if (!json_is_integer(value) || json_integer_value(value) < range.min ||
        json_integer_value(value) > range.max)
        return error_set(error, -EINVAL, pointer,
                         "%s must be a whole number from %" PRId64 " to %" PRId64 ".",
                         field_names[field], range.min, range.max);
    if (field == FIELD_KERNEL && json_integer_value(value) % 2 == 0)
        return error_set(error, -EINVAL, pointer, "kernel must be 1, 3, 5 or 7.");
    *ret_value = (uint32_t)json_integer_value(value);
    return 0;
}

static int value_read(enum stage_field field, const json_t *value, const char *pointer,
                      uint32_t *ret_value, struct error *error)
{
    if (field == FIELD_BLOCK)
        return block_read(value, pointer, ret_value, error);
    if (field == FIELD_SE)
        return se_read(value, pointer, ret_value, error);
    return whole_number_read(field, value, pointer, ret_value, error);
}

/* Reads a field that holds one value or a list of them; an absent field leaves the default. */
static int field_read(const struct json_reader *reader, enum stage_field field,
                      struct field_values *values)
{
    const json_t *value = json_object_get(reader->object, field_names[field]);
    if (!value)
        return 0;
    char pointer[ERROR_POINTER_SIZE];
    json_pointer_join(reader->pointer, field_names[field], pointer);
    values->count = 1;
    if (!json_is_array(value))
        return value_read(field, value, pointer, &values->values[0], reader->error);
    size_t count = json_array_size(value);
    if (count < 1 || count > FIELD_VALUES_MAX)
        return error_set(reader->error, -EINVAL, pointer,
                         "A list here has 1 to %d values, not %zu.", FIELD_VALUES_MAX, count);
    for (size_t i = 0; i < count; i++) {
        char place[ERROR_POINTER_SIZE];
        json_pointer_join_index(pointer, i, place);
        int r =
            value_read(field, json_array_get(value, i), place, &values->values[i], reader->error);
        if (r < 0)
            return r;
    }
    values->count = count;
    return 0;
}

static struct choice choice_default(void)
{
    struct choice choice = {0};
    static const uint32_t defaults[FIELD_COUNT] = {
        [FIELD_LAYERS] = 1, [FIELD_KERNEL] = 3, [FIELD_EXPANSION] = 1, [FIELD_STRIDE] = 1};
    for (size_t i = 0; i < FIELD_COUNT; i++)
        choice.fields[i] = (struct field_values){{defaults[i]}, 1};
    choice.fields[FIELD_BLOCK].count = choice.fields[FIELD_CHANNELS].count = 0;
    return choice;
}

static int fields_read(const struct json_reader *reader, struct choice *choice)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        int r = field_read(reader, (enum stage_field)i, &choice->fields[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Option `index` of the product of a choice's lists. */
static struct stage choice_option(const struct choice *choice, size_t index)
{
    uint32_t picked[FIELD_COUNT];
    for (size_t i = FIELD_COUNT; i-- > 0;) {
        const struct field_values *values = &choice->fields[i];
        picked[i] = values->values[index % values->count];
        index /= values->count;
    }
    return (struct stage){.block = (enum block_type)picked[FIELD_BLOCK],
                          .layers = picked[FIELD_LAYERS],
                          .kernel = picked[FIELD_KERNEL],
                          .expansion = picked[FIELD_EXPANSION],
                          .se_ratio = picked[FIELD_SE],
                          .stride = picked[FIELD_STRIDE],
                          .channels = picked[FIELD_CHANNELS]};
}

static bool only_identity(const struct choice *choice)
{
    const struct field_values *blocks = &choice->fields[FIELD_BLOCK];
    return blocks->count == 1 && blocks->values[0] == BLOCK_IDENTITY;
}

/* Adds the product of a choice's lists to the options of the stage being read. */
static int choice_add(struct reading *reading, const struct json_reader *reader,
                      struct choice *choice)
{
    if (choice->fields[FIELD_BLOCK].count == 0)
        return json_refuse(reader, "block",
                           "block is missing: identity, conv, mbconv or fused_mbconv, or a list.");
    if (choice->fields[FIELD_CHANNELS].count == 0) {
        if (!only_identity(choice))
            return json_refuse(reader, "channels",
                               "channels is missing: the stage's output channels.");
        choice->fields[FIELD_CHANNELS] = (struct field_values){{1}, 1};
    }
    size_t product = 1, *used = &reading->option_count;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        product *= choice->fields[i].count;
        if (product + reading->counts[reading->stage_count] > SPACE_OPTIONS_MAX)
            return error_set(reading->error, -EINVAL, reader->pointer,
                             "A stage has at most %d choices; the lists here multiply to more.",
                             SPACE_OPTIONS_MAX);
    }
    if (*used + product > reading->option_capacity) {
        size_t capacity = (*used + product) * 2;
        struct stage *grown = realloc(reading->options, capacity * sizeof *grown);
        if (!grown)
            return error_set(reading->error, -ENOMEM, "", "Out of memory.");
        reading->options = grown;
        reading->option_capacity = capacity;
    }
    for (size_t i = 0; i < product; i++)
        reading->options[(*used)++] = choice_option(choice, i);
    reading->counts[reading->stage_count] += (uint32_t)product;
    return 0;
}

/* Reads "alternatives": each is a choice of its own that takes channels and stride from the stage unless it has them. */
static int alternatives_read(struct reading *reading, const struct json_reader *reader)
{
    static const char *const keys[] = {"block", "layers",   "kernel", "expansion",
                                       "se",    "channels", "stride", NULL};
    struct choice common = choice_default();
    int r = fields_read(reader, &common);
    if (r < 0)
        return r;
    const json_t *list = json_object_get(reader->object, "alternatives");
    if (!json_is_array(list) || json_array_size(list) == 0)
        return json_refuse(reader, "alternatives",
                           "alternatives must be a list with at least one.");
    char pointer[ERROR_POINTER_SIZE], place[ERROR_POINTER_SIZE];
    json_pointer_join(reader->pointer, "alternatives", pointer);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct json_reader inner;
        struct choice choice = common;
        json_pointer_join_index(pointer, i, place);
        r = json_reader_open(&inner, json_array_get(list, i), place, keys, reading->error);
        if (r == 0)
            r = fields_read(&inner, &choice);
        if (r == 0)
            r = choice_add(reading, &inner, &choice);
        if (r < 0)
            return r;
    }
    return 0;
}

static int stage_read(struct reading *reading, const json_t *value, const char *pointer)
{
    static const char *const plain_keys[] = {
        "block", "layers", "kernel", "expansion", "se", "channels", "stride", "alternatives", NULL};
    static const char *const alternatives_keys[] = {"alternatives", "channels", "stride", NULL};
    bool has_alternatives = json_object_get(value, "alternatives") != NULL;
    struct json_reader reader;
    int r = json_reader_open(&reader, value, pointer,
                             has_alternatives ? alternatives_keys : plain_keys, reading->error);
    if (r < 0)
        return r;
    if (has_alternatives)
        return alternatives_read(reading, &reader);
    struct choice choice = choice_default();
    r = fields_read(&reader, &choice);
    return r < 0 ? r : choice_add(reading, &reader, &choice);
}

static int stages_read(struct reading *reading, const struct json_reader *reader)
{
    const json_t *stages = json_object_get(reader->object, "stages");
    if (!json_is_array(stages) || json_array_size(stages) < 1 ||
        json_array_size(stages) > ARCHITECTURE_STAGES_MAX)
        return json_refuse(reader, "stages", "stages must be a list of 1 to %d stages.",
                           ARCHITECTURE_STAGES_MAX);
    char pointer[ERROR_POINTER_SIZE], place[ERROR_POINTER_SIZE];
    json_pointer_join(reader->pointer, "stages", pointer);
    for (size_t i = 0; i < json_array_size(stages); i++) {
        json_pointer_join_index(pointer, i, place);
        int r = stage_read(reading, json_array_get(stages, i), place);
        if (r < 0)
            return r;
        reading->stage_count++;
    }
    return 0;
}

static int kernel_read(const struct json_reader *reader, uint32_t *kernel)
{
    int r = json_read_u32(reader, "kernel", field_ranges[FIELD_KERNEL], kernel);
    if (r == 0 && *kernel % 2 == 0)
        return json_refuse(reader, "kernel", "kernel must be 1, 3, 5 or 7.");
    return r;
}

/* Reads "stem" and "head": channels are required, the stem's kernel is 3 and its stride 1 unless given. */
static int ends_read(struct architecture *ends, const struct json_reader *reader)
{
    static const char *const stem_keys[] = {"kernel", "stride", "channels", NULL};
    static const char *const head_keys[] = {"channels", NULL};
    struct json_reader stem, head;
    bool has_stem, has_head;
    int r = json_reader_enter(reader, "stem", stem_keys, &stem, &has_stem);
    if (r == 0)
        r = json_reader_enter(reader, "head", head_keys, &head, &has_head);
    if (r < 0)
        return r;
    if (!has_stem || !json_reader_has(&stem, "channels"))
        return json_refuse(reader, "stem",
                           "stem is missing, or its channels: "
                           "{\"kernel\": 3, \"stride\": 1, \"channels\": 16}.");
    if (!has_head || !json_reader_has(&head, "channels"))
        return json_refuse(reader, "head",
                           "head is missing, or its channels: {\"channels\": 256}.");
    ends->stem_kernel = 3;
    ends->stem_stride = 1;
    r = kernel_read(&stem, &ends->stem_kernel);
    if (r == 0)
        r = json_read_u32(&stem, "stride", field_ranges[FIELD_STRIDE], &ends->stem_stride);
    if (r == 0)
        r = json_read_u32(&stem, "channels", field_ranges[FIELD_CHANNELS], &ends->stem_channels);
    if (r == 0)
        r = json_read_u32(&head, "channels", field_ranges[FIELD_CHANNELS], &ends->head_channels);
    return r;
}

static int reading_finish(const struct reading *reading, const char *pointer,
                          struct space **ret_space)
{
    struct space_stage stages[ARCHITECTURE_STAGES_MAX];
    size_t first = 0;
    for (uint32_t i = 0; i < reading->stage_count; i++) {
        stages[i] = (struct space_stage){reading->options + first, reading->counts[i]};
        first += reading->counts[i];
    }
    struct space_definition definition = {.ends = reading->ends,
                                          .image_channels = reading->image_channels,
                                          .stages = stages,
                                          .stage_count = reading->stage_count};
    struct error inner;
    int r = space_new(&definition, ret_space, &inner);
    if (r < 0)
        return error_set(reading->error, r, pointer, "%s", inner.message);
    return 0;
}

static int space_read_whole(const json_t *value, const char *pointer, struct space **ret_space,
                            struct error *error)
{
    static const char *const keys[] = {"image_channels", "stem", "head", "stages", "preset", NULL};
    struct json_reader reader;
    int r = json_reader_open(&reader, value, pointer, keys, error);
    if (r < 0)
        return r;
    struct reading reading = {.error = error};
    r = json_read_u32(&reader, "image_channels", (struct json_range){1, 3},
                      &reading.image_channels);
    if (r == 0 && reading.image_channels == 2)
        r = json_refuse(&reader, "image_channels",
                        "image_channels must be 1 (grey) or 3 (colour).");
    if (r == 0)
        r = ends_read(&reading.ends, &reader);
    if (r == 0)
        r = stages_read(&reading, &reader);
    if (r == 0)
        r = reading_finish(&reading, pointer, ret_space);
    free(reading.options);
    return r;
}

/* The name in {"preset": NAME}, which must stand alone. */
static int preset_name_read(const json_t *value, const char *pointer, const char **ret_name,
                            struct error *error)
{
    static const char *const keys[] = {"preset", NULL};
    struct json_reader reader;
    int r = json_reader_open(&reader, value, pointer, keys, error);
    return r < 0 ? r : json_read_string(&reader, "preset", ret_name);
}

static int preset_unknown(const char *name, const char *pointer, struct error *error)
{
    const char *names[PRESET_NAMES_MAX];
    char list[256] = "", place[ERROR_POINTER_SIZE];
    size_t count = 0, used = 0;
    for (; count < PRESET_NAMES_MAX && space_preset_name(count); count++) {
        names[count] = space_preset_name(count);
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", count > 0 ? ", " : "",
                                     names[count]);
    }
    const char *near = suggest(name, names, count);
    json_pointer_join(pointer, "preset", place);
    return error_set(error, -EINVAL, place,
                     "There is no space preset \"%.64s\"%s%s%s; there are %s.", name,
                     near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "", list);
}

const char *space_preset_find(const char *name)
{
    for (size_t i = 0; space_preset_name(i); i++) {
        if (strcmp(space_preset_name(i), name) == 0)
            return space_preset_text(i);
    }
    return NULL;
}

static int space_read_preset(const json_t *value, const char *pointer, struct space **ret_space,
                             struct error *error)
{
    const char *name = NULL;
    int r = preset_name_read(value, pointer, &name, error);
    if (r < 0)
        return r;
    const char *text = space_preset_find(name);
    return text ? space_parse(text, strlen(text), ret_space, error)
                : preset_unknown(name, pointer, error);
}

int space_read(const json_t *value, const char *pointer, struct space **ret_space,
               struct error *error)
{
    if (json_object_get(value, "preset"))
        return space_read_preset(value, pointer, ret_space, error);
    return space_read_whole(value, pointer, ret_space, error);
}

int space_parse(const char *json, size_t json_length, struct space **ret_space, struct error *error)
{
    json_t *value = NULL;
    int r = json_read_text(json, json_length, SPACE_TEXT_MAX, &value, error);
    if (r < 0)
        return r;
    r = space_read(value, "", ret_space, error);
    json_decref(value);
    return r;
}

static int architecture_read_preset(const json_t *value, const char *pointer,
                                    struct architecture *ret_architecture, struct error *error)
{
    const char *name = NULL;
    int r = preset_name_read(value, pointer, &name, error);
    if (r < 0)
        return r;
    struct error inner;
    if (preset_find(name, ret_architecture, &inner) == 0)
        return 0;
    char place[ERROR_POINTER_SIZE];
    json_pointer_join(pointer, "preset", place);
    return error_set(error, -EINVAL, place, "%s", inner.message);
}

int architecture_read(const json_t *value, const char *pointer,
                      struct architecture *ret_architecture, struct error *error)
{
    if (json_object_get(value, "preset"))
        return architecture_read_preset(value, pointer, ret_architecture, error);
    struct space *space = NULL;
    int r = space_read_whole(value, pointer, &space, error);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < space_stage_count(space) && r == 0; i++) {
        if (space_option_count(space, i) != 1) {
            char stages[ERROR_POINTER_SIZE], place[ERROR_POINTER_SIZE];
            json_pointer_join(pointer, "stages", stages);
            json_pointer_join_index(stages, i, place);
            r = error_set(error, -EINVAL, place,
                          "A stage of one architecture has a single value for every field.");
        }
    }
    if (r == 0)
        space_architecture(space, &(struct encoding){0}, ret_architecture);
    space_free(space);
    return r;
}
