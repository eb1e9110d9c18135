/* Spaces: which architectures a search may draw.
 *
 * A space is a stem, a head and a list of stages; each stage has a list of options (struct stage
 * values). An encoding is one option index for each stage; the space's encodings are the product of
 * the options. Because identity stages vanish, several encodings can name the same architecture.
 *
 * A space is immutable once made and may be shared between threads. */
#ifndef SEARCH_SPACE_H
#define SEARCH_SPACE_H

#include "search/architecture.h"

enum {
    SPACE_OPTIONS_MAX = 4096, /* a stage */
    SPACE_COUNT_SIZE = 40     /* holds any count in decimal, terminator included */
};

/* option index a stage; entries past the space's stage count are 0 */
struct encoding {
    uint16_t choices[ARCHITECTURE_STAGES_MAX];
};

struct space;

/* Reads DESIGN's JSON form or {"preset": "..."}. Errors point into the space
 * ("/stages/1/kernel/0"). */
int space_parse(const char *json, size_t json_length, struct space **ret_space,
                struct error *error) MUST_USE;
void space_free(struct space *space);

uint32_t space_stage_count(const struct space *space);
uint32_t space_option_count(const struct space *space, uint32_t stage);
uint32_t space_image_channels(const struct space *space); /* 0 = whatever the data set has */

/* Encodings, and distinct architectures, exactly, in decimal (they exceed 64 bits). */
void space_count_encodings(const struct space *space, char ret_count[SPACE_COUNT_SIZE]);
void space_count_architectures(const struct space *space, char ret_count[SPACE_COUNT_SIZE]);

/* The canonical architecture of an encoding whose choices are in range. */
void space_architecture(const struct space *space, const struct encoding *encoding,
                        struct architecture *ret_architecture);
/* False where a choice is out of range. */
bool space_contains(const struct space *space, const struct encoding *encoding);

#endif
