#include "search/result_table.h"

#include "search/csv_reader.h"
#include "search/result_columns.h"
#include "search/result_name.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row that names its architecture by hash or text, until the space has been gone through. */
struct unresolved {
    uint64_t key;
    size_t row;
    bool is_text, found;
};

struct building {
    const struct spec *spec;
    struct result_layout layout;
    struct result_entry *rows; /* of the file, in its order */
    double *runs;
    size_t row_count, row_capacity;
    struct unresolved *unresolved; /* sorted by key before it is looked up */
    size_t unresolved_count, unresolved_capacity;
    bool has_texts;
};

static void building_release(struct building *building)
{
    free(building->rows);
    free(building->runs);
    free(building->unresolved);
}

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "", "Out of memory.");
}

/* ---- reading lines ---- */

static int reserve_row(struct building *building)
{
    if (building->row_count < building->row_capacity)
        return 0;
    size_t capacity = building->row_capacity > 0 ? 2 * building->row_capacity : 64;
    size_t runs = building->layout.run_count;
    struct result_entry *rows = realloc(building->rows, capacity * sizeof *rows);
    if (!rows)
        return -ENOMEM;
    building->rows = rows;
    if (runs > 0) {
        double *grown = realloc(building->runs, capacity * runs * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        building->runs = grown;
    }
    building->row_capacity = capacity;
    return 0;
}

static int add_unresolved(struct building *building, const struct result_name *name)
{
    if (building->unresolved_count == building->unresolved_capacity) {
        size_t capacity =
            building->unresolved_capacity > 0 ? 2 * building->unresolved_capacity : 64;
        struct unresolved *grown = realloc(building->unresolved, capacity * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        building->unresolved = grown;
        building->unresolved_capacity = capacity;
    }
    bool is_text = name->kind == RESULT_NAME_TEXT;
    building->has_texts = building->has_texts || is_text;
    building->unresolved[building->unresolved_count++] =
        (struct unresolved){.key = name->key, .row = building->row_count, .is_text = is_text};
    return 0;
}

static void set_encoding(const struct spec *spec, const struct encoding *encoding,
                         struct result_entry *entry)
{
    struct architecture architecture;
    space_architecture(spec->space, encoding, &architecture);
    entry->encoding = *encoding;
    entry->hash = architecture_hash(&architecture);
    entry->cost = pricing_cost(spec->pricing, encoding);
    entry->feasible = spec_feasible(spec, &entry->cost);
}

static int read_row(struct building *building, const struct csv_reader *reader, struct error *error)
{
    const struct result_layout *layout = &building->layout;
    if (reader->field_count != layout->field_count)
        return error_set(error, -EINVAL, "", "line %zu has %zu fields; the header has %zu columns.",
                         reader->line, reader->field_count, layout->field_count);
    if (building->row_count == RESULT_TABLE_ROWS_MAX)
        return error_set(error, -E2BIG, "", "line %zu: a table may have %d rows.", reader->line,
                         RESULT_TABLE_ROWS_MAX);
    const char *text = reader->fields[layout->encoding];
    struct result_name name;
    struct error inner = {0};
    if (result_name_read(text, building->spec->space, &name, &inner) < 0)
        return result_refuse(layout, reader->line, layout->encoding, error, "\"%.60s\": %s.", text,
                             inner.message);
    if (reserve_row(building) < 0 ||
        (name.kind != RESULT_NAME_ENCODING && add_unresolved(building, &name) < 0))
        return out_of_memory(error);
    struct result_entry *row = &building->rows[building->row_count];
    double *runs = building->runs + building->row_count * layout->run_count;
    *row = (struct result_entry){.line = reader->line};
    if (name.kind == RESULT_NAME_ENCODING)
        set_encoding(building->spec, &name.encoding, row);
    int r = result_layout_values(layout, reader, row, runs, error);
    if (r == 0)
        building->row_count++;
    return r;
}

static int read_rows(struct building *building, char *text, size_t length,
                     const struct result_columns *columns, struct error *error)
{
    struct csv_reader reader;
    csv_reader_init(&reader, text, length);
    int r = csv_reader_next(&reader, error);
    if (r == CSV_READER_END)
        return error_set(error, -EINVAL, "", "The table is empty: it has not even a header.");
    if (r == 0)
        r = result_layout_read(&reader, columns, &building->layout, error);
    while (r == 0) {
        r = csv_reader_next(&reader, error);
        if (r == 0)
            r = read_row(building, &reader, error);
    }
    if (r < 0)
        return r;
    if (building->row_count == 0)
        return error_set(error, -EINVAL, "", "The table is empty: it has a header and no rows.");
    return 0;
}

/* ---- fractions ---- */

static double largest_accuracy(const struct building *building)
{
    double largest = 0;
    for (size_t i = 0; i < building->row_count; i++)
        largest = fmax(largest, building->rows[i].accuracy);
    for (size_t i = 0; i < building->row_count * building->layout.run_count; i++)
        largest = fmax(largest, building->runs[i]);
    return largest;
}

static int to_fraction(const struct building *building, size_t row, size_t column, double scale,
                       double *accuracy, struct error *error)
{
    if (!(*accuracy >= 0 && *accuracy <= scale))
        return result_refuse(&building->layout, building->rows[row].line, column, error,
                             "%g is no accuracy in %s.", *accuracy,
                             scale == 1 ? "fractions of 1" : "percent");
    *accuracy /= scale;
    return 0;
}

static int to_fractions(struct building *building, enum accuracy_unit *unit, struct error *error)
{
    const struct result_layout *layout = &building->layout;
    double largest = largest_accuracy(building);
    if (*unit == ACCURACY_UNIT_GUESSED)
        *unit = largest > 1 ? ACCURACY_UNIT_PERCENT : ACCURACY_UNIT_FRACTION;
    else if (*unit == ACCURACY_UNIT_PERCENT && largest <= 1)
        return error_set(error, -EINVAL, "",
                         "No accuracy of the table is above 1; these are fractions, not percent.");
    double scale = *unit == ACCURACY_UNIT_PERCENT ? 100 : 1;
    int r = 0;
    for (size_t i = 0; i < building->row_count && r == 0; i++) {
        for (size_t j = 0; j < layout->run_count && r == 0; j++)
            r = to_fraction(building, i, layout->runs[j], scale,
                            &building->runs[i * layout->run_count + j], error);
        size_t column = layout->accuracy == RESULT_COLUMN_NONE ? layout->runs[0] : layout->accuracy;
        if (r == 0)
            r = to_fraction(building, i, column, scale, &building->rows[i].accuracy, error);
    }
    return r;
}

/* ---- going through the space ---- */

static bool is_enumerable(const struct space *space)
{
    uint64_t encodings = 1;
    for (uint32_t i = 0; i < space_stage_count(space); i++) {
        encodings *= space_option_count(space, i);
        if (encodings > RESULT_TABLE_ENCODINGS_MAX)
            return false;
    }
    return true;
}

/* The next encoding, last stage fastest; false behind the last. */
static bool encoding_next(const struct space *space, struct encoding *encoding)
{
    for (uint32_t i = space_stage_count(space); i-- > 0;) {
        if (++encoding->choices[i] < space_option_count(space, i))
            return true;
        encoding->choices[i] = 0;
    }
    return false;
}

static int compare_keys(const void *a_void, const void *b_void)
{
    const struct unresolved *a = a_void, *b = b_void;
    return (a->key > b->key) - (a->key < b->key);
}

/* Gives the encoding to the rows that name its architecture by `key` and have none yet. */
static void resolve(struct building *building, const struct encoding *encoding, uint64_t key,
                    bool is_text)
{
    size_t low = 0, high = building->unresolved_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (building->unresolved[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < building->unresolved_count && building->unresolved[low].key == key; low++) {
        struct unresolved *place = &building->unresolved[low];
        if (place->found || place->is_text != is_text)
            continue;
        place->found = true;
        set_encoding(building->spec, encoding, &building->rows[place->row]);
    }
}

static void resolve_by(struct building *building, const struct encoding *encoding)
{
    struct architecture architecture;
    space_architecture(building->spec->space, encoding, &architecture);
    resolve(building, encoding, architecture_hash(&architecture), false);
    if (!building->has_texts)
        return;
    char text[ARCHITECTURE_TEXT_SIZE];
    architecture_text(&architecture, text);
    resolve(building, encoding, result_text_key(text), true);
}

static int resolve_all(struct building *building, struct error *error)
{
    if (building->unresolved_count == 0)
        return 0;
    const struct space *space = building->spec->space;
    size_t line = building->rows[building->unresolved[0].row].line;
    if (!is_enumerable(space))
        return result_refuse(&building->layout, line, building->layout.encoding, error,
                             "hashes and texts can be told only in a space of up to %d encodings; "
                             "name architectures by their encodings.",
                             RESULT_TABLE_ENCODINGS_MAX);
    qsort(building->unresolved, building->unresolved_count, sizeof building->unresolved[0],
          compare_keys);
    struct encoding encoding = {{0}};
    do
        resolve_by(building, &encoding);
    while (encoding_next(space, &encoding));
    for (size_t i = 0; i < building->unresolved_count; i++)
        if (!building->unresolved[i].found)
            return result_refuse(&building->layout,
                                 building->rows[building->unresolved[i].row].line,
                                 building->layout.encoding, error,
                                 "the space of the spec has no such architecture.");
    return 0;
}

/* ---- one entry an architecture ---- */

static uint32_t *slot_of(const struct result_table *table, uint64_t hash)
{
    size_t slot = hash & (table->slot_count - 1);
    while (table->slots[slot] != 0 && table->entries[table->slots[slot] - 1].hash != hash)
        slot = (slot + 1) & (table->slot_count - 1);
    return &table->slots[slot];
}

const struct result_entry *result_table_find(const struct result_table *table, uint64_t hash)
{
    uint32_t entry = *slot_of(table, hash);
    return entry != 0 ? &table->entries[entry - 1] : NULL;
}

static bool agree(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Two rows of one architecture must be two names for one result. */
static int check_twin(const struct building *building, const struct result_entry *first,
                      const struct result_entry *second, struct error *error)
{
    const struct result_layout *layout = &building->layout;
    if (memcmp(&first->encoding, &second->encoding, sizeof first->encoding) == 0)
        return result_refuse(layout, second->line, layout->encoding, error,
                             "line %zu is the same architecture; each may stand once.",
                             first->line);
    bool same = agree(first->accuracy, second->accuracy) && agree(first->loss, second->loss) &&
                agree(first->step_time, second->step_time) &&
                agree(first->seconds, second->seconds);
    for (size_t i = 0; i < layout->run_count; i++)
        same = same && first->run[i] == second->run[i];
    if (same)
        return 0;
    return result_refuse(layout, second->line, layout->encoding, error,
                         "this makes the same network as line %zu, which has another result.",
                         first->line);
}

/* Moves the rows into the table, one for each architecture. */
static int collect(struct building *building, struct result_table *table, struct error *error)
{
    table->slot_count = 64;
    while (table->slot_count < 2 * building->row_count)
        table->slot_count *= 2;
    table->slots = calloc(table->slot_count, sizeof table->slots[0]);
    if (!table->slots)
        return out_of_memory(error);
    table->entries = building->rows;
    table->runs = building->runs;
    building->rows = NULL;
    building->runs = NULL;
    const size_t run_count = building->layout.run_count;
    for (size_t i = 0; i < building->row_count; i++) {
        struct result_entry row = table->entries[i];
        row.run = table->runs + i * run_count;
        uint32_t *slot = slot_of(table, row.hash);
        if (*slot == 0) {
            table->entries[table->count++] = row;
            *slot = (uint32_t)table->count;
            continue;
        }
        int r = check_twin(building, &table->entries[*slot - 1], &row, error);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_complete(const struct result_table *table, const struct spec *spec)
{
    if (!is_enumerable(spec->space))
        return false;
    struct encoding encoding = {{0}};
    do {
        struct cost cost = pricing_cost(spec->pricing, &encoding);
        struct architecture architecture;
        space_architecture(spec->space, &encoding, &architecture);
        if (spec_feasible(spec, &cost) &&
            !result_table_find(table, architecture_hash(&architecture)))
            return false;
    } while (encoding_next(spec->space, &encoding));
    return true;
}

static int build(struct building *building, const struct result_columns *columns,
                 struct result_table *table, struct error *error)
{
    const struct result_layout *layout = &building->layout;
    table->unit = columns->unit;
    table->row_count = building->row_count;
    table->run_count = layout->run_count;
    table->has_loss = layout->loss != RESULT_COLUMN_NONE;
    table->has_step_time = layout->step_time != RESULT_COLUMN_NONE;
    table->has_seconds = layout->seconds != RESULT_COLUMN_NONE;
    int r = to_fractions(building, &table->unit, error);
    if (r == 0)
        r = resolve_all(building, error);
    if (r == 0)
        r = collect(building, table, error);
    if (r == 0)
        table->complete = is_complete(table, building->spec);
    return r;
}

int result_table_read(const char *text, size_t length, const struct result_columns *columns,
                      const struct spec *spec, struct result_table *ret_table, struct error *error)
{
    if (length > RESULT_TABLE_TEXT_MAX)
        return error_set(error, -E2BIG, "", "A table may have %d bytes.", RESULT_TABLE_TEXT_MAX);
    struct building *building = calloc(1, sizeof *building);
    struct result_table table = {0};
    char *copy = malloc(length + 1);
    int r = building && copy ? 0 : out_of_memory(error);
    if (r == 0) {
        memcpy(copy, text, length);
        copy[length] = '\0';
        building->spec = spec;
        r = read_rows(building, copy, length, columns, error);
    }
    if (r == 0)
        r = build(building, columns, &table, error);
    if (building)
        building_release(building);
    free(building);
    free(copy);
    if (r < 0) {
        result_table_release(&table);
        return r;
    }
    *ret_table = table;
    return 0;
}

void result_table_release(struct result_table *table)
{
    free(table->entries);
    free(table->runs);
    free(table->slots);
    *table = (struct result_table){0};
}

void result_encoding_name(const struct space *space, const struct encoding *encoding,
                          char ret_name[RESULT_NAME_SIZE])
{
    size_t used = 0;
    for (uint32_t i = 0; i < space_stage_count(space); i++)
        used += (size_t)snprintf(ret_name + used, RESULT_NAME_SIZE - used, "%s%u", i > 0 ? ":" : "",
                                 (unsigned)encoding->choices[i]);
}
