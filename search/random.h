/* Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): the value is a function of the
 * key and the counter, so the same seed gives the same numbers on every machine, in any order and
 * from any number of threads.
 *
 * The 64-bit key is the seed. The 128-bit counter is made of the stream's number (64 bits), the
 * purpose (8 bits) and the block's number (56 bits): no two (seed, stream, purpose) share a block.
 */
#ifndef SEARCH_RANDOM_H
#define SEARCH_RANDOM_H

#include <stdint.h>

/* What the numbers are for; two uses never share a stream. Values are fixed for good, at most 255.
 */
enum random_purpose {
    RANDOM_PROPOSAL = 1,
    RANDOM_MUTATION = 2,
    RANDOM_SPLIT = 3,   /* which images are held out */
    RANDOM_SHUFFLE = 4, /* order of images in an epoch */
    RANDOM_WEIGHTS = 5,
    RANDOM_AUGMENT = 6,
    RANDOM_DROPOUT = 7,
    RANDOM_CANDIDATE = 8, /* a candidate's training seed from the search's seed */
    RANDOM_STOCHASTIC_DEPTH = 9,
    RANDOM_CROP = 16,
    RANDOM_RANDAUGMENT = 17,
    RANDOM_MIX = 18,       /* mixup and cutmix */
    RANDOM_DIRECTION = 30, /* along which hypervolumes are estimated */
    RANDOM_CLIMB = 31,
    RANDOM_POLICY = 40,
    RANDOM_REHEARSED_RUN = 60, /* which of a table's runs an evaluation gives */
    RANDOM_FEASIBLE = 80       /* whether anything meets a search's limits */
};

enum { RANDOM_BLOCK_WORDS = 4 };

struct random_stream {
    uint64_t seed, stream;
    uint32_t purpose;
    uint32_t used;    /* words of block[] given out */
    uint64_t counter; /* number of the next block */
    uint32_t block[RANDOM_BLOCK_WORDS];
};

struct random_stream random_stream_of(uint64_t seed, uint64_t stream, enum random_purpose purpose);
uint32_t random_u32(struct random_stream *stream);
uint64_t random_u64(struct random_stream *stream);
uint64_t random_below(struct random_stream *stream,
                      uint64_t bound);            /* 0 .. bound - 1, unbiased; bound > 0 */
double random_unit(struct random_stream *stream); /* [0, 1), 53 bits */
/* Mean 0, variance 1. Uses log and cos, whose last digit depends on the C library. */
double random_normal(struct random_stream *stream);

/* The generator itself: 10 rounds on a counter under a key, least significant words first. */
void random_philox(const uint32_t counter[4], const uint32_t key[2],
                   uint32_t ret_block[RANDOM_BLOCK_WORDS]);

#endif
