/* How a table names an architecture: by an encoding, a hash or a canonical text. Used by result_table.c only. */
#ifndef SEARCH_RESULT_NAME_H
#define SEARCH_RESULT_NAME_H

#include "search/result_table.h"

enum result_name_kind {
    RESULT_NAME_ENCODING, /* "2201" (one digit a stage) or "2:2:0:1" */
    RESULT_NAME_HASH,     /* 16 hexadecimal digits, perhaps after 0x */
    RESULT_NAME_TEXT      /* "stem_k3_s1_c16|...|head_c256", as architecture_text writes it */
};

struct result_name {
    enum result_name_kind kind;
    struct encoding encoding; /* of the kind RESULT_NAME_ENCODING only */
    uint64_t key;             /* the hash; of a text result_text_key */
};

/* -EINVAL with a sentence that says what is wrong with the name, "stage 3 has no choice 5; ...". */
int result_name_read(const char *name, const struct space *space, struct result_name *ret_name,
                     struct error *error) MUST_USE;

uint64_t result_text_key(const char *text);

#endif
