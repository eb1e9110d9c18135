/* One field of a valid value set to something wrong: rows of tables. */
#ifndef TESTS_UNIT_PROTO_CORRUPTION_H
#define TESTS_UNIT_PROTO_CORRUPTION_H

#include <stddef.h>
#include <stdint.h>

enum corruption_kind { CORRUPT_U32, CORRUPT_U64, CORRUPT_DOUBLE, CORRUPT_TEXT };

struct corruption {
    size_t offset; /* of the field in the value */
    enum corruption_kind kind;
    uint64_t number;     /* U32, U64 */
    double real;         /* DOUBLE */
    const char *text;    /* TEXT */
    const char *pointer; /* that the error must name */
    int code;            /* that the error must have */
};

#define U32(type, field, value, where)                                                             \
    {                                                                                              \
        .offset = offsetof(type, field), .kind = CORRUPT_U32, .number = (value),                   \
        .pointer = (where), .code = -EINVAL                                                        \
    }
#define U64(type, field, value, where)                                                             \
    {                                                                                              \
        .offset = offsetof(type, field), .kind = CORRUPT_U64, .number = (value),                   \
        .pointer = (where), .code = -EINVAL                                                        \
    }
#define REAL(type, field, value, where)                                                            \
    {                                                                                              \
        .offset = offsetof(type, field), .kind = CORRUPT_DOUBLE, .real = (value),                  \
        .pointer = (where), .code = -EINVAL                                                        \
    }
#define NOT_FINITE(type, field, value, where)                                                      \
    {                                                                                              \
        .offset = offsetof(type, field), .kind = CORRUPT_DOUBLE, .real = (value),                  \
        .pointer = (where), .code = -EDOM                                                          \
    }
#define TEXT(type, field, value, where)                                                            \
    {                                                                                              \
        .offset = offsetof(type, field), .kind = CORRUPT_TEXT, .text = (value),                    \
        .pointer = (where), .code = -EINVAL                                                        \
    }

/* Writes the wrong value into the field of `value`. */
void corrupt(void *value, const struct corruption *corruption);

#endif
