/* The arithmetic of kernels/cross_entropy.cu. The logits of an image are shared out to the threads of a block: thread t has
 * t, t + CROSS_ENTROPY_THREADS, ... */
#ifndef KERNELS_CROSS_ENTROPY_BODY_H
#define KERNELS_CROSS_ENTROPY_BODY_H

#include "kernels/cross_entropy.h"

#include <float.h>

/* The largest logit, the first one of several. */
struct peak {
    float value;
    uint32_t place;
};

KERNEL_BODY struct peak peak_larger(struct peak a, struct peak b)
{
    const bool second = b.value > a.value || (b.value == a.value && b.place < a.place);
    return second ? b : a;
}

/* A thread's largest logit, and the sum of its logits. */
KERNEL_BODY struct peak cross_entropy_scan(const float *logits, uint32_t classes, uint32_t thread,
                                           double *ret_sum)
{
    struct peak peak = {-INFINITY, UINT32_MAX};
    double sum = 0;
    for (uint32_t c = thread; c < classes; c += CROSS_ENTROPY_THREADS) {
        const struct peak here = {logits[c], c};
        peak = peak_larger(peak, here);
        sum += (double)here.value;
    }
    *ret_sum = sum;
    return peak;
}

/* A level of the tree, as tree_level. */
KERNEL_BODY void peak_level(struct peak *peaks, uint32_t thread, uint32_t active)
{
    const uint32_t half = tree_half(active);
    if (thread + half < active)
        peaks[thread] = peak_larger(peaks[thread], peaks[thread + half]);
}

KERNEL_BODY double cross_entropy_exponentials(const float *logits, uint32_t classes,
                                              uint32_t thread, float largest)
{
    double sum = 0;
    for (uint32_t c = thread; c < classes; c += CROSS_ENTROPY_THREADS)
        sum += (double)expf(logits[c] - largest);
    return sum;
}

/* What is known of an image when its block has added up. */
struct cross_entropy_totals {
    struct peak peak;
    double logits, exponentials;
};

/* What an image should be; share is that of label. */
struct cross_entropy_target {
    uint32_t label, partner;
    float share;
};

KERNEL_BODY struct cross_entropy_target cross_entropy_target_of(const struct cross_entropy *loss,
                                                                uint32_t image)
{
    struct cross_entropy_target target = {loss->labels[image], loss->labels[image], 1.0f};
    if (loss->partners) {
        target.partner = loss->partners[image];
        target.share = loss->shares[image];
    }
    return target;
}

KERNEL_BODY struct cross_entropy_sum cross_entropy_image_of(
    const struct cross_entropy_options *options, const float *logits,
    struct cross_entropy_target target, const struct cross_entropy_totals *totals)
{
    const uint32_t classes = options->classes;
    const double share = (double)target.share, smoothing = options->smoothing;
    const double log_sum = (double)totals->peak.value + log(totals->exponentials);
    struct cross_entropy_sum image = {(double)NAN, totals->peak.place == target.label};
    if (target.label >= classes || target.partner >= classes)
        return image;
    const double mixed =
        share * (double)logits[target.label] + (1.0 - share) * (double)logits[target.partner];
    image.loss = log_sum - (1.0 - smoothing) * mixed - smoothing * totals->logits / classes;
    return image;
}

/* A thread's part of the gradient of one image. */
KERNEL_BODY void cross_entropy_gradient(const struct cross_entropy_options *options,
                                        const float *logits, struct cross_entropy_target target,
                                        const struct cross_entropy_totals *totals, uint32_t thread,
                                        float *ret_gradient)
{
    const float scale = (float)options->gradient_scale, share = target.share;
    const float inverse = (float)(1.0 / totals->exponentials);
    const float uniform = (float)(options->smoothing / options->classes);
    const float sharp = (float)(1.0 - options->smoothing);
    for (uint32_t c = thread; c < options->classes; c += CROSS_ENTROPY_THREADS) {
        const float mixture =
            (c == target.label ? share : 0.0f) + (c == target.partner ? 1.0f - share : 0.0f);
        const float probability = expf(logits[c] - totals->peak.value) * inverse;
        ret_gradient[c] = scale * (probability - (uniform + sharp * mixture));
    }
}

/* A thread's share of the images, in the last block. */
KERNEL_BODY void cross_entropy_partials(const struct cross_entropy_sum *images, uint32_t count,
                                        uint32_t thread, double *ret_loss, double *ret_correct)
{
    double loss = 0, correct = 0;
    for (uint32_t n = thread; n < count; n += CROSS_ENTROPY_THREADS) {
        loss += images[n].loss;
        correct += (double)images[n].correct;
    }
    *ret_loss = loss;
    *ret_correct = correct;
}

KERNEL_BODY void cross_entropy_finish(bool first, double loss, double correct,
                                      const struct cross_entropy *to)
{
    const struct cross_entropy_sum none = {0, 0};
    struct cross_entropy_sum sum = first ? none : *to->ret_sum;
    sum.loss += loss;
    sum.correct += (uint64_t)correct;
    *to->ret_sum = sum;
    if (to->control && !(fabs(sum.loss) <= DBL_MAX))
        to->control->refused |= STEP_LOSS_NOT_FINITE;
}

#endif
