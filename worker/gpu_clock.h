/* What a GPU's clock does while steps are timed: how fast it runs, and whether something holds it down. Asked of the driver's
 * management library (NVML), which is loaded when it is needed and need not be there. No GPU is used or configured by it.
 *
 * Legal order: gpu_clock_new, gpu_clock_read any number of times, gpu_clock_free. One thread. */
#ifndef WORKER_GPU_CLOCK_H
#define WORKER_GPU_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "search/error.h"

#define GPU_CLOCK_LIBRARY "libnvidia-ml.so.1"

/* Why the clock is not higher; NVML's bits. */
enum {
    GPU_CLOCK_IDLE = 0x1,
    GPU_CLOCK_SETTING = 0x2, /* somebody has set it */
    GPU_CLOCK_POWER_CAP = 0x4,
    GPU_CLOCK_HARDWARE_SLOWDOWN = 0x8,
    GPU_CLOCK_SYNC_BOOST = 0x10, /* another GPU of its group is slower */
    GPU_CLOCK_SOFTWARE_THERMAL = 0x20,
    GPU_CLOCK_HARDWARE_THERMAL = 0x40,
    GPU_CLOCK_POWER_BRAKE = 0x80,
    GPU_CLOCK_DISPLAY_SETTING = 0x100,
};

struct gpu_clock_state {
    uint32_t sm_mhz, sm_mhz_max;
    uint64_t reasons;
};

struct gpu_clock;

/* `uuid` is CUDA's, "GPU-...". `library` is GPU_CLOCK_LIBRARY, or a path. -ENOENT where there is no such library or it lacks a
 * function, -ENODEV where it does not know the device (an instance of a partitioned one), -EIO, -ENOMEM; with a message. */
int gpu_clock_new(const char *library, const char *uuid, struct gpu_clock **ret_clock,
                  struct error *error) MUST_USE;
void gpu_clock_free(struct gpu_clock *clock);
int gpu_clock_read(const struct gpu_clock *clock, struct gpu_clock_state *ret_state,
                   struct error *error) MUST_USE; /* -EIO */

/* What was seen in several readings together: the lowest clock, and all reasons but GPU_CLOCK_IDLE, as it is between two steps.
 * `seen` begins zeroed. */
void gpu_clock_note(struct gpu_clock_state *seen, const struct gpu_clock_state *state);
/* True where heat or the power supply held the clock down, so that a time is not the device's usual one. The power cap is not
 * among these: it is how a card runs under full load. */
bool gpu_clock_is_throttled(const struct gpu_clock_state *state);
/* "1785 of 1980 MHz", and the reasons by name. */
void gpu_clock_describe(const struct gpu_clock_state *state, char *ret_text, size_t size);

#endif
