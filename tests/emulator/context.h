/* Where a flow of control stands: what must be kept to go on on another stack. context_x86.c keeps only what the calling
 * convention asks for; context_portable.c goes through ucontext, with a system call a switch. */
#ifndef TESTS_EMULATOR_CONTEXT_H
#define TESTS_EMULATOR_CONTEXT_H

#include <stddef.h>

/* Opaque; CONTEXT_BYTES hold either kind. */
enum { CONTEXT_BYTES = 1024 };

struct context {
    _Alignas(16) unsigned char bytes[CONTEXT_BYTES];
};

/* The first switch to it calls body(argument) on the stack; body never returns. */
void context_init(struct context *context, void *stack, size_t stack_bytes,
                  void (*body)(void *argument), void *argument);
void context_switch(struct context *ret_from, struct context *to);

#endif
