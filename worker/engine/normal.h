/* Many normally distributed floats at a time, for initial weights: Box and Muller's method with polynomials instead of libm,
 * several times as fast, and the same bits whatever libm the machine has. */
#ifndef WORKER_ENGINE_NORMAL_H
#define WORKER_ENGINE_NORMAL_H

#include "search/random.h"

#include <stddef.h>

/* `count` values of N(0, deviation^2) to six digits. Takes whole groups of NORMAL_GROUP numbers from the stream, one of 32
 * bits a value: values lie within 5.8 deviations. */
enum { NORMAL_GROUP = 32 };
void normal_fill(struct random_stream *stream, float deviation, size_t count, float *ret_values);

#endif
