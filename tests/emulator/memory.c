#include "tests/emulator/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POISON = 0xff, ALIGNMENT = 256 };

/* AddressSanitizer has an end of its own behind every allocation, and can lock it. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

enum { GUARD_BYTES = 0 };

static void allocation_open(const struct allocation *allocation, bool open)
{
    if (open)
        __asan_unpoison_memory_region(allocation->data, allocation->bytes);
    else
        __asan_poison_memory_region(allocation->data, allocation->bytes);
}
#else
enum { GUARD_BYTES = ALIGNMENT };

static void allocation_open(const struct allocation *allocation, bool open)
{
    (void)allocation;
    (void)open;
}
#endif

void memory_open(const struct machine *machine, bool open)
{
    for (const struct allocation *here = machine->allocations; here; here = here->next)
        if (!here->pinned)
            allocation_open(here, open);
}

static struct allocation *allocation_of(const struct machine *machine, const void *from)
{
    const unsigned char *byte = from;
    for (struct allocation *here = machine->allocations; here; here = here->next)
        if (byte >= here->data && byte < here->data + here->bytes)
            return here;
    return NULL;
}

bool memory_holds(const struct machine *machine, const void *from, size_t bytes, bool pinned)
{
    const struct allocation *here = allocation_of(machine, from);
    return here && here->pinned == pinned &&
           bytes <= here->bytes - (size_t)((const unsigned char *)from - here->data);
}

bool memory_is_for_kernels(const struct machine *machine, const void *pointer)
{
    const unsigned char *byte = pointer;
    for (const struct allocation *here = machine->allocations; here && byte; here = here->next)
        if (byte >= here->data && byte <= here->data + here->bytes) /* the end, too, of nothing */
            return true;
    return !pointer;
}

static bool guards_are_whole(const struct allocation *allocation)
{
    const unsigned char *before = allocation->data - GUARD_BYTES;
    const unsigned char *after = allocation->data + allocation->bytes;
    for (size_t i = 0; i != GUARD_BYTES; i++)
        if (before[i] != POISON || after[i] != POISON)
            return false;
    return true;
}

void memory_check(struct machine *machine)
{
    char complaint[COMPLAINT_SIZE];
    for (const struct allocation *here = machine->allocations; here; here = here->next) {
        if (guards_are_whole(here))
            continue;
        snprintf(complaint, sizeof complaint,
                 "bytes beside an allocation of %zu bytes were written, by the operation before",
                 here->bytes);
        machine_break(machine, cudaErrorIllegalAddress, complaint);
    }
}

static cudaError_t allocate(struct machine *machine, size_t bytes, bool pinned, void **ret_memory)
{
    const int device = current_device();
    size_t *used = &machine->memory_used[device];
    if (!pinned && (*used > machine->memory_bytes || bytes > machine->memory_bytes - *used))
        return cudaErrorMemoryAllocation;
    struct allocation *allocation = calloc(1, sizeof *allocation);
    void *block = NULL;
    if (!allocation || posix_memalign(&block, ALIGNMENT, GUARD_BYTES + bytes + GUARD_BYTES) != 0) {
        free(allocation);
        return cudaErrorMemoryAllocation;
    }
    memset(block, POISON, GUARD_BYTES + bytes + GUARD_BYTES);
    *allocation = (struct allocation){.next = machine->allocations,
                                      .data = (unsigned char *)block + GUARD_BYTES,
                                      .bytes = bytes,
                                      .pinned = pinned,
                                      .device = device};
    machine->allocations = allocation;
    if (!pinned)
        allocation_open(allocation, machine->working > 0);
    *used += pinned ? 0 : bytes;
    *ret_memory = allocation->data;
    return cudaSuccess;
}

static cudaError_t new_memory(void **ret_memory, size_t bytes, bool pinned)
{
    struct machine *machine = machine_enter();
    cudaError_t error = machine_not_capturing(machine);
    void *memory = NULL;
    if (error == cudaSuccess && machine->broken == cudaSuccess && bytes > 0)
        error = allocate(machine, bytes, pinned, &memory);
    if (error == cudaSuccess && machine->broken == cudaSuccess)
        *ret_memory = memory;
    return machine_leave(machine, error);
}

