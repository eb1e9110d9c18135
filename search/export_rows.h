/* The rows that every export writes: stem, stages, head, each with its shapes and costs. Used inside search/ only. */
#ifndef SEARCH_EXPORT_ROWS_H
#define SEARCH_EXPORT_ROWS_H

#include "search/export.h"

/* Stem and head are rows too: of their stage only kernel, stride and channels are set. */
struct export_row {
    struct stage stage;
    uint32_t in_channels;
    uint32_t in_size, out_size; /* pixels a side */
    struct cost cost;           /* of all its layers; the head's with pooling and fc */
};

struct export_rows {
    struct export_row stem, head;
    uint32_t stage_count; /* identity stages are left out */
    struct export_row stages[ARCHITECTURE_STAGES_MAX];
    struct cost total;
};

struct export_rows export_rows_of(const struct export_model *model);

#endif
