/* Convolutions as plain values: what a plan of a device library is made for. */
#ifndef WORKER_ENGINE_CONVOLUTION_H
#define WORKER_ENGINE_CONVOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONVOLUTION_CHANNEL_MULTIPLE = 8, CONVOLUTION_TEXT_SIZE = 96 };

/* k x k, padding k/2 on every side, no bias; x (batch, in_size, in_size, in_channels), y (batch, out_size, out_size,
 * out_channels), weights (out_channels, in_channels or 1, kernel, kernel). Depthwise: as many channels in as out. */
struct convolution {
    bool depthwise;
    bool first; /* reads the images: its backward-data pass is never needed */
    uint32_t batch, in_channels, out_channels, kernel, stride, in_size, out_size;
};

enum convolution_pass {
    CONVOLUTION_FORWARD,
    CONVOLUTION_BACKWARD_DATA,
    CONVOLUTION_BACKWARD_FILTER,
    CONVOLUTION_PASSES
};

const char *convolution_pass_name(
    enum convolution_pass pass); /* "forward", "backward-data", "backward-filter" */

/* "conv3x3/2 batch 256, 24 x 150 px to 48 x 75 px": channels and pixels a side. Different convolutions have different
 * texts, `first` aside. */
void convolution_text(const struct convolution *convolution, char ret_text[CONVOLUTION_TEXT_SIZE]);

bool convolution_equal(const struct convolution *a, const struct convolution *b);

/* Channels rounded up to what tensor cores take; the additional ones are zero. */
uint32_t convolution_pad_channels(uint32_t channels);

#endif
