/* Compiler attributes under short names. May be included by everybody. */
#ifndef SEARCH_ATTRIBUTES_H
#define SEARCH_ATTRIBUTES_H

#define MUST_USE __attribute__((warn_unused_result))
#define FORMAT_PRINTF(format_index, first_index)                                                   \
    __attribute__((format(printf, format_index, first_index)))
/* Runs function(&variable) when the variable leaves its scope. */
#define CLEANUP(function) __attribute__((cleanup(function)))
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
