#include "worker/engine/loss.h"

#include <assert.h>
#include <math.h>

/* One image: returns its cross-entropy and writes the gradient. */
static double image_loss(const struct loss_options *options, const float *logits, uint32_t label,
                         float *ret_gradient)
{
    double largest = logits[0], sum = 0, mean = 0;
    for (uint32_t c = 1; c < options->classes; c++)
        largest = fmax(largest, logits[c]);
    for (uint32_t c = 0; c < options->classes; c++) {
        sum += exp(logits[c] - largest);
        mean += logits[c] / (double)options->classes;
    }
    const double log_sum = largest + log(sum);
    const double uniform = options->smoothing / options->classes;
    for (uint32_t c = 0; ret_gradient && c < options->classes; c++) {
        const double target = uniform + (c == label ? 1.0 - options->smoothing : 0.0);
        ret_gradient[c] = (float)(options->gradient_scale * (exp(logits[c] - log_sum) - target));
    }
    return log_sum - (1.0 - options->smoothing) * logits[label] - options->smoothing * mean;
}

static bool image_correct(const float *logits, uint32_t classes, uint32_t label)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best == label;
}

struct batch_result loss_softmax(const struct loss_options *options, const float *logits,
                                 const uint32_t *labels, float *ret_gradient)
{
    struct batch_result result = {0};
    for (uint32_t n = 0; n < options->count; n++) {
        assert(labels[n] < options->classes);
        const size_t at = (size_t)n * options->classes;
        result.loss +=
            image_loss(options, logits + at, labels[n], ret_gradient ? ret_gradient + at : NULL);
        result.correct += image_correct(logits + at, options->classes, labels[n]);
    }
    return result;
}
