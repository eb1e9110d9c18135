/* Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019) of a batch, as google/automl does them. The partner of an image is
 * the one at its place in the batch reversed. With both on, the first half of the batch is mixed up and the rest cut and
 * mixed, each half reversed within itself. docs/augmentation.md has each decision. */
#ifndef WORKER_DATA_MIX_H
#define WORKER_DATA_MIX_H

#include "search/random.h"
#include "search/transform.h"

#include <stdint.h>

struct mix_batch {
    float *images; /* (count, size, size, channels) */
    uint32_t count, size, channels;
    const uint32_t *labels;  /* (count) */
    const uint32_t *numbers; /* (count) of the images, distinct: what is drawn goes by them */
    uint32_t *partners;      /* (count) written: labels of the partners */
    float *shares;           /* (count) written: what remains of each image and its label */
};

struct mix_rules {
    double mixup, cutmix; /* alpha of Beta(alpha, alpha); 0 = off */
    uint64_t seed;
    uint32_t epoch;
};

/* What becomes of the image `number` at place `place` of a batch of `count` images of `size` pixels. */
struct mixing mix_draw(const struct mix_rules *rules, uint32_t place, uint32_t number,
                       uint32_t count, uint32_t size);

/* Draws and applies, in place. With both off every image is its own partner. */
void mix_run(const struct mix_batch *batch, const struct mix_rules *rules);

/* Beta(alpha, alpha), alpha > 0: of two gamma variates (Marsaglia and Tsang 2000), Johnk's (1964) up to alpha 1. */
double mix_beta(struct random_stream *stream, double alpha);

/* The part that the partner shows through: its side is sqrt(1 - kept) of the image's, its middle uniform, clipped. */
struct mix_box mix_box_draw(struct random_stream *stream, double kept, uint32_t size);

#endif
