#include "worker/data/resize.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct resizer {
    uint32_t in_size, out_size, channels;
    uint32_t taps;   /* an output pixel */
    uint32_t *start; /* (out_size) first input pixel */
    float *weights;  /* (out_size, taps) sum to 1; taps past the edge weigh 0 and start + tap stays
                        inside */
    float *rows;     /* (in_size, out_size, channels) resized along x only */
};

/* The weights of output pixel `out`. */
static void resizer_set_taps(struct resizer *resizer, uint32_t out)
{
    double scale = (double)resizer->in_size / resizer->out_size;
    double reach = scale > 1 ? scale : 1;
    double centre = (out + 0.5) * scale - 0.5;
    double first = ceil(centre - reach);
    double last_start = (double)resizer->in_size - resizer->taps;
    uint32_t start = (uint32_t)fmax(0, fmin(first, last_start));
    float *weights = resizer->weights + (size_t)out * resizer->taps;
    double sum = 0;
    for (uint32_t t = 0; t < resizer->taps; t++)
        sum += fmax(0, 1 - fabs(start + t - centre) / reach);
    for (uint32_t t = 0; t < resizer->taps; t++)
        weights[t] = (float)(fmax(0, 1 - fabs(start + t - centre) / reach) / sum);
    resizer->start[out] = start;
}

int resizer_new(uint32_t in_size, uint32_t out_size, uint32_t channels,
                struct resizer **ret_resizer)
{
    struct resizer *resizer = calloc(1, sizeof *resizer);
    if (!resizer)
        return -ENOMEM;
    double scale = (double)in_size / out_size;
    uint32_t taps = 2 * (uint32_t)ceil(scale > 1 ? scale : 1);
    resizer->in_size = in_size;
    resizer->out_size = out_size;
    resizer->channels = channels;
    resizer->taps = taps < in_size ? taps : in_size;
    resizer->start = calloc(out_size, sizeof *resizer->start);
    resizer->weights = calloc((size_t)out_size * resizer->taps, sizeof *resizer->weights);
    resizer->rows = calloc((size_t)in_size * out_size * channels, sizeof *resizer->rows);
    if (!resizer->start || !resizer->weights || !resizer->rows) {
        resizer_free(resizer);
        return -ENOMEM;
    }
    for (uint32_t out = 0; out < out_size; out++)
        resizer_set_taps(resizer, out);
    *ret_resizer = resizer;
    return 0;
}

void resizer_free(struct resizer *resizer)
{
    if (!resizer)
        return;
    free(resizer->start);
    free(resizer->weights);
    free(resizer->rows);
    free(resizer);
}

/* One row of the image along x: (in_size, channels) bytes to (out_size, channels). */
static void resize_row(const struct resizer *resizer, const uint8_t *in, float *ret_out)
{
    const uint32_t channels = resizer->channels;
    for (uint32_t x = 0; x < resizer->out_size; x++) {
        const float *weights = resizer->weights + (size_t)x * resizer->taps;
        const uint8_t *from = in + (size_t)resizer->start[x] * channels;
        for (uint32_t c = 0; c < channels; c++) {
            float sum = 0;
            for (uint32_t t = 0; t < resizer->taps; t++)
                sum += weights[t] * from[t * channels + c];
            ret_out[x * channels + c] = sum;
        }
    }
}

void resizer_run(struct resizer *resizer, const uint8_t *image, float *ret_image)
{
    const size_t in_row = (size_t)resizer->in_size * resizer->channels;
    const size_t out_row = (size_t)resizer->out_size * resizer->channels;
    for (uint32_t y = 0; y < resizer->in_size; y++)
        resize_row(resizer, image + y * in_row, resizer->rows + y * out_row);
    for (uint32_t y = 0; y < resizer->out_size; y++) {
        const float *weights = resizer->weights + (size_t)y * resizer->taps;
        const float *from = resizer->rows + resizer->start[y] * out_row;
        float *to = ret_image + y * out_row;
        for (size_t i = 0; i < out_row; i++)
            to[i] = 0;
        for (uint32_t t = 0; t < resizer->taps; t++)
            for (size_t i = 0; i < out_row; i++)
                to[i] += weights[t] * from[t * out_row + i];
    }
}
