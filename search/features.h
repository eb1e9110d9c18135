/* Encodings as points in space, for models of what a search has measured.
 *
 * A slot is a stage of the space; its features are layers, kernel, expansion, squeeze ratio, whether the block is a fused
 * one, channels and stride, each divided by its range over the space's options; a slot without blocks is all 0. A plain
 * conv counts as what it is, a fused block of expansion 1.
 *
 * Where stages follow each other that may only go on with one width at stride 1 (a run), their blocks fill the run's slots
 * from the first on, equal ones spread as evenly as the slots allow, so that encodings of one architecture have the same
 * features. (Stages whose widths or strides are themselves to choose have slots of their own.) Features that never vary
 * are left out. */
#ifndef SEARCH_FEATURES_H
#define SEARCH_FEATURES_H

#include "search/pricing.h"

enum { FEATURES_A_SLOT = 7, FEATURES_MAX = ARCHITECTURE_STAGES_MAX * FEATURES_A_SLOT, TRENDS = 2 };

/* A plain value. */
struct features {
    const struct space *space;
    const struct pricing *pricing;
    uint32_t count, slot_count;
    uint8_t slot[FEATURES_MAX];   /* of each feature, 0 .. slot_count - 1, ascending */
    uint8_t source[FEATURES_MAX]; /* stage * FEATURES_A_SLOT + attribute */
    double factor[FEATURES_MAX];
    uint32_t run_length
        [ARCHITECTURE_STAGES_MAX]; /* stages of the run that begins here; 0: begins earlier */
};

/* One encoding's. */
struct feature_vector {
    double values[FEATURES_MAX]; /* features.count of them */
    double trends[TRENDS];       /* logarithms of parameters and of multiply-adds */
};

/* Space and pricing must outlive the value. */
void features_init(struct features *features, const struct space *space,
                   const struct pricing *pricing);
/* Sets the first features.count values and the trends. */
void features_of(const struct features *features, const struct encoding *encoding,
                 struct feature_vector *ret_vector);

#endif
