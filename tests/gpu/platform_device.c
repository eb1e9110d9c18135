#include "tests/unit/kernels/platform.h"

static const char *const RUNS[] = {"first run", "second run"};

unsigned platform_runs(void)
{
    return sizeof RUNS / sizeof RUNS[0];
}

const char *platform_use(unsigned run)
{
    return RUNS[run];
}

/* tanh.approx has a relative error of 2^-11, and SiLU multiplies it by x / 2. */
double platform_silu_tolerance(void)
{
    return 2e-3;
}
