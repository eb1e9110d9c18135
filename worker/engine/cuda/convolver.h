/* Dense convolutions on a CUDA device, by cuDNN: maps and weights bfloat16, channels last and padded
 * to multiples of 8, sums in float, the gradient of the weights float, padding k/2.
 *
 * Order: convolver_new; convolver_prepare for every pass that a network needs, after convolver_tune
 * where plans shall be chosen by their times; convolver_run as often as wanted. Plans belong to the
 * convolver and live as long as it does. What convolver_run puts on the stream depends on nothing
 * that the host looks at, so it may be recorded in a graph. Only plans whose sums have one order are
 * used: the same inputs give the same bits. A convolver belongs to one thread and to the device that
 * was in use when it was made.
 *
 * tests/emulator has a second implementation, in plain C, for tests without a device. */
#ifndef WORKER_ENGINE_CUDA_CONVOLVER_H
#define WORKER_ENGINE_CUDA_CONVOLVER_H

#include "search/error.h"
#include "worker/engine/convolution.h"

#include <stdbool.h>
#include <stddef.h>

struct CUstream_st; /* cudaStream_t, for those who do not see CUDA's headers */
struct convolver;
struct convolver_plan;

/* Where a workspace must begin; the limit of one where nothing speaks for another. */
enum { CONVOLVER_ALIGNMENT = 256, CONVOLVER_WORKSPACE_MIB = 64 };

struct convolver_options {
    const char *cache_directory; /* must exist; NULL: plans are kept in memory alone */
    struct CUstream_st *stream;  /* outlives the convolver */
    size_t workspace_bytes_max;  /* of one pass of one convolution; 0: no limit */
};

/* -ENODEV without a device, -ENOMEM, -ENAMETOOLONG, -EIO. */
int convolver_new(const struct convolver_options *options, struct convolver **ret_convolver,
                  struct error *error) MUST_USE;
void convolver_free(struct convolver *convolver); /* and its plans */

/* The plan that was found to be the fastest, where convolver_tune has been run for this pass, here
 * or by a process that shares the directory; otherwise the first one of cuDNN's heuristics that fits.
 * The convolution is not depthwise. -ENOTSUP, the shape being named, where no plan fits into
 * workspace_bytes_max; -ENOMEM, -E2BIG, -EIO. */
int convolver_prepare(struct convolver *convolver, const struct convolution *convolution,
                      enum convolution_pass pass, const struct convolver_plan **ret_plan,
                      struct error *error) MUST_USE;

/* Bytes that convolver_run needs at `workspace`. */
size_t convolver_workspace(const struct convolver_plan *plan);

/* Device memory, aligned to 16 bytes. N images, H and W pixels and C channels in, P and Q pixels and
 * K channels out, R = S the kernel's size. Those that a pass does not name may be NULL.
 *
 *   forward          reads x (N, H, W, C) and weights (K, R, S, C), writes y (N, P, Q, K)
 *   backward-data    reads y (dy) and weights, writes x (dx)
 *   backward-filter  reads x and y (dy), writes dweights (K, R, S, C) */
struct convolver_tensors {
    void *x, *y, *weights; /* bfloat16 */
    float *dweights;
    bool add;        /* to the dweights that are there */
    void *workspace; /* aligned to CONVOLVER_ALIGNMENT, NULL where 0 bytes are needed */
};

/* Puts the plan's pass onto the stream. -ENOMEM, -EIO. */
int convolver_run(struct convolver *convolver, const struct convolver_plan *plan,
                  const struct convolver_tensors *tensors) MUST_USE;

/* Times what cuDNN offers for a pass, on real buffers whose outputs are lost, and keeps the fastest
 * for convolver_prepare, in the directory too; does nothing where that has been done before. Plans
 * handed out before stay as they are. Only plans that need at most `workspace_bytes` and fit the
 * options' limit take part. Waits for the device; not while the stream is being recorded. Errors of
 * convolver_prepare. */
int convolver_tune(struct convolver *convolver, const struct convolution *convolution,
                   enum convolution_pass pass, const struct convolver_tensors *tensors,
                   size_t workspace_bytes, struct error *error) MUST_USE;

#endif
