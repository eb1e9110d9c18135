#include "tests/unit/search/csv.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void csv_open(struct csv *csv, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", TEST_DATA_DIR, name);
    *csv = (struct csv){.file = fopen(path, "r")};
    if (!csv->file)
        fail_msg("cannot open %s", path);
    assert_true(csv_next(csv));
}

bool csv_next(struct csv *csv)
{
    if (!fgets(csv->line, sizeof csv->line, csv->file))
        return false;
    csv->line[strcspn(csv->line, "\r\n")] = '\0';
    csv->field_count = 0;
    char *rest = csv->line;
    for (char *field = strsep(&rest, ","); field; field = strsep(&rest, ",")) {
        assert_true(csv->field_count < CSV_FIELDS_MAX);
        csv->fields[csv->field_count++] = field;
    }
    return true;
}

void csv_close(struct csv *csv)
{
    fclose(csv->file);
}

uint64_t csv_u64(const struct csv *csv, size_t field)
{
    assert_true(field < csv->field_count);
    char *end = NULL;
    uint64_t value = strtoumax(csv->fields[field], &end, 10);
    if (end == csv->fields[field] || *end != '\0')
        fail_msg("\"%s\" is no whole number", csv->fields[field]);
    return value;
}
