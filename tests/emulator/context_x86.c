#include "tests/emulator/context.h"

#include <stdint.h>
#include <string.h>

/* The registers that a callee must keep, as context_x86_switch pushes them, and above them the address it returns to. */
struct frame {
    void *r15, *r14, *r13, *r12, *rbx, *rbp;
    void (*start)(void);
    void *end_of_stack;
};

void context_x86_switch(void **ret_from, void *to);
void context_x86_start(void);

__asm__(".text\n"
        ".globl context_x86_switch\n"
        ".hidden context_x86_switch\n"
        ".type context_x86_switch, @function\n"
        "context_x86_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size context_x86_switch, . - context_x86_switch\n"
        /* r12: body, r13: its argument */
        ".globl context_x86_start\n"
        ".hidden context_x86_start\n"
        ".type context_x86_start, @function\n"
        "context_x86_start:\n"
        "    movq %r13, %rdi\n"
        "    jmp *%r12\n"
        ".size context_x86_start, . - context_x86_start\n");

void context_init(struct context *context, void *stack, size_t stack_bytes,
                  void (*body)(void *argument), void *argument)
{
    const uintptr_t top = ((uintptr_t)stack + stack_bytes) & ~(uintptr_t)15;
    struct frame *frame = (struct frame *)(top - sizeof *frame);
    memset(frame, 0, sizeof *frame);
    memcpy(&frame->r12, &body, sizeof body);
    frame->r13 = argument;
    frame->start = context_x86_start;
    memcpy(context->bytes, &frame, sizeof frame);
}

void context_switch(struct context *ret_from, struct context *to)
{
    void *place;
    memcpy(&place, to->bytes, sizeof place);
    context_x86_switch((void **)(void *)ret_from->bytes, place);
}
