#include "worker/agent_backoff.h"

#include <assert.h>

uint32_t backoff_next_ms(struct backoff *backoff, uint64_t random_bits)
{
    assert(backoff->first_ms >= 2 && backoff->first_ms <= backoff->max_ms);
    uint32_t full = backoff->next_ms ? backoff->next_ms : backoff->first_ms;
    backoff->next_ms = full > backoff->max_ms / 2 ? backoff->max_ms : 2 * full;
    uint32_t half = full / 2;
    return full - (uint32_t)(random_bits % (half + 1));
}

void backoff_reset(struct backoff *backoff)
{
    backoff->next_ms = 0;
}
