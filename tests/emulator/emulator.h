/* What a test asks of the emulated CUDA runtime beyond what CUDA offers. docs/kernels.md says what the emulator shows.
 *
 * Work is carried out when somebody waits for it and not before, one block and one thread of it at a time. Stricter than
 * CUDA: streams are non-blocking ones; host memory of asynchronous copies comes from cudaMallocHost; copies lie within an allocation;
 * barriers and shuffles want all the threads they name; device memory that is new, and shared memory before a
 * block, have every bit set; a byte written just outside an allocation breaks the device after the work that did it.
 *
 * Any thread may call; one at a time is served. */
#ifndef TESTS_EMULATOR_EMULATOR_H
#define TESTS_EMULATOR_EMULATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st;

/* In which order threads run between two barriers, and blocks. */
enum emulator_order { EMULATOR_ASCENDING, EMULATOR_DESCENDING, EMULATOR_SHUFFLED };
enum { EMULATOR_ORDERS = 3, EMULATOR_DEVICES_MAX = 8 };

/* The order at the start is that of the environment variable EMULATOR_ORDER: ascending, descending, shuffled; without one,
 * ascending. */
void emulator_set_order(enum emulator_order order);
const char *emulator_order_name(enum emulator_order order);

/* Devices from now on, 0 to EMULATOR_DEVICES_MAX; at the start there is one. */
void emulator_set_devices(int count);
/* Memory of each device; at the start 4 GiB. */
void emulator_set_memory(size_t bytes);

/* The device breaks at the n-th operation carried out from now on (1: the next one), for good: every call fails from then on. 0: not
 * at all. */
void emulator_break_at(uint64_t operation);
/* A broken device works again; what was queued is dropped. */
void emulator_mend(void);
/* Why the device broke, in words; "" where it did not. */
const char *emulator_complaint(void);

/* Operations that wait in all streams. */
size_t emulator_pending(void);

/* run(argument) as an operation of the stream, for doubles of libraries that launch kernels; captured like one. `bytes` of the
 * argument are copied now, aligned for any type. 0, or -EIO. */
int emulator_enqueue(struct CUstream_st *stream, void (*run)(const void *argument),
                     const void *argument, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
