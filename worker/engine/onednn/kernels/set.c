#include "worker/engine/onednn/kernels/set.h"

#define TEXT(token) TEXT_OF(token)
#define TEXT_OF(token) #token

const struct kernels KERNEL(kernels) = {
    .name = TEXT(KERNEL_SET),
    .lanes = KERNEL_LANES,
    .map_bytes = sizeof(mapped),
    .norm_pivot = KERNEL(norm_pivot),
    .norm_sums = KERNEL(norm_sums),
    .norm_apply = KERNEL(norm_apply),
    .norm_reduce = KERNEL(norm_reduce),
    .norm_dz = KERNEL(norm_dz),
    .depthwise_scratch = KERNEL(depthwise_scratch),
    .depthwise_forward = KERNEL(depthwise_forward),
    .depthwise_backward_data = KERNEL(depthwise_backward_data),
    .depthwise_backward_weights = KERNEL(depthwise_backward_weights),
    .stem_scratch = KERNEL(stem_scratch),
    .stem_plain = KERNEL(stem_plain),
    .stem_backward_weights = KERNEL(stem_backward_weights),
    .map_mean = KERNEL(map_mean),
    .map_fill = KERNEL(map_fill),
    .gate_apply = KERNEL(gate_apply),
    .gate_reduce = KERNEL(gate_reduce),
    .gate_spread = KERNEL(gate_spread),
    .silu = KERNEL(silu),
    .silu_backward = KERNEL(silu_backward),
    .sigmoid = KERNEL(sigmoid),
    .linear_dot = KERNEL(linear_dot),
    .linear_mix = KERNEL(linear_mix),
    .linear_outer = KERNEL(linear_outer),
    .row_sums = KERNEL(row_sums),
};
