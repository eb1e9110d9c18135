#include "worker/engine/reference/ops.h"

#include <math.h>

void norm_statistics(const struct norm_shape *shape, const float *x, float *ret_mean,
                     float *ret_variance)
{
    for (uint32_t c = 0; c < shape->channels; c++) {
        double sum = 0, squares = 0;
        for (size_t p = 0; p < shape->pixels; p++)
            sum += x[p * shape->channels + c];
        const double mean = sum / (double)shape->pixels;
        for (size_t p = 0; p < shape->pixels; p++) {
            const double off = x[p * shape->channels + c] - mean;
            squares += off * off;
        }
        ret_mean[c] = (float)mean;
        ret_variance[c] = (float)(squares / (double)shape->pixels);
    }
}

static double inverse_deviation(const struct norm_shape *shape,
                                const struct norm_parameters *parameters, uint32_t c)
{
    return 1.0 / sqrt(parameters->variance[c] + shape->epsilon);
}

void norm_forward(const struct norm_shape *shape, const struct norm_parameters *parameters,
                  const float *x, float *ret_y)
{
    for (uint32_t c = 0; c < shape->channels; c++) {
        const double slope = parameters->scale[c] * inverse_deviation(shape, parameters, c);
        for (size_t p = 0; p < shape->pixels; p++) {
            const size_t at = p * shape->channels + c;
            ret_y[at] =
                (float)((x[at] - (double)parameters->mean[c]) * slope + parameters->shift[c]);
        }
    }
}

void norm_backward(const struct norm_shape *shape, const struct norm_parameters *parameters,
                   const float *x, const float *dy, const struct norm_gradients *gradients)
{
    const double pixels = (double)shape->pixels;
    for (uint32_t c = 0; c < shape->channels; c++) {
        const double inverse = inverse_deviation(shape, parameters, c), mean = parameters->mean[c];
        double sum = 0, product = 0;
        for (size_t p = 0; p < shape->pixels; p++) {
            const size_t at = p * shape->channels + c;
            sum += dy[at];
            product += dy[at] * (x[at] - mean) * inverse;
        }
        gradients->dshift[c] += (float)sum;
        gradients->dscale[c] += (float)product;
        for (size_t p = 0; p < shape->pixels; p++) {
            const size_t at = p * shape->channels + c;
            const double normal = (x[at] - mean) * inverse;
            gradients->dx[at] += (float)(parameters->scale[c] * inverse *
                                         (dy[at] - sum / pixels - normal * product / pixels));
        }
    }
}
