/* Spaces: which architectures a search may draw.
 *
 * A space is a stem, a head and a list of stages; each stage has a list of options (struct stage values). An encoding is
 * one option index for each stage; the space's encodings are the product of the options. Because identity stages vanish
 * and options can repeat, several encodings can name the same architecture.
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

/* What a space is made of. */
struct space_stage {
    const struct stage *options;
    uint32_t option_count; /* 1 .. SPACE_OPTIONS_MAX */
};

struct space_definition {
    struct architecture ends; /* stem and head; the stages are not looked at */
    uint32_t image_channels;  /* 1 or 3; 0 = whatever the data set has */
    const struct space_stage *stages;
    uint32_t stage_count; /* 1 .. ARCHITECTURE_STAGES_MAX */
};

/* Copies the definition. -EINVAL with pointers "/stem/kernel", "/stages/1", ...; -E2BIG where the encodings do not fit
 * into 128 bits; -ENOMEM. */
int space_new(const struct space_definition *definition, struct space **ret_space,
              struct error *error) MUST_USE;
void space_free(struct space *space);

/* Reads the JSON form of a space (docs/spec.md) or {"preset": "..."}. Errors point into the space
 * ("/stages/1/kernel/0"). -EINVAL, -E2BIG, -ENOMEM. In the library archscout_search_json. */
int space_parse(const char *json, size_t json_length, struct space **ret_space,
                struct error *error) MUST_USE;

/* The spaces that {"preset": "..."} can name: sorted names, NULL past the end, and their JSON. In the library
 * archscout_search_json. */
const char *space_preset_name(size_t index);
const char *space_preset_text(size_t index);
/* The text of the preset with this name; NULL where there is none. In the library archscout_search_json. */
const char *space_preset_find(const char *name);

uint32_t space_stage_count(const struct space *space);
uint32_t space_option_count(const struct space *space, uint32_t stage);
/* An option as it was given, not canonical. */
const struct stage *space_option(const struct space *space, uint32_t stage, uint32_t option);
/* Stem and head; no stages. */
const struct architecture *space_ends(const struct space *space);
uint32_t space_image_channels(const struct space *space); /* 0 = whatever the data set has */

/* Encodings, exactly, in decimal (they exceed 64 bits). */
void space_count_encodings(const struct space *space, char ret_count[SPACE_COUNT_SIZE]);
/* Distinct architectures, exactly. -E2BIG where the stages are so much alike that telling their architectures apart
 * would take more than a second, -ENOMEM. */
int space_count_architectures(const struct space *space, char ret_count[SPACE_COUNT_SIZE]) MUST_USE;

/* The canonical architecture of an encoding whose choices are in range. */
void space_architecture(const struct space *space, const struct encoding *encoding,
                        struct architecture *ret_architecture);
/* Finds an encoding of an architecture; of several, one and the same each time. -ENOENT where it is none of the space's,
 * -ENOMEM. */
int space_encode(const struct space *space, const struct architecture *architecture,
                 struct encoding *ret_encoding) MUST_USE;
/* False where a choice is out of range. */
bool space_contains(const struct space *space, const struct encoding *encoding);

#endif
