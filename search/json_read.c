#include "search/json_read.h"

#include "search/json_locate.h"
#include "search/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_MAX = 32, UNKNOWN_KEY_LIST_SIZE = 400 };

const char *json_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "something unknown";
}

/* Turns jansson's complaint into ours. */
static int parse_failed(const char *text, size_t length, const json_error_t *json_error,
                        struct error *error)
{
    enum json_error_code code = json_error_code(json_error);
    if (code == json_error_out_of_memory || json_error->text[0] == '\0')
        return error_set(error, -ENOMEM, "", "Out of memory.");
    size_t offset = json_error->position > 0 ? (size_t)json_error->position : 0;
    char pointer[ERROR_POINTER_SIZE];
    json_locate(text, length, offset, pointer);
    if (code == json_error_duplicate_key)
        return error_set(error, -EINVAL, pointer,
                         "This key is given twice; give it once (line %d, column %d).",
                         json_error->line, json_error->column);
    if (code == json_error_numeric_overflow)
        return error_set(error, -EINVAL, pointer,
                         "This number is too large to be read (line %d, column %d).",
                         json_error->line, json_error->column);
    if (code == json_error_stack_overflow)
        return error_set(error, -EINVAL, pointer, "The text is nested too deeply (line %d).",
                         json_error->line);
    return error_set(error, -EINVAL, pointer,
                     "The text is not valid JSON: %s (line %d, column %d).", json_error->text,
                     json_error->line, json_error->column);
}

int json_read_text(const char *text, size_t length, size_t length_max, json_t **ret_value,
                   struct error *error)
{
    if (length > length_max)
        return error_set(error, -E2BIG, "", "The text has %zu bytes; at most %zu are read.", length,
                         length_max);
    json_error_t json_error;
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
    if (!value)
        return parse_failed(text, length, &json_error, error);
    *ret_value = value;
    return 0;
}

void json_pointer_join(const char *pointer, const char *key, char ret_pointer[ERROR_POINTER_SIZE])
{
    char joined[ERROR_POINTER_SIZE];
    size_t used = (size_t)snprintf(joined, sizeof joined, "%s/", pointer);
    for (; *key != '\0' && used + 2 < sizeof joined; key++) {
        if (*key == '~' || *key == '/') {
            joined[used++] = '~';
            joined[used++] = *key == '~' ? '0' : '1';
        } else {
            joined[used++] = *key;
        }
    }
    if (used >= sizeof joined)
        used = sizeof joined - 1;
    joined[used] = '\0';
    memcpy(ret_pointer, joined, used + 1);
}

void json_pointer_join_index(const char *pointer, size_t index,
                             char ret_pointer[ERROR_POINTER_SIZE])
{
    char text[24];
    snprintf(text, sizeof text, "%zu", index);
    json_pointer_join(pointer, text, ret_pointer);
}

static int unknown_key(const char *pointer, const char *key, const char *const *keys,
                       struct error *error)
{
    size_t count = 0;
    char list[UNKNOWN_KEY_LIST_SIZE] = "", place[ERROR_POINTER_SIZE];
    size_t used = 0;
    for (; keys[count] && count < KEYS_MAX; count++) {
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", count > 0 ? ", " : "",
                                     keys[count]);
    }
    json_pointer_join(pointer, key, place);
    const char *near = suggest(key, keys, count);
    if (near)
        return error_set(error, -EINVAL, place, "Unknown key \"%.64s\"; did you mean \"%s\"?", key,
                         near);
    return error_set(error, -EINVAL, place, "Unknown key \"%.64s\"; the keys here are %s.", key,
                     list);
}

int json_reader_open(struct json_reader *reader, const json_t *value, const char *pointer,
                     const char *const *keys, struct error *error)
{
    if (!json_is_object(value))
        return error_set(error, -EINVAL, pointer, "This must be an object, not %s.",
                         json_type_name(value));
    *reader = (struct json_reader){.object = value, .error = error};
    snprintf(reader->pointer, sizeof reader->pointer, "%s", pointer);
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member)
    {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], key) != 0)
            i++;
        if (!keys[i])
            return unknown_key(pointer, key, keys, error);
    }
    return 0;
}

int json_reader_enter(const struct json_reader *reader, const char *key, const char *const *keys,
                      struct json_reader *ret_inner, bool *ret_present)
{
    const json_t *value = json_object_get(reader->object, key);
    *ret_present = value != NULL;
    if (!value)
        return 0;
    char pointer[ERROR_POINTER_SIZE];
    json_pointer_join(reader->pointer, key, pointer);
    return json_reader_open(ret_inner, value, pointer, keys, reader->error);
}

bool json_reader_has(const struct json_reader *reader, const char *key)
{
    return json_object_get(reader->object, key) != NULL;
}

int json_refuse(const struct json_reader *reader, const char *key, const char *format, ...)
{
    char message[ERROR_MESSAGE_SIZE], pointer[ERROR_POINTER_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    json_pointer_join(reader->pointer, key, pointer);
    return error_set(reader->error, -EINVAL, pointer, "%s", message);
}

int json_read_integer(const struct json_reader *reader, const char *key, struct json_range range,
                      int64_t *value)
{
    const json_t *member = json_object_get(reader->object, key);
    if (!member)
        return 0;
    if (!json_is_integer(member))
        return json_refuse(reader, key,
                           "%s must be a whole number from %" PRId64 " to %" PRId64 ", not %s.",
                           key, range.min, range.max, json_type_name(member));
    int64_t number = json_integer_value(member);
    if (number < range.min || number > range.max)
        return json_refuse(reader, key,
                           "%s must be a whole number from %" PRId64 " to %" PRId64 ", not %" PRId64
                           ".",
                           key, range.min, range.max, number);
    *value = number;
    return 0;
}

int json_read_u64(const struct json_reader *reader, const char *key, struct json_range range,
                  uint64_t *value)
{
    int64_t number = (int64_t)*value;
    int r = json_read_integer(reader, key, range, &number);
    if (r == 0)
        *value = (uint64_t)number;
    return r;
}

int json_read_u32(const struct json_reader *reader, const char *key, struct json_range range,
                  uint32_t *value)
{
    int64_t number = *value;
    int r = json_read_integer(reader, key, range, &number);
    if (r == 0)
        *value = (uint32_t)number;
    return r;
}

int json_read_number(const struct json_reader *reader, const char *key, double *value)
{
    const json_t *member = json_object_get(reader->object, key);
    if (!member)
        return 0;
    if (!json_is_number(member))
        return json_refuse(reader, key, "%s must be a number, not %s.", key,
                           json_type_name(member));
    *value = json_number_value(member);
    return 0;
}

int json_read_bool(const struct json_reader *reader, const char *key, bool *value)
{
    const json_t *member = json_object_get(reader->object, key);
    if (!member)
        return 0;
    if (!json_is_boolean(member))
        return json_refuse(reader, key, "%s must be true or false, not %s.", key,
                           json_type_name(member));
    *value = json_is_true(member);
    return 0;
}

int json_read_string(const struct json_reader *reader, const char *key, const char **value)
{
    const json_t *member = json_object_get(reader->object, key);
    if (!member)
        return 0;
    if (!json_is_string(member))
        return json_refuse(reader, key, "%s must be a string, not %s.", key,
                           json_type_name(member));
    *value = json_string_value(member);
    return 0;
}
