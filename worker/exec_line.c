#include "worker/exec_line.h"

#include "proto/foreign_text.h"
#include "search/json_read.h"
#include "search/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct json_range counts = {0, INT64_C(1) << 53};

/* ---- numbers that are none ---- */

static const char NOT_FINITE[] = "NaN";

/* JSON has no NaN and no infinity, but programs write them all the same. */
static bool is_not_finite(const char *word, size_t length)
{
    static const char *const words[] = {"nan", "inf", "infinity"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strlen(words[i]) == length && strncasecmp(word, words[i], length) == 0)
            return true;
    return false;
}

static size_t word_length(const char *text, size_t length)
{
    size_t count = 0;
    while (count < length && isalpha((unsigned char)text[count]))
        count++;
    return count;
}

static size_t string_length(const char *text, size_t length)
{
    size_t count = 1;
    while (count < length && text[count] != '"')
        count += text[count] == '\\' ? 2 : 1;
    return count < length ? count + 1 : length;
}

/* Copies the line with every such word outside of strings as a string, and without its sign. */
static int make_json(const char *line, size_t length, struct text *text)
{
    for (size_t i = 0; i < length;) {
        const size_t word = word_length(line + i, length - i);
        size_t taken = word ? word : 1;
        if (line[i] == '"')
            taken = string_length(line + i, length - i);
        const bool sign = line[i] == '-' || line[i] == '+';
        const size_t after = sign ? word_length(line + i + 1, length - i - 1) : 0;
        if (word && is_not_finite(line + i, word))
            text_format(text, "\"%s\"", NOT_FINITE);
        else if (!after || !is_not_finite(line + i + 1, after))
            text_add_bytes(text, line + i, taken);
        i += taken;
    }
    return text_status(text);
}

/* ---- fields ---- */

static int require(const struct json_reader *reader, const char *key)
{
    return json_reader_has(reader, key) ? 0 : json_refuse(reader, key, "is missing");
}

/* A measured value, which must be there. -EDOM where it is not finite. */
static int read_measured(const struct json_reader *reader, const char *key, double *value)
{
    const json_t *field = json_object_get(reader->object, key);
    int code = require(reader, key);
    if (code < 0)
        return code;
    const char *string = json_string_value(field);
    if (json_is_null(field) || (string && is_not_finite(string, strlen(string)))) {
        json_refuse(reader, key, "is not finite");
        return -EDOM;
    }
    return json_read_number(reader, key, value);
}

static int read_progress(struct json_reader *reader, struct wire_progress *progress)
{
    int code = require(reader, "steps_done");
    if (code == 0)
        code = require(reader, "steps_total");
    if (code == 0)
        code = json_read_u64(reader, "steps_done", counts, &progress->steps_done);
    if (code == 0)
        code = json_read_u64(reader, "steps_total", counts, &progress->steps_total);
    if (code == 0 && progress->steps_done > progress->steps_total)
        return json_refuse(reader, "steps_done", "must be at most steps_total");
    return code;
}

static int read_epoch(struct json_reader *reader, struct wire_epoch *epoch)
{
    const struct {
        const char *key;
        double *value;
    } measured[] = {{"train_loss", &epoch->train_loss},
                    {"train_accuracy", &epoch->train_accuracy},
                    {"validation_loss", &epoch->validation_loss},
                    {"validation_accuracy", &epoch->validation_accuracy}};
    int code = require(reader, "number");
    if (code == 0)
        code = json_read_u32(reader, "number", (struct json_range){1, RECIPE_EPOCHS_MAX},
                             &epoch->number);
    for (size_t i = 0; i < ARRAY_LENGTH(measured) && code == 0; i++)
        code = read_measured(reader, measured[i].key, measured[i].value);
    if (code == 0)
        code = json_read_number(reader, "seconds", &epoch->seconds);
    if (code == 0)
        code = wire_epoch_validate(epoch, reader->error);
    else
        return code;
    return code < 0 ? error_prefix(reader->error, code, reader->pointer) : 0;
}

/* ---- the result ---- */

static int read_timing(const struct json_reader *reader, struct wire_step_time *step_time)
{
    static const char *const keys[] = {"median_seconds", "baseline_seconds", "spread_seconds",
                                       "blocks",         "contended",        NULL};
    struct json_reader timing;
    bool present;
    if (json_is_null(json_object_get(reader->object, "timing")))
        return 0;
    int code = json_reader_enter(reader, "timing", keys, &timing, &present);
    if (code < 0 || !present)
        return code;
    code = read_measured(&timing, "median_seconds", &step_time->median_s);
    if (code == 0)
        code = read_measured(&timing, "baseline_seconds", &step_time->baseline_s);
    if (code == 0)
        code = json_read_number(&timing, "spread_seconds", &step_time->spread_s);
    if (code == 0)
        code =
            json_read_u32(&timing, "blocks", (struct json_range){0, INT32_MAX}, &step_time->blocks);
    if (code == 0)
        code = json_read_bool(&timing, "contended", &step_time->contended);
    if (code == 0 && step_time->median_s <= 0)
        return json_refuse(&timing, "median_seconds", "must be above 0");
    if (code == 0 && step_time->baseline_s <= 0)
        return json_refuse(&timing, "baseline_seconds", "must be above 0");
    return code == -EDOM ? -EINVAL : code;
}