/* Waits for the device, as CUDA does. */
static cudaError_t free_memory(void *memory, bool pinned)
{
    struct machine *machine = machine_enter();
    if (!memory)
        return machine_leave(machine, cudaSuccess);
    const cudaError_t error = machine_not_capturing(machine);
    if (error != cudaSuccess)
        return machine_leave(machine, error);
    struct allocation **link = &machine->allocations;
    while (*link && ((*link)->data != memory || (*link)->pinned != pinned))
        link = &(*link)->next;
    struct allocation *here = *link;
    if (!here)
        return machine_leave(machine, cudaErrorInvalidValue);
    machine_run(machine, here->device);
    memory_check(machine);
    *link = here->next;
    machine->memory_used[here->device] -= pinned ? 0 : here->bytes;
    allocation_open(here, true);
    free(here->data - GUARD_BYTES);
    free(here);
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaMalloc(void **ret_memory, size_t bytes)
{
    return new_memory(ret_memory, bytes, false);
}

cudaError_t cudaFree(void *memory)
{
    return free_memory(memory, false);
}

cudaError_t cudaMallocHost(void **ret_memory, size_t bytes)
{
    return new_memory(ret_memory, bytes, true);
}

cudaError_t cudaFreeHost(void *memory)
{
    return free_memory(memory, true);
}

cudaError_t cudaMemGetInfo(size_t *ret_free, size_t *ret_total)
{
    struct machine *machine = machine_enter();
    const size_t used = machine->memory_used[current_device()];
    *ret_total = machine->memory_bytes;
    *ret_free = used < machine->memory_bytes ? machine->memory_bytes - used : 0;
    return machine_leave(machine, cudaSuccess);
}

struct copy {
    void *to;
    const void *from;
    size_t bytes;
    enum cudaMemcpyKind kind;
};

/* waits: the host's side may be any memory. */
static bool copy_is_legal(const struct machine *machine, const struct copy *copy, bool waits)
{
    switch (copy->kind) {
    case cudaMemcpyHostToDevice:
        return memory_holds(machine, copy->to, copy->bytes, false) &&
               (waits || memory_holds(machine, copy->from, copy->bytes, true));
    case cudaMemcpyDeviceToHost:
        return memory_holds(machine, copy->from, copy->bytes, false) &&
               (waits || memory_holds(machine, copy->to, copy->bytes, true));
    case cudaMemcpyDeviceToDevice:
        return memory_holds(machine, copy->to, copy->bytes, false) &&
               memory_holds(machine, copy->from, copy->bytes, false);
    default:
        return false;
    }
}

/* snapshot: of what is copied now is a copy of its own. */
static cudaError_t add_copy(struct machine *machine, const struct copy *copy,
                            struct CUstream_st *stream, bool waits, bool snapshot)
{
    if (!copy_is_legal(machine, copy, waits))
        return cudaErrorInvalidValue;
    struct operation *operation =
        operation_new(OPERATION_COPY, copy->from, snapshot ? copy->bytes : 0);
    if (operation) {
        operation->copy.to = copy->to;
        operation->copy.from = snapshot ? operation->closure : copy->from;
        operation->copy.bytes = copy->bytes;
    }
    return stream_add(machine, stream, operation);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    const struct copy copy = {to, from, bytes, kind};
    const cudaError_t error =
        bytes == 0 ? cudaSuccess : add_copy(machine, &copy, stream, false, false);
    return machine_leave(machine, error);
}

/* Waits for the copy, but for one from memory that is not pinned: of that the last bytes are on their way still. */
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    struct machine *machine = machine_enter();
    const struct copy copy = {to, from, bytes, kind};
    const bool late = kind == cudaMemcpyHostToDevice && !memory_holds(machine, from, bytes, true);
    cudaError_t error = machine_not_capturing(machine);
    if (error == cudaSuccess && bytes > 0)
        error = add_copy(machine, &copy, NULL, true, late);
    if (error == cudaSuccess && !late)
        stream_run(machine, stream_of(machine, NULL));
    return machine_leave(machine, error);
}

static cudaError_t add_fill(struct machine *machine, void *memory, int value, size_t bytes,
                            cudaStream_t stream)
{
    if (bytes == 0)
        return cudaSuccess;
    if (!memory_holds(machine, memory, bytes, false))
        return cudaErrorInvalidValue;
    struct operation *operation = operation_new(OPERATION_FILL, NULL, 0);
    if (operation) {
        operation->fill.to = memory;
        operation->fill.value = value;
        operation->fill.bytes = bytes;
    }
    return stream_add(machine, stream, operation);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    return machine_leave(machine, add_fill(machine, memory, value, bytes, stream));
}

/* Asynchronous on a device, too. */
cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    struct machine *machine = machine_enter();
    cudaError_t error = machine_not_capturing(machine);
    if (error == cudaSuccess)
        error = add_fill(machine, memory, value, bytes, NULL);
    return machine_leave(machine, error);
}
