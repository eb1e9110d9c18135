/* How long to wait before trying again: doubling, capped, jittered. A plain value without clock or randomness. */
#ifndef WORKER_AGENT_BACKOFF_H
#define WORKER_AGENT_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms; /* the first wait, at most */
    uint32_t max_ms;   /* the longest one */
    uint32_t next_ms;  /* 0 after a success */
};

/* The next wait: between half and all of first_ms, 2 x first_ms, ... max_ms, chosen by `random_bits`. */
uint32_t backoff_next_ms(struct backoff *backoff, uint64_t random_bits);
void backoff_reset(struct backoff *backoff);

#endif
