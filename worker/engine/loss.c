#include "worker/engine/loss.h"

#include <assert.h>
#include <math.h>

/* What one image should be. */
struct target {
    uint32_t label, partner;
    double share;
};

static struct target target_of(const struct loss_targets *targets, uint32_t image)
{
    const uint32_t label = targets->labels[image];
    if (!targets->partners)
        return (struct target){label, label, 1.0};
    return (struct target){label, targets->partners[image], (double)targets->shares[image]};
}

/* One image: returns its cross-entropy and writes the gradient. */
static double image_loss(const struct loss_options *options, const float *logits,
                         const struct target *target, float *ret_gradient)
{
    double largest = logits[0], sum = 0, mean = 0;
    for (uint32_t c = 1; c < options->classes; c++)
        largest = fmax(largest, logits[c]);
    for (uint32_t c = 0; c < options->classes; c++) {
        sum += exp(logits[c] - largest);
        mean += logits[c] / (double)options->classes;
    }
    const double log_sum = largest + log(sum);
    const double uniform = options->smoothing / options->classes, sharp = 1.0 - options->smoothing;
    for (uint32_t c = 0; ret_gradient && c < options->classes; c++) {
        const double mixture = (c == target->label ? target->share : 0.0) +
                               (c == target->partner ? 1.0 - target->share : 0.0);
        ret_gradient[c] = (float)(options->gradient_scale *
                                  (exp(logits[c] - log_sum) - (uniform + sharp * mixture)));
    }
    const double mixed =
        target->share * logits[target->label] + (1.0 - target->share) * logits[target->partner];
    return log_sum - sharp * mixed - options->smoothing * mean;
}

static bool image_correct(const float *logits, uint32_t classes, uint32_t label)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best == label;
}

struct batch_result loss_softmax(const struct loss_options *options,
                                 const struct loss_targets *targets, const float *logits,
                                 float *ret_gradient)
{
    struct batch_result result = {0};
    for (uint32_t n = 0; n < options->count; n++) {
        const struct target target = target_of(targets, n);
        assert(target.label < options->classes && target.partner < options->classes);
        const size_t at = (size_t)n * options->classes;
        result.loss +=
            image_loss(options, logits + at, &target, ret_gradient ? ret_gradient + at : NULL);
        result.correct += image_correct(logits + at, options->classes, target.label);
    }
    return result;
}
