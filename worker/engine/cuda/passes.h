/* What the forward and the backward pass share: a unit's tensors and parameters as the kernels' launchers want them. All
 * pointers are of tensors that the launch has named. Private to cuda/. */
#ifndef WORKER_ENGINE_CUDA_PASSES_H
#define WORKER_ENGINE_CUDA_PASSES_H

#include "kernels/depthwise.h"
#include "kernels/squeeze.h"
#include "worker/engine/cuda/program.h"

/* ---- while the schedule is made ---- */

/* The map that a unit's convolution reads; not for INPUT_NORMALISED. */
uint32_t unit_input_map(const struct cuda_program *program, const struct unit *unit);
/* The map that is added to a unit's z, or TENSOR_NONE. */
uint32_t unit_residual(const struct cuda_program *program, const struct unit *unit);
size_t unit_pixels(const struct unit *unit); /* of a map that it makes */

/* What unit_norm needs, but for the unit's y. */
void launch_reads_norm(struct cuda_program *program, const struct unit *unit);
void launch_reads_depthwise_input(struct cuda_program *program, const struct unit *unit);

/* TENSOR_NONE where the plan needs none. */
uint32_t workspace_add(struct cuda_program *program, uint32_t unit, enum convolution_pass pass);

/* Of a unit's partial sums in the backward pass, whoever makes them. */
uint32_t backward_slices(const struct cuda_program *program, const struct unit *unit);

struct batch_norm_shape unit_norm_shape(const struct cuda_program *program,
                                        const struct unit *unit);
struct depthwise_shape unit_depthwise_shape(const struct cuda_program *program,
                                            const struct unit *unit);

/* ---- while it runs ---- */

/* The normalisation of a unit's y with the parameters in use; y and the partial sums may be missing. */
struct batch_norm unit_norm(const struct cuda_program *program, const struct launch *launch,
                            const struct unit *unit);
struct batch_norm_running unit_running(const struct cuda_program *program,
                                       const struct launch *launch, const struct unit *unit);
struct depthwise_input unit_depthwise_input(const struct cuda_program *program,
                                            const struct launch *launch, const struct unit *unit);
struct squeeze unit_squeeze(const struct cuda_program *program, const struct launch *launch,
                            const struct unit *unit);

/* Factors of stochastic depth and of dropout, NULL where nothing is dropped. */
const float *unit_branch(const struct cuda_program *program, const struct launch *launch,
                         const struct unit *unit);
const float *features_in_use(const struct cuda_program *program, const struct launch *launch);

#endif
