#include "tests/emulator/state.h"

/* What every device of the last generations has. */
enum { DEFAULT_SHARED_BYTES = 48 << 10, SHARED_BYTES_MAX = 99 << 10, GRID_SIDE_MAX = 65535 };

/* Dynamic shared memory that a kernel may have. */
static size_t dynamic_bytes_max(const struct machine *machine, const void *kernel)
{
    for (unsigned i = 0; i < machine->function_count; i++)
        if (machine->functions[i].kernel == kernel)
            return machine->functions[i].dynamic_bytes_max;
    return DEFAULT_SHARED_BYTES;
}

bool launches_fit(const struct machine *machine, const struct operations *operations)
{
    for (const struct operation *here = operations->first; here; here = here->next)
        if (here->kind == OPERATION_KERNEL &&
            here->grid.dynamic_bytes > dynamic_bytes_max(machine, here->kernel))
            return false;
    return true;
}

static cudaError_t set_dynamic_bytes_max(struct machine *machine, const void *kernel, size_t bytes)
{
    unsigned i = 0;
    while (i < machine->function_count && machine->functions[i].kernel != kernel)
        i++;
    if (bytes > SHARED_BYTES_MAX || i == FUNCTIONS_MAX)
        return cudaErrorInvalidValue;
    machine->functions[i].kernel = kernel;
    machine->functions[i].dynamic_bytes_max = bytes;
    if (i == machine->function_count)
        machine->function_count++;
    return cudaSuccess;
}

cudaError_t emulator_function_attribute(const void *kernel, enum cudaFuncAttribute attribute,
                                        int value)
{
    struct machine *machine = machine_enter();
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0)
        return machine_leave(machine, cudaErrorInvalidValue);
    return machine_leave(machine, set_dynamic_bytes_max(machine, kernel, (size_t)value));
}

/* A launch without blocks or threads is an error on a device, too. */
static bool size_is_legal(const cudaLaunchConfig_t *config)
{
    const dim3 *blocks = &config->gridDim, *threads = &config->blockDim;
    const uint64_t count = (uint64_t)threads->x * threads->y * threads->z;
    return blocks->x > 0 && blocks->y > 0 && blocks->z > 0 && blocks->x <= INT32_MAX &&
           blocks->y <= GRID_SIDE_MAX && blocks->z <= GRID_SIDE_MAX && count > 0 &&
           count <= GRID_THREADS_MAX && threads->z <= 64;
}

void emulator_check_pointer(const void *pointer)
{
    struct machine *machine = machine_enter();
    if (!memory_is_for_kernels(machine, pointer))
        machine_break(machine, cudaErrorIllegalAddress,
                      "a kernel is given a pointer that does not lead into the device's memory");
    (void)machine_leave(machine, cudaSuccess);
}

cudaError_t emulator_launch(const struct emulator_launch *launch)
{
    const cudaLaunchConfig_t *config = launch->config;
    struct machine *machine = machine_enter();
    if (!size_is_legal(config))
        return machine_leave(machine, cudaErrorInvalidConfiguration);
    if (config->dynamicSmemBytes > dynamic_bytes_max(machine, launch->kernel))
        return machine_leave(machine, cudaErrorInvalidValue);
    struct operation *operation =
        operation_new(OPERATION_KERNEL, launch->closure, launch->closure_bytes);
    if (operation) {
        operation->kernel = launch->kernel;
        operation->grid = (struct grid){
            config->gridDim,          config->blockDim, launch->shared,    launch->shared_end,
            config->dynamicSmemBytes, launch->run,      operation->closure};
    }
    return machine_leave(machine, stream_add(machine, config->stream, operation));
}
