/* Chooses among the instruction sets that the kernels were compiled for: x86-64. */
#include "worker/engine/onednn/kernels.h"

#include "search/attributes.h"

const struct kernels *kernels_at(size_t index)
{
    const struct kernels *sets[KERNELS_SETS_MAX + 1] = {NULL};
    size_t count = 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        sets[count++] = &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        sets[count++] = &kernels_avx2;
    sets[count++] = &kernels_baseline;
    return index < ARRAY_LENGTH(sets) ? sets[index] : NULL;
}

/* Processors with AMX have these instructions too. */
const struct kernels *kernels_bfloat(void)
{
    const bool has = kernels_at(0) == &kernels_avx512 && __builtin_cpu_supports("avx512bf16");
    return has ? &kernels_avx512_bf16 : NULL;
}
