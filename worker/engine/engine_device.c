#include "worker/engine/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int device_is_cpu(const char *name, struct error *error)
{
    if (!name || strcmp(name, "cpu") == 0)
        return 0;
    return error_set(error, -EINVAL, "", "this backend runs on the processor, not on \"%.60s\"",
                     name);
}

int backend_devices(const struct backend *backend, const char *device,
                    struct device_info *ret_devices, uint32_t max, struct error *error)
{
    assert(max > 0);
    if (backend->devices)
        return backend->devices(device, ret_devices, max, error);
    int r = device_is_cpu(device, error);
    if (r < 0)
        return r;
    ret_devices[0] = (struct device_info){.id = "cpu"};
    return 1;
}

int engine_device(const struct engine *engine, struct device_info *ret_device, struct error *error)
{
    const char *name = engine->device_name[0] ? engine->device_name : NULL;
    int r = backend_devices(engine->backend, name, ret_device, 1, error);
    return r < 0 ? r : 0;
}

void engine_failure(const struct engine *engine, char ret_text[ENGINE_FAILURE_SIZE])
{
    ret_text[0] = '\0';
    if (engine->backend->failure)
        engine->backend->failure(engine->device, ret_text, ENGINE_FAILURE_SIZE);
}

void engine_watch_building(struct engine *engine, void (*on_part)(void *context), void *context)
{
    engine->device->on_part = on_part;
    engine->device->on_part_context = context;
}

void device_built_part(const struct device *device)
{
    if (device->on_part)
        device->on_part(device->on_part_context);
}

size_t engine_memory_free(const struct engine *engine)
{
    const struct backend *backend = engine->backend;
    return backend->memory_free ? backend->memory_free(engine->device) : 0;
}
