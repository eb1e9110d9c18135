#include "tests/bench/machine.h"

#include "worker/engine/onednn/primitive.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 512, SIDE = 32, RUNS = 9 };

const char *machine_library_version(void)
{
    return primitive_library_version();
}

double machine_float_product(void)
{
    const size_t count = (size_t)SIZE * SIZE;
    float *values = calloc(3 * count, sizeof *values);
    double rates[RUNS];
    if (!values)
        return 0;
    for (size_t i = 0; i < 2 * count; i++)
        values[i] = (float)(i % 7) - 3;
    for (size_t i = 0; i < RUNS; i++)
        rates[i] = primitive_matrix_product(SIZE, values, values + count, values + 2 * count);
    free(values);
    return machine_median(rates, RUNS);
}

static double convolution_rate(struct convolution *convolution)
{
    const size_t map_bytes = (size_t)SIDE * SIDE * SIZE * 2, weights = (size_t)SIZE * SIZE * 4;
    const size_t scratch = convolution_scratch_bytes(convolution) + 64;
    double rates[RUNS];
    unsigned char *x = aligned_alloc(64, map_bytes), *y = aligned_alloc(64, map_bytes),
                  *w = aligned_alloc(64, weights), *s = aligned_alloc(64, scratch / 64 * 64 + 64);
    double rate = 0;
    if (x && y && w && s) {
        memset(x, 0, map_bytes);
        memset(w, 0, weights);
        const struct convolution_places places = {x, w, y, s};
        for (size_t i = 0; i < RUNS; i++) {
            const double started = machine_clock_s(CLOCK_THREAD_CPUTIME_ID);
            if (convolution_run(convolution, &places) < 0)
                break;
            rates[i] = 2e-9 * SIDE * SIDE * SIZE * SIZE /
                       (machine_clock_s(CLOCK_THREAD_CPUTIME_ID) - started);
            if (i == RUNS - 1)
                rate = machine_median(rates, RUNS);
        }
    }
    free(x);
    free(y);
    free(w);
    free(s);
    return rate;
}

double machine_bfloat_product(void)
{
    const struct convolution_shape shape = {.images = 1,
                                            .in_channels = SIZE,
                                            .out_channels = SIZE,
                                            .in_size = SIDE,
                                            .out_size = SIDE,
                                            .kernel = 1,
                                            .stride = 1,
                                            .lanes = 16,
                                            .bfloat = true};
    struct primitive_context *context = NULL;
    struct convolution *convolution = NULL;
    struct error error = {{0}, {0}};
    double rate = 0;
    if (primitive_context_new(&context, &error) < 0)
        return 0;
    if (primitive_has_bfloat() &&
        convolution_new(context, CONVOLUTION_FORWARD, &shape, &convolution) == 0)
        rate = convolution_rate(convolution);
    convolution_free(convolution);
    primitive_context_free(context);
    return rate;
}
