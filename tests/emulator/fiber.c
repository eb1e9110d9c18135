#include "tests/emulator/fiber.h"

#include "tests/emulator/context.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Frames of instrumented code are several times as large. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_BYTES = 256 << 10 };
#else
enum { STACK_BYTES = 64 << 10 };
#endif

enum { GUARD_BYTES = 4096, COLOURS = 32, COLOUR_BYTES = 128 };

/* What the sanitizers keep of a flow of control, and where the stack that it returns to lies. */
struct fiber {
    struct context here, back;
    void (*body)(struct fiber *fiber);
    void *stack;
    void *here_fake, *back_fake; /* AddressSanitizer's */
    const void *back_stack;
    size_t back_stack_bytes;
    void *here_thread, *back_thread; /* ThreadSanitizer's */
};

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

static void stack_forget(struct fiber *fiber)
{
    __asan_unpoison_memory_region(fiber->stack, STACK_BYTES);
}

static void before_switch(void **ret_fake, const void *stack, size_t bytes)
{
    __sanitizer_start_switch_fiber(ret_fake, stack, bytes);
}

static void after_switch(void *fake, const void **ret_stack, size_t *ret_bytes)
{
    __sanitizer_finish_switch_fiber(fake, ret_stack, ret_bytes);
}
#else
static void stack_forget(struct fiber *fiber)
{
    (void)fiber;
}

static void before_switch(void **ret_fake, const void *stack, size_t bytes)
{
    (void)ret_fake;
    (void)stack;
    (void)bytes;
}

static void after_switch(void *fake, const void **ret_stack, size_t *ret_bytes)
{
    (void)fake;
    (void)ret_stack;
    (void)ret_bytes;
}
#endif

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

static void thread_new(struct fiber *fiber)
{
    fiber->here_thread = __tsan_create_fiber(0);
}

static void thread_free(struct fiber *fiber)
{
    __tsan_destroy_fiber(fiber->here_thread);
}

static void thread_enter(struct fiber *fiber)
{
    fiber->back_thread = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->here_thread, 0);
}

static void thread_leave(struct fiber *fiber)
{
    __tsan_switch_to_fiber(fiber->back_thread, 0);
}
#else
static void thread_new(struct fiber *fiber)
{
    (void)fiber;
}

static void thread_free(struct fiber *fiber)
{
    (void)fiber;
}

static void thread_enter(struct fiber *fiber)
{
    (void)fiber;
}

static void thread_leave(struct fiber *fiber)
{
    (void)fiber;
}
#endif

static void start(void *argument)
{
    struct fiber *fiber = argument;
    after_switch(NULL, &fiber->back_stack, &fiber->back_stack_bytes);
    fiber->body(fiber);
    abort();
}

/* Stacks begin at different places of their pages: the cache has room for few lines of the same place. */
static size_t stack_bytes(const struct fiber *fiber)
{
    const uintptr_t page = (uintptr_t)fiber->stack / GUARD_BYTES;
    return STACK_BYTES - (size_t)(page % COLOURS) * COLOUR_BYTES;
}

void fiber_reset(struct fiber *fiber)
{
    stack_forget(fiber);
    fiber->here_fake = NULL;
    context_init(&fiber->here, fiber->stack, stack_bytes(fiber), start, fiber);
}

struct fiber *fiber_new(void (*body)(struct fiber *fiber))
{
    struct fiber *fiber = aligned_alloc(_Alignof(struct fiber), sizeof *fiber);
    if (!fiber)
        return NULL;
    *fiber = (struct fiber){.body = body};
    unsigned char *pages = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages, GUARD_BYTES, PROT_NONE) < 0) {
        free(fiber);
        return NULL;
    }
    fiber->stack = pages + GUARD_BYTES;
    thread_new(fiber);
    fiber_reset(fiber);
    return fiber;
}

void fiber_free(struct fiber *fiber)
{
    if (!fiber)
        return;
    stack_forget(fiber);
    thread_free(fiber);
    munmap((unsigned char *)fiber->stack - GUARD_BYTES, GUARD_BYTES + STACK_BYTES);
    free(fiber);
}

void fiber_enter(struct fiber *fiber)
{
    before_switch(&fiber->back_fake, fiber->stack, STACK_BYTES);
    thread_enter(fiber);
    context_switch(&fiber->back, &fiber->here);
    after_switch(fiber->back_fake, NULL, NULL);
}

void fiber_leave(struct fiber *fiber)
{
    before_switch(&fiber->here_fake, fiber->back_stack, fiber->back_stack_bytes);
    thread_leave(fiber);
    context_switch(&fiber->here, &fiber->back);
    after_switch(fiber->here_fake, &fiber->back_stack, &fiber->back_stack_bytes);
}
