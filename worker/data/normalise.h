/* Bytes to floats: (byte / 255 - mean) / deviation, by channel. */
#ifndef WORKER_DATA_NORMALISE_H
#define WORKER_DATA_NORMALISE_H

#include <stddef.h>
#include <stdint.h>

enum { NORMALISE_LANES = 48 /* a multiple of every number of channels and of a vector's length */ };

struct normaliser {
    float scale[NORMALISE_LANES], offset[NORMALISE_LANES];
};

/* A value a channel, of pixels as 0 .. 1. */
struct normaliser normaliser_of(const double *mean, const double *deviation, uint32_t channels);

/* `count` bytes of whole pixels. */
void normaliser_run(const struct normaliser *normaliser, const uint8_t *bytes, size_t count,
                    float *ret_values);

#endif
