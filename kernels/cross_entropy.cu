#include "kernels/cross_entropy_body.h"
#include "kernels/launch.cuh"
#include "kernels/tree.cuh"

#include <assert.h>

/* peaks (CROSS_ENTROPY_THREADS) -> peaks[0], as tree_sum */
__device__ static void peak_tree(struct peak *peaks)
{
    for (uint32_t active = CROSS_ENTROPY_THREADS; active > 1; active = tree_half(active)) {
        __syncthreads();
        peak_level(peaks, threadIdx.x, active);
    }
    __syncthreads();
}

/* A block an image: logits (count, classes) -> images (count), gradient (count, classes) */
__global__ static void __launch_bounds__(CROSS_ENTROPY_THREADS)
    image_kernel(struct cross_entropy_options options, struct cross_entropy loss)
{
    __shared__ struct peak peaks[CROSS_ENTROPY_THREADS];
    __shared__ double sums[CROSS_ENTROPY_THREADS], exponentials[CROSS_ENTROPY_THREADS];
    const uint32_t thread = threadIdx.x, classes = options.classes;
    const size_t at = (size_t)blockIdx.x * classes;
    const float *logits = loss.logits + at;
    const struct cross_entropy_target target = cross_entropy_target_of(&loss, blockIdx.x);
    peaks[thread] = cross_entropy_scan(logits, classes, thread, &sums[thread]);
    peak_tree(peaks);
    tree_sum(sums, CROSS_ENTROPY_THREADS);
    exponentials[thread] = cross_entropy_exponentials(logits, classes, thread, peaks[0].value);
    tree_sum(exponentials, CROSS_ENTROPY_THREADS);
    const struct cross_entropy_totals totals = {peaks[0], sums[0], exponentials[0]};
    if (thread == 0)
        loss.images[blockIdx.x] = cross_entropy_image_of(&options, logits, target, &totals);
    if (loss.ret_gradient)
        cross_entropy_gradient(&options, logits, target, &totals, thread, loss.ret_gradient + at);
}

/* One block: images (count) -> *ret_sum, *control */
__global__ static void __launch_bounds__(CROSS_ENTROPY_THREADS)
    sum_kernel(uint32_t count, bool first, struct cross_entropy loss)
{
    __shared__ double losses[CROSS_ENTROPY_THREADS], correct[CROSS_ENTROPY_THREADS];
    const uint32_t thread = threadIdx.x;
    cross_entropy_partials(loss.images, count, thread, &losses[thread], &correct[thread]);
    tree_sum(losses, CROSS_ENTROPY_THREADS);
    tree_sum(correct, CROSS_ENTROPY_THREADS);
    if (thread == 0)
        cross_entropy_finish(first, losses[0], correct[0], &loss);
}

int cross_entropy_launch(const struct cross_entropy_options *options,
                         const struct cross_entropy *loss, struct CUstream_st *stream)
{
    assert(options->count > 0 && options->classes > 0);
    assert(options->smoothing >= 0 && options->smoothing <= 1);
    assert(!loss->partners || loss->shares);
    if (launch(image_kernel, options->count, CROSS_ENTROPY_THREADS, 0, stream, *options, *loss) < 0)
        return -EIO;
    return launch(sum_kernel, 1, CROSS_ENTROPY_THREADS, 0, stream, options->count, options->first,
                  *loss);
}
