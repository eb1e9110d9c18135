#include "worker/gpu_clock.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is needed of NVML, as its documentation declares it: functions return 0 or a code that nvmlErrorString knows. */
enum { NVML_SUCCESS = 0, NVML_CLOCK_SM = 1 };

struct nvml_device;

struct gpu_clock {
    void *library;
    bool initialised;
    struct nvml_device *device;
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error_string)(int code);
    int (*by_uuid)(const char *uuid, struct nvml_device **ret_device);
    int (*clock_of)(struct nvml_device *device, int type, unsigned *ret_mhz);
    int (*clock_max_of)(struct nvml_device *device, int type, unsigned *ret_mhz);
    int (*reasons_of)(struct nvml_device *device, unsigned long long *ret_reasons);
};

static int find_functions(struct gpu_clock *clock, struct error *error)
{
    const struct {
        const char *name, *older; /* NULL: it always had this name */
        void *pointer;
    } functions[] = {
        {"nvmlInit_v2", NULL, &clock->init},
        {"nvmlShutdown", NULL, &clock->shutdown},
        {"nvmlErrorString", NULL, &clock->error_string},
        {"nvmlDeviceGetHandleByUUID", NULL, &clock->by_uuid},
        {"nvmlDeviceGetClockInfo", NULL, &clock->clock_of},
        {"nvmlDeviceGetMaxClockInfo", NULL, &clock->clock_max_of},
        {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons",
         &clock->reasons_of},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
        void *address = dlsym(clock->library, functions[i].name);
        if (!address && functions[i].older)
            address = dlsym(clock->library, functions[i].older);
        if (!address)
            return error_set(error, -ENOENT, "", "NVML has no %s", functions[i].name);
        memcpy(functions[i].pointer, &address, sizeof address); /* ISO C converts no such pointer */
    }
    return 0;
}

static int said(const struct gpu_clock *clock, int status, const char *what, struct error *error)
{
    if (status == NVML_SUCCESS)
        return 0;
    return error_set(error, -EIO, "", "NVML: %s: %s", what, clock->error_string(status));
}

static int open_device(struct gpu_clock *clock, const char *uuid, struct error *error)
{
    int r = said(clock, clock->init(), "it cannot be started", error);
    if (r < 0)
        return r;
    clock->initialised = true;
    r = said(clock, clock->by_uuid(uuid, &clock->device), uuid, error);
    return r < 0 ? -ENODEV : 0;
}

int gpu_clock_new(const char *library, const char *uuid, struct gpu_clock **ret_clock,
                  struct error *error)
{
    struct gpu_clock *clock = calloc(1, sizeof *clock);
    if (!clock)
        return error_set(error, -ENOMEM, "", "out of memory");
    clock->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    int r = clock->library ? find_functions(clock, error)
                           : error_set(error, -ENOENT, "", "%.200s", dlerror());
    if (r == 0)
        r = open_device(clock, uuid, error);
    if (r < 0) {
        gpu_clock_free(clock);
        return r;
    }
    *ret_clock = clock;
    return 0;
}

void gpu_clock_free(struct gpu_clock *clock)
{
    if (!clock)
        return;
    if (clock->initialised)
        clock->shutdown();
    if (clock->library)
        dlclose(clock->library);
    free(clock);
}

int gpu_clock_read(const struct gpu_clock *clock, struct gpu_clock_state *ret_state,
                   struct error *error)
{
    unsigned now_mhz, max_mhz;
    unsigned long long reasons;
    int r = said(clock, clock->clock_of(clock->device, NVML_CLOCK_SM, &now_mhz), "clock", error);
    if (r == 0)
        r = said(clock, clock->clock_max_of(clock->device, NVML_CLOCK_SM, &max_mhz),
                 "highest clock", error);
    if (r == 0)
        r = said(clock, clock->reasons_of(clock->device, &reasons), "throttle reasons", error);
    if (r == 0)
        *ret_state = (struct gpu_clock_state){now_mhz, max_mhz, reasons};
    return r;
}

void gpu_clock_note(struct gpu_clock_state *seen, const struct gpu_clock_state *state)
{
    if (seen->sm_mhz == 0 || state->sm_mhz < seen->sm_mhz)
        seen->sm_mhz = state->sm_mhz;
    seen->sm_mhz_max = state->sm_mhz_max;
    seen->reasons |= state->reasons & ~(uint64_t)GPU_CLOCK_IDLE;
}

bool gpu_clock_is_throttled(const struct gpu_clock_state *state)
{
    return (state->reasons & (GPU_CLOCK_HARDWARE_SLOWDOWN | GPU_CLOCK_SOFTWARE_THERMAL |
                              GPU_CLOCK_HARDWARE_THERMAL | GPU_CLOCK_POWER_BRAKE)) != 0;
}

void gpu_clock_describe(const struct gpu_clock_state *state, char *ret_text, size_t size)
{
    static const struct {
        uint64_t bit;
        const char *name;
    } names[] = {
        {GPU_CLOCK_SETTING, "clock setting"},
        {GPU_CLOCK_POWER_CAP, "power cap"},
        {GPU_CLOCK_HARDWARE_SLOWDOWN, "hardware slowdown"},
        {GPU_CLOCK_SYNC_BOOST, "sync boost"},
        {GPU_CLOCK_SOFTWARE_THERMAL, "heat (software)"},
        {GPU_CLOCK_HARDWARE_THERMAL, "heat (hardware)"},
        {GPU_CLOCK_POWER_BRAKE, "power brake"},
        {GPU_CLOCK_DISPLAY_SETTING, "display clock setting"},
    };
    assert(size > 0);
    int used = snprintf(ret_text, size, "%u of %u MHz", state->sm_mhz, state->sm_mhz_max);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if ((state->reasons & names[i].bit) && used >= 0 && (size_t)used < size)
            used += snprintf(ret_text + used, size - (size_t)used, ", %s", names[i].name);
}
