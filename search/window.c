#include "search/window.h"

uint64_t window_size(const struct spec *spec, uint64_t k, uint64_t accepted_count)
{
    if (!spec->deterministic)
        return accepted_count;
    return k < spec->parallel_max ? 0 : k - spec->parallel_max + 1;
}

uint64_t window_candidate(const struct spec *spec, const uint64_t *accepted, uint64_t index)
{
    return spec->deterministic ? index : accepted[index];
}

uint64_t window_awaited(const struct spec *spec, uint64_t k)
{
    return k < spec->parallel_max ? UINT64_MAX : k - spec->parallel_max;
}