static int read_outcome(const struct json_reader *reader, enum wire_outcome *ret_outcome)
{
    static const enum wire_outcome outcomes[] = {WIRE_OUTCOME_DONE, WIRE_OUTCOME_DIVERGED,
                                                 WIRE_OUTCOME_OUT_OF_MEMORY, WIRE_OUTCOME_FAILED};
    const char *name = wire_outcome_name(WIRE_OUTCOME_DONE);
    int code = json_read_string(reader, "outcome", &name);
    for (size_t i = 0; i < ARRAY_LENGTH(outcomes) && code == 0; i++) {
        if (strcmp(name, wire_outcome_name(outcomes[i])) == 0) {
            *ret_outcome = outcomes[i];
            return 0;
        }
    }
    return code < 0
               ? code
               : json_refuse(reader, "outcome", "must be done, diverged, out_of_memory or failed");
}

static int read_measures(const struct json_reader *reader, struct exec_line *line)
{
    struct wire_result *result = &line->result;
    int code = read_measured(reader, "accuracy", &result->accuracy);
    if (code == 0)
        code = read_measured(reader, "loss", &result->loss);
    if (code == 0)
        code = read_timing(reader, &result->step_time);
    return code;
}

static int read_result(struct json_reader *reader, struct exec_line *line)
{
    struct wire_result *result = &line->result;
    const char *message = "";
    int code = read_outcome(reader, &result->outcome);
    if (code == 0 && result->outcome == WIRE_OUTCOME_DONE)
        code = read_measures(reader, line);
    line->images_given = json_reader_has(reader, "images");
    if (code == 0)
        code = json_read_u64(reader, "images", counts, &result->images);
    if (code == 0)
        code = json_read_u64(reader, "memory_needed_bytes", counts, &result->memory_needed_bytes);
    if (code == 0)
        code = json_read_string(reader, "message", &message);
    if (code == 0)
        foreign_message_copy(message, result->message, sizeof result->message);
    if (code == 0)
        code = wire_result_validate(result, reader->error);
    else
        return code;
    return code < 0 ? error_prefix(reader->error, code, reader->pointer) : 0;
}

/* ---- lines ---- */

static const char *const kinds[] = {"progress", "epoch", "result", NULL};
static const char *const progress_keys[] = {"steps_done", "steps_total", NULL};
static const char *const epoch_keys[] = {
    "number",  "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
    "seconds", NULL};
static const char *const result_keys[] = {
    "outcome", "accuracy", "loss", "timing", "images", "memory_needed_bytes", "message", NULL};
static const char *const *const keys_of[] = {progress_keys, epoch_keys, result_keys};

static int read_kind(const struct json_reader *reader, struct exec_line *line)
{
    struct json_reader inner;
    bool present;
    int code = json_reader_enter(reader, kinds[line->kind], keys_of[line->kind], &inner, &present);
    if (code < 0)
        return code;
    switch (line->kind) {
    case EXEC_LINE_PROGRESS:
        return read_progress(&inner, &line->progress);
    case EXEC_LINE_EPOCH:
        return read_epoch(&inner, &line->epoch);
    default:
        return read_result(&inner, line);
    }
}

static int read_document(const json_t *document, struct exec_line *line, struct error *error)
{
    struct json_reader reader;
    int code = json_reader_open(&reader, document, "", kinds, error);
    if (code < 0)
        return code;
    if (json_object_size(document) != 1)
        return error_set(error, -EINVAL, "", "a line has one of progress, epoch and result");
    while (!json_reader_has(&reader, kinds[line->kind]))
        line->kind++;
    return read_kind(&reader, line);
}

int exec_line_read(const char *text, size_t length, struct exec_line *ret_line, struct error *error)
{
    struct exec_line line = {.kind = EXEC_LINE_PROGRESS};
    CLEANUP(text_release) struct text json = {.length_max = 0};
    json_t *document = NULL;
    text_init(&json, 2 * EXEC_LINE_BYTES_MAX);
    if (length > EXEC_LINE_BYTES_MAX)
        return error_set(error, -EINVAL, "", "the line is longer than %d bytes",
                         EXEC_LINE_BYTES_MAX);
    int code = make_json(text, length, &json);
    if (code < 0)
        return error_set(error, code == -E2BIG ? -EINVAL : code, "", "the line is too long");
    code =
        json_read_text(text_string(&json), json.length, 2 * EXEC_LINE_BYTES_MAX, &document, error);
    if (code == 0)
        code = read_document(document, &line, error);
    json_decref(document);
    if (code == 0 || code == -EDOM)
        *ret_line = line;
    return code;
}
