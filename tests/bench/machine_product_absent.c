/* A build without oneDNN has nothing to measure a processor's products with. */
#include "tests/bench/machine.h"

double machine_float_product(void)
{
    return 0;
}

double machine_bfloat_product(void)
{
    return 0;
}

const char *machine_library_version(void)
{
    return "-";
}
