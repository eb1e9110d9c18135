/* The random numbers of search/random.h on the device: the value of any word of a stream, by its
 * number. */
#ifndef KERNELS_PHILOX_H
#define KERNELS_PHILOX_H

#include "kernels/portable.h"

enum { PHILOX_WORDS = 4, PHILOX_ROUNDS = 10 };

struct philox_block {
    uint32_t words[PHILOX_WORDS];
};

/* Words 4 number .. 4 number + 3 of the stream of (seed, stream, purpose). */
KERNEL_BODY struct philox_block philox_block_of(uint64_t seed, uint64_t stream, uint32_t purpose,
                                                uint64_t number)
{
    uint32_t c0 = (uint32_t)number, c1 = (uint32_t)(number >> 32) | purpose << 24;
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    struct philox_block block;
    block.words[0] = c0;
    block.words[1] = c1;
    block.words[2] = c2;
    block.words[3] = c3;
    return block;
}

#endif
