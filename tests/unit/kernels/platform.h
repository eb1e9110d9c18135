/* What kernels run on in a test. A test is linked with one of two: tests/emulator/platform_emulator.c, or a real device's,
 * tests/gpu/platform_device.c. */
#ifndef TESTS_UNIT_KERNELS_PLATFORM_H
#define TESTS_UNIT_KERNELS_PLATFORM_H

/* The cases run so many times, from 2 on, each in its own way, and have to bring back the same bits. */
unsigned platform_runs(void);
/* Goes over to the run-th way; its name. */
const char *platform_use(unsigned run);
/* How far SiLU, its slope and the sigmoid may be off, relative to values of about 1. */
double platform_silu_tolerance(void);

#endif
