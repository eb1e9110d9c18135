#include "worker/device_choice.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_cuda(const char *device)
{
    return strcmp(device, "cuda") == 0 || (strncmp(device, "cuda:", 5) == 0 && device[5]);
}

static int choose_named(const char *name, const struct backend **ret_backend, struct error *error)
{
    const struct backend *backend = backend_find(name);
    if (!backend)
        return error_set(error, -EINVAL, "",
                         "backend \"%.40s\" is not in this build, which has: %s%sreference", name,
                         backend_find("cuda") ? "cuda, " : "", backend_onednn() ? "onednn, " : "");
    *ret_backend = backend;
    return 0;
}

int device_choose(const char *device, const char *name, const struct backend **ret_backend,
                  struct error *error)
{
    const bool cuda = is_cuda(device);
    if (!cuda && strcmp(device, "cpu") != 0)
        return error_set(error, -EINVAL, "",
                         "device \"%.60s\" is none of cpu, cuda, cuda:N and cuda:GPU-UUID", device);
    if (name)
        return choose_named(name, ret_backend, error);
    if (!cuda) {
        *ret_backend = backend_onednn() ? backend_onednn() : backend_reference();
        return 0;
    }
    const struct backend *backend = backend_find("cuda");
    if (!backend)
        return error_set(
            error, -ENODEV, "",
            "device \"%.60s\": this build has no CUDA engine. It is built where CUDA and "
            "cuDNN 9 are (docs/dependencies.md); --device cpu trains without",
            device);
    *ret_backend = backend;
    return 0;
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

void device_line(const struct device_info *device, char ret_line[DEVICE_LINE_SIZE])
{
    snprintf(ret_line, DEVICE_LINE_SIZE, "%s %s %zu %s", device->id, or_dash(device->uuid),
             device->memory_bytes, or_dash(device->name));
}

void device_text(const struct device_info *device, char ret_text[WIRE_DEVICE_SIZE])
{
    char whole[256];
    if (device->memory_bytes == 0)
        snprintf(whole, sizeof whole, "%s", device->id);
    else
        snprintf(whole, sizeof whole, "%s %.32s, %zu MiB%s%s", device->id, device->name,
                 device->memory_bytes >> 20, device->uuid[0] ? ", " : "", device->uuid);
    snprintf(ret_text, WIRE_DEVICE_SIZE, "%.*s", WIRE_DEVICE_SIZE - 1, whole);
    for (char *c = ret_text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void device_advise(const char *visible, struct error *error)
{
    const struct error cause = *error;
    error_set(error, -ENODEV, "",
              "%.250s. The driver must be loaded (nvidia-smi lists its GPUs), and "
              "CUDA_VISIBLE_DEVICES%s%.40s%s must not hide the GPU",
              cause.message, visible ? ", here \"" : "", visible ? visible : "",
              visible ? "\"," : "");
}
