/* A library that speaks NVML's functions about one device. */
#include "tests/unit/worker/fake_nvml.h"

#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6, CLOCK_SM = 1 };

struct nvml_device;

extern struct fake_nvml fake_nvml;
struct fake_nvml fake_nvml = {.sm_mhz = 1785, .sm_mhz_max = 1980};

int nvmlInit_v2(void);
int nvmlShutdown(void);
const char *nvmlErrorString(int status);
int nvmlDeviceGetHandleByUUID(const char *uuid, struct nvml_device **ret_device);
int nvmlDeviceGetClockInfo(struct nvml_device *device, int type, unsigned *ret_mhz);
int nvmlDeviceGetMaxClockInfo(struct nvml_device *device, int type, unsigned *ret_mhz);
int NVML_REASONS(struct nvml_device *device, unsigned long long *ret_reasons);

int nvmlInit_v2(void)
{
    fake_nvml.started += fake_nvml.init_status == SUCCESS;
    return fake_nvml.init_status;
}

int nvmlShutdown(void)
{
    fake_nvml.started--;
    return SUCCESS;
}

const char *nvmlErrorString(int status)
{
    return status == NOT_FOUND ? "Not Found" : "Driver Not Loaded";
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct nvml_device **ret_device)
{
    if (strcmp(uuid, FAKE_NVML_UUID) != 0)
        return NOT_FOUND;
    *ret_device = (struct nvml_device *)&fake_nvml;
    return SUCCESS;
}

static int answer(const struct nvml_device *device, int type)
{
    const int right = device == (const struct nvml_device *)&fake_nvml && type == CLOCK_SM;
    return right ? fake_nvml.clock_status : INVALID_ARGUMENT;
}

int nvmlDeviceGetClockInfo(struct nvml_device *device, int type, unsigned *ret_mhz)
{
    fake_nvml.reads++;
    *ret_mhz = fake_nvml.sm_mhz;
    return answer(device, type);
}

int nvmlDeviceGetMaxClockInfo(struct nvml_device *device, int type, unsigned *ret_mhz)
{
    *ret_mhz = fake_nvml.sm_mhz_max;
    return answer(device, type);
}

int NVML_REASONS(struct nvml_device *device, unsigned long long *ret_reasons)
{
    *ret_reasons = fake_nvml.reasons;
    return answer(device, CLOCK_SM);
}
