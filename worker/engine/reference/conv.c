#include "worker/engine/reference/ops.h"

/* The rows or columns of a kernel that lie on the image, for one output row or column. */
struct span {
    uint32_t first, end; /* of the kernel */
    int64_t at;          /* image row of kernel row 0; negative on the padding */
};

static struct span span_of(const struct conv_shape *shape, uint32_t out)
{
    struct span span = {.at = (int64_t)out * shape->stride - shape->kernel / 2,
                        .end = shape->kernel};
    if (span.at < 0)
        span.first = (uint32_t)-span.at;
    if (span.at + shape->kernel > shape->in_size)
        span.end = (uint32_t)(shape->in_size - span.at);
    return span;
}

/* One output pixel: where it is, and which part of the kernel counts. */
struct pixel {
    size_t x; /* offset of the image that it reads */
    size_t y; /* offset of its first channel */
    struct span rows, columns;
};

static size_t pixel_count(const struct conv_shape *shape)
{
    return (size_t)shape->batch * shape->out_size * shape->out_size;
}

static struct pixel pixel_at(const struct conv_shape *shape, size_t index)
{
    const size_t column = index % shape->out_size, row = index / shape->out_size % shape->out_size;
    const size_t image = index / shape->out_size / shape->out_size;
    return (struct pixel){.x = image * shape->in_size * shape->in_size * shape->in_channels,
                          .y = index * shape->out_channels,
                          .rows = span_of(shape, (uint32_t)row),
                          .columns = span_of(shape, (uint32_t)column)};
}

/* Offset in x of the first channel under kernel position (i, j). */
static size_t under(const struct conv_shape *shape, const struct pixel *pixel, uint32_t i,
                    uint32_t j)
{
    const size_t row = (size_t)(pixel->rows.at + i), column = (size_t)(pixel->columns.at + j);
    return pixel->x + (row * shape->in_size + column) * shape->in_channels;
}

/* Sum over the kernel and all input channels; w is one output channel's (in, k, k). */
static double conv_sum(const struct conv_shape *shape, const struct pixel *pixel, const float *x,
                       const float *w)
{
    const uint32_t k = shape->kernel;
    double sum = 0;
    for (uint32_t i = pixel->rows.first; i < pixel->rows.end; i++)
        for (uint32_t j = pixel->columns.first; j < pixel->columns.end; j++) {
            const float *at = x + under(shape, pixel, i, j);
            for (uint32_t c = 0; c < shape->in_channels; c++)
                sum += (double)at[c] * w[(c * k + i) * k + j];
        }
    return sum;
}

void conv_forward(const struct conv_shape *shape, const float *x, const float *w, float *ret_y)
{
    const size_t filter = (size_t)shape->in_channels * shape->kernel * shape->kernel;
    for (size_t p = 0; p < pixel_count(shape); p++) {
        const struct pixel pixel = pixel_at(shape, p);
        for (uint32_t o = 0; o < shape->out_channels; o++)
            ret_y[pixel.y + o] = (float)conv_sum(shape, &pixel, x, w + o * filter);
    }
}

/* dy of one output channel of one pixel, spread over the image. */
static void conv_spread(const struct conv_shape *shape, const struct pixel *pixel, float dy,
                        const float *w, float *dx)
{
    const uint32_t k = shape->kernel;
    for (uint32_t i = pixel->rows.first; i < pixel->rows.end; i++)
        for (uint32_t j = pixel->columns.first; j < pixel->columns.end; j++) {
            float *at = dx + under(shape, pixel, i, j);
            for (uint32_t c = 0; c < shape->in_channels; c++)
                at[c] += dy * w[(c * k + i) * k + j];
        }
}

/* d loss / d w[o, c, i, j]: the sum over all output pixels. */
static double conv_weight(const struct conv_shape *shape, const float *x, const float *dy,
                          const uint32_t at[4])
{
    double sum = 0;
    for (size_t p = 0; p < pixel_count(shape); p++) {
        const struct pixel pixel = pixel_at(shape, p);
        if (at[2] < pixel.rows.first || at[2] >= pixel.rows.end || at[3] < pixel.columns.first ||
            at[3] >= pixel.columns.end)
            continue;
        sum += (double)dy[pixel.y + at[0]] * x[under(shape, &pixel, at[2], at[3]) + at[1]];
    }
    return sum;
}

void conv_backward(const struct conv_shape *shape, const float *x, const float *w, const float *dy,
                   float *dx, float *dw)
{
    const uint32_t k = shape->kernel, in = shape->in_channels;
    const size_t filter = (size_t)in * k * k;
    for (size_t p = 0; dx && p < pixel_count(shape); p++) {
        const struct pixel pixel = pixel_at(shape, p);
        for (uint32_t o = 0; o < shape->out_channels; o++)
            conv_spread(shape, &pixel, dy[pixel.y + o], w + o * filter, dx);
    }
    for (size_t index = 0; index < filter * shape->out_channels; index++) {
        const uint32_t at[4] = {(uint32_t)(index / filter), (uint32_t)(index / k / k % in),
                                (uint32_t)(index / k % k), (uint32_t)(index % k)};
        dw[index] += (float)conv_weight(shape, x, dy, at);
    }
}

void depthwise_forward(const struct conv_shape *shape, const float *x, const float *w, float *ret_y)
{
    const uint32_t k = shape->kernel;
    for (size_t p = 0; p < pixel_count(shape); p++) {
        const struct pixel pixel = pixel_at(shape, p);
        for (uint32_t c = 0; c < shape->out_channels; c++) {
            double sum = 0;
            for (uint32_t i = pixel.rows.first; i < pixel.rows.end; i++)
                for (uint32_t j = pixel.columns.first; j < pixel.columns.end; j++)
                    sum += (double)x[under(shape, &pixel, i, j) + c] * w[(c * k + i) * k + j];
            ret_y[pixel.y + c] = (float)sum;
        }
    }
}

/* d loss / d w[c, i, j] */
static double depthwise_weight(const struct conv_shape *shape, const float *x, const float *dy,
                               const uint32_t at[3])
{
    return conv_weight(shape, x, dy, (const uint32_t[4]){at[0], at[0], at[1], at[2]});
}

void depthwise_backward(const struct conv_shape *shape, const float *x, const float *w,
                        const float *dy, float *dx, float *dw)
{
    const uint32_t k = shape->kernel, channels = shape->out_channels;
    for (size_t p = 0; dx && p < pixel_count(shape); p++) {
        const struct pixel pixel = pixel_at(shape, p);
        for (uint32_t c = 0; c < channels; c++)
            for (uint32_t i = pixel.rows.first; i < pixel.rows.end; i++)
                for (uint32_t j = pixel.columns.first; j < pixel.columns.end; j++)
                    dx[under(shape, &pixel, i, j) + c] += dy[pixel.y + c] * w[(c * k + i) * k + j];
    }
    for (size_t index = 0; index < (size_t)channels * k * k; index++) {
        const uint32_t at[3] = {(uint32_t)(index / k / k), (uint32_t)(index / k % k),
                                (uint32_t)(index % k)};
        dw[index] += (float)depthwise_weight(shape, x, dy, at);
    }
}
