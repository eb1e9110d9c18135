#include "tests/unit/kernels/platform.h"

#include "tests/emulator/emulator.h"

unsigned platform_runs(void)
{
    return EMULATOR_ORDERS;
}

const char *platform_use(unsigned run)
{
    emulator_set_order((enum emulator_order)run);
    return emulator_order_name((enum emulator_order)run);
}

double platform_silu_tolerance(void)
{
    return 1e-6;
}
