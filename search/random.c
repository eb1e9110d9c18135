#include "search/random.h"

#include <assert.h>
#include <math.h>

enum { PHILOX_ROUNDS = 10 };

void random_philox(const uint32_t counter[4], const uint32_t key[2],
                   uint32_t ret_block[RANDOM_BLOCK_WORDS])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t product0 = UINT64_C(0xD2511F53) * c0;
        uint64_t product1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    ret_block[0] = c0;
    ret_block[1] = c1;
    ret_block[2] = c2;
    ret_block[3] = c3;
}

struct random_stream random_stream_of(uint64_t seed, uint64_t stream, enum random_purpose purpose)
{
    assert(purpose > 0 && purpose <= 255);
    return (struct random_stream){
        .seed = seed, .stream = stream, .purpose = purpose, .used = RANDOM_BLOCK_WORDS};
}

uint32_t random_u32(struct random_stream *stream)
{
    if (stream->used == RANDOM_BLOCK_WORDS) {
        uint32_t counter[4] = {(uint32_t)stream->counter,
                               (uint32_t)(stream->counter >> 32) | stream->purpose << 24,
                               (uint32_t)stream->stream, (uint32_t)(stream->stream >> 32)};
        uint32_t key[2] = {(uint32_t)stream->seed, (uint32_t)(stream->seed >> 32)};
        random_philox(counter, key, stream->block);
        stream->counter++;
        stream->used = 0;
    }
    return stream->block[stream->used++];
}

uint64_t random_u64(struct random_stream *stream)
{
    uint64_t low = random_u32(stream);
    return low | (uint64_t)random_u32(stream) << 32;
}

/* Lemire (2019): the high half of a product; the few low halves that would favour some values are
 * drawn again. */
uint64_t random_below(struct random_stream *stream, uint64_t bound)
{
    assert(bound > 0);
    uint64_t threshold = -bound % bound;
    unsigned __int128 product;
    do {
        product = (unsigned __int128)random_u64(stream) * bound;
    } while ((uint64_t)product < threshold);
    return (uint64_t)(product >> 64);
}

double random_unit(struct random_stream *stream)
{
    return (double)(random_u64(stream) >> 11) * 0x1p-53;
}

double random_normal(struct random_stream *stream)
{
    double radius = sqrt(-2.0 * log(1.0 - random_unit(stream)));
    return radius * cos(2.0 * M_PI * random_unit(stream));
}
