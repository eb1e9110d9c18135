/* A small pack, its split and a loader for tests of batches. Failures end the test. */
#ifndef TESTS_UNIT_WORKER_DATA_LOADING_H
#define TESTS_UNIT_WORKER_DATA_LOADING_H

#include "tests/unit/worker/fixture.h"
#include "worker/data/loader.h"

enum { SIZE = 6, PIXELS = SIZE * SIZE, BATCH = 8, TRAIN = 50, VALIDATION = 19, LARGE = 9 };
enum { STEPS = TRAIN / BATCH, PIXELS_MAX = 16 * 16 };

/* Grey images of SIZE pixels: LOADED of them, of four classes. */
enum { LOADED = 80 };

struct loading {
    struct pack *pack;
    struct split split;
    struct loader *loader;
};

void loading_init(void **state, struct loading *loading, const struct recipe *recipe,
                  uint32_t image_size, uint64_t seed);
void loading_release(struct loading *loading);
/* A byte of the pack, normalised. */
double loading_value(const struct loading *loading, double byte);

/* Room for a batch at any size. */
struct filled {
    float images[BATCH * PIXELS_MAX];
    uint32_t labels[BATCH], partners[BATCH];
    float shares[BATCH];
};

/* 0 where nothing is written. */
void fill_train(struct loader *loader, uint64_t step, struct filled *ret_filled);
void fill_validation(struct loader *loader, uint64_t index, struct filled *ret_filled);

/* All that augments. */
extern const struct recipe everything;

#endif
