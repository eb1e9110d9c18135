#include "worker/engine/reference/ops.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

void silu_forward(size_t count, const float *x, float *ret_y)
{
    for (size_t i = 0; i < count; i++)
        ret_y[i] = (float)(x[i] * sigmoid(x[i]));
}

void silu_backward(size_t count, const float *x, const float *dy, float *dx)
{
    for (size_t i = 0; i < count; i++) {
        const double s = sigmoid(x[i]);
        dx[i] += (float)(dy[i] * s * (1.0 + x[i] * (1.0 - s)));
    }
}

void sigmoid_forward(size_t count, const float *x, float *ret_y)
{
    for (size_t i = 0; i < count; i++)
        ret_y[i] = (float)sigmoid(x[i]);
}

void sigmoid_backward(size_t count, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < count; i++)
        dx[i] += dy[i] * y[i] * (1.0f - y[i]);
}

void accumulate(size_t count, const float *from, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

void mean_forward(const struct map_shape *shape, const float *x, float *ret_y)
{
    for (uint32_t n = 0; n < shape->batch; n++)
        for (uint32_t c = 0; c < shape->channels; c++) {
            double sum = 0;
            for (size_t p = 0; p < shape->pixels; p++)
                sum += x[(n * shape->pixels + p) * shape->channels + c];
            ret_y[(size_t)n * shape->channels + c] = (float)(sum / (double)shape->pixels);
        }
}

void mean_backward(const struct map_shape *shape, const float *dy, float *dx)
{
    const float share = 1.0f / (float)shape->pixels;
    for (uint32_t n = 0; n < shape->batch; n++)
        for (size_t p = 0; p < shape->pixels; p++)
            for (uint32_t c = 0; c < shape->channels; c++)
                dx[(n * shape->pixels + p) * shape->channels + c] +=
                    share * dy[(size_t)n * shape->channels + c];
}

void gate_forward(const struct map_shape *shape, const float *x, const float *gate, float *ret_y)
{
    for (uint32_t n = 0; n < shape->batch; n++)
        for (size_t p = 0; p < shape->pixels; p++)
            for (uint32_t c = 0; c < shape->channels; c++) {
                const size_t at = (n * shape->pixels + p) * shape->channels + c;
                ret_y[at] = x[at] * gate[(size_t)n * shape->channels + c];
            }
}

void gate_backward(const struct map_shape *shape, const float *x, const float *gate,
                   const float *dy, float *dx, float *dgate)
{
    for (uint32_t n = 0; n < shape->batch; n++)
        for (uint32_t c = 0; c < shape->channels; c++) {
            const size_t of = (size_t)n * shape->channels + c;
            double sum = 0;
            for (size_t p = 0; p < shape->pixels; p++) {
                const size_t at = (n * shape->pixels + p) * shape->channels + c;
                sum += (double)dy[at] * x[at];
                dx[at] += dy[at] * gate[of];
            }
            dgate[of] += (float)sum;
        }
}

void linear_forward(const struct linear_shape *shape, const float *x, const float *w,
                    const float *b, float *ret_y)
{
    for (uint32_t n = 0; n < shape->batch; n++)
        for (uint32_t o = 0; o < shape->out; o++) {
            double sum = b[o];
            for (uint32_t i = 0; i < shape->in; i++)
                sum += (double)x[(size_t)n * shape->in + i] * w[(size_t)o * shape->in + i];
            ret_y[(size_t)n * shape->out + o] = (float)sum;
        }
}

void linear_backward(const struct linear_shape *shape, const float *x, const float *w,
                     const float *dy, const struct linear_gradients *gradients)
{
    for (uint32_t n = 0; n < shape->batch; n++)
        for (uint32_t o = 0; o < shape->out; o++) {
            const float d = dy[(size_t)n * shape->out + o];
            gradients->db[o] += d;
            for (uint32_t i = 0; i < shape->in; i++) {
                gradients->dx[(size_t)n * shape->in + i] += d * w[(size_t)o * shape->in + i];
                gradients->dw[(size_t)o * shape->in + i] += d * x[(size_t)n * shape->in + i];
            }
        }
}
