/* Every kernel of one instruction set; kernels.h says what each does. */
#ifndef WORKER_ENGINE_ONEDNN_KERNELS_SET_H
#define WORKER_ENGINE_ONEDNN_KERNELS_SET_H

#include "worker/engine/onednn/kernels/lanes.h"

void KERNEL(norm_pivot)(const struct kernel_map *map, const void *z, float *ret_pivot);
void KERNEL(norm_sums)(const struct kernel_map *map, const void *z, const float *pivot, double *sum,
                       double *squares);
void KERNEL(norm_apply)(const struct kernel_map *map, const struct norm_apply *apply);
void KERNEL(norm_reduce)(const struct kernel_map *map, const struct norm_reduce *reduce);
void KERNEL(norm_dz)(const struct kernel_map *map, const struct norm_dz *dz);
size_t KERNEL(depthwise_scratch)(const struct depthwise_shape *shape);
void KERNEL(depthwise_forward)(const struct depthwise_shape *shape, const void *x, const float *w,
                               void *z, float *scratch);
void KERNEL(depthwise_backward_data)(const struct depthwise_shape *shape, const void *dz,
                                     const float *w, void *dx, float *scratch);
void KERNEL(depthwise_backward_weights)(const struct depthwise_shape *shape, const void *x,
                                        const void *dz, float *dw, float *scratch);
size_t KERNEL(stem_scratch)(const struct stem_shape *shape);
void KERNEL(stem_plain)(const struct stem_shape *shape, const float *x, void *ret_plain);
void KERNEL(stem_backward_weights)(const struct stem_shape *shape, const float *x, const void *dz,
                                   float *dw, float *scratch);
void KERNEL(map_mean)(const struct kernel_map *map, const void *x, float *ret_mean);
void KERNEL(gate_apply)(const struct kernel_map *map, const void *x, const float *gate,
                        void *ret_y);
void KERNEL(gate_reduce)(const struct kernel_map *map, const void *x, const void *dy,
                         float *ret_dgate);
void KERNEL(gate_spread)(const struct kernel_map *map, const float *gate, const float *addend,
                         void *d);
void KERNEL(map_fill)(const struct kernel_map *map, const float *addend, void *ret_d);
void KERNEL(silu)(size_t count, const float *x, float *ret_y);
void KERNEL(silu_backward)(size_t count, const float *x, const float *dy, float *ret_dx);
void KERNEL(sigmoid)(size_t count, const float *x, float *ret_y);
void KERNEL(linear_dot)(const struct kernel_linear *shape, const float *wide, const float *w,
                        const float *b, float *ret_narrow);
void KERNEL(linear_mix)(const struct kernel_linear *shape, const float *narrow, const float *w,
                        const float *b, float *ret_wide);
void KERNEL(linear_outer)(const struct kernel_linear *shape, const float *narrow, const float *wide,
                          float *dw);
void KERNEL(row_sums)(size_t rows, size_t count, const float *values, float *sums);

extern const struct kernels KERNEL(kernels);

#endif
