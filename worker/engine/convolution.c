#include "worker/engine/convolution.h"

#include <assert.h>
#include <stdio.h>

const char *convolution_pass_name(enum convolution_pass pass)
{
    static const char *const names[] = {"forward", "backward-data", "backward-filter"};
    assert(pass < CONVOLUTION_PASSES);
    return names[pass];
}

void convolution_text(const struct convolution *convolution, char ret_text[CONVOLUTION_TEXT_SIZE])
{
    snprintf(ret_text, CONVOLUTION_TEXT_SIZE, "%s%ux%u/%u batch %u, %u x %u px to %u x %u px",
             convolution->depthwise ? "depthwise" : "conv", convolution->kernel,
             convolution->kernel, convolution->stride, convolution->batch, convolution->in_channels,
             convolution->in_size, convolution->out_channels, convolution->out_size);
}

bool convolution_equal(const struct convolution *a, const struct convolution *b)
{
    return a->depthwise == b->depthwise && a->first == b->first && a->batch == b->batch &&
           a->in_channels == b->in_channels && a->out_channels == b->out_channels &&
           a->kernel == b->kernel && a->stride == b->stride && a->in_size == b->in_size &&
           a->out_size == b->out_size;
}

uint32_t convolution_pad_channels(uint32_t channels)
{
    return (channels + CONVOLUTION_CHANNEL_MULTIPLE - 1) / CONVOLUTION_CHANNEL_MULTIPLE *
           CONVOLUTION_CHANNEL_MULTIPLE;
}
