#include "tests/emulator/context.h"

#include <stdint.h>
#include <ucontext.h>

_Static_assert(sizeof(ucontext_t) <= CONTEXT_BYTES, "CONTEXT_BYTES is too small");

static ucontext_t *ucontext_of(struct context *context)
{
    return (ucontext_t *)(void *)context->bytes;
}

/* makecontext passes nothing but ints: two pointers come as four halves. */
static void start(unsigned body_low, unsigned body_high, unsigned argument_low,
                  unsigned argument_high)
{
    const uintptr_t body = (uintptr_t)((uint64_t)body_high << 32 | body_low);
    const uintptr_t argument = (uintptr_t)((uint64_t)argument_high << 32 | argument_low);
    ((void (*)(void *))body)((void *)argument);
}

void context_init(struct context *context, void *stack, size_t stack_bytes,
                  void (*body)(void *argument), void *argument)
{
    ucontext_t *here = ucontext_of(context);
    const uint64_t b = (uintptr_t)body, a = (uintptr_t)argument;
    getcontext(here);
    here->uc_stack.ss_sp = stack;
    here->uc_stack.ss_size = stack_bytes;
    here->uc_link = NULL;
    makecontext(here, (void (*)(void))start, 4, (unsigned)b, (unsigned)(b >> 32), (unsigned)a,
                (unsigned)(a >> 32));
}

void context_switch(struct context *ret_from, struct context *to)
{
    swapcontext(ucontext_of(ret_from), ucontext_of(to));
}
