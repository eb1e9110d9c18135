/* Paths against patterns such as "/v1/searches/{id}:pause". */
#ifndef DAEMON_ROUTE_H
#define DAEMON_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "search/attributes.h"

enum { ROUTE_PARAMETERS_MAX = 2, ROUTE_PARAMETER_SIZE = 72 };

/* What stood in place of each {name}, in order. */
struct route_parameters {
    char text[ROUTE_PARAMETERS_MAX][ROUTE_PARAMETER_SIZE];
    size_t count;
};

/* A {name} stands for one or more characters other than '/' and ':', and fewer than ROUTE_PARAMETER_SIZE. The pattern has
 * at most ROUTE_PARAMETERS_MAX of them. *ret_parameters is written where the path matches. */
bool route_match(const char *pattern, const char *path, struct route_parameters *ret_parameters);

/* A decimal number of up to 18 digits, without sign or leading zeros. */
bool route_number(const char *text, uint64_t *ret_number) MUST_USE;

#endif
