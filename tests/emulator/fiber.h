/* A flow of control on a stack of its own, which is entered, leaves, and is entered again where it left. The sanitizers are told of
 * every switch. One thread at a time; which one may change between two entries. */
#ifndef TESTS_EMULATOR_FIBER_H
#define TESTS_EMULATOR_FIBER_H

struct fiber;

/* body never returns: it leaves for the last time. NULL: out of memory. */
struct fiber *fiber_new(void (*body)(struct fiber *fiber));
void fiber_free(struct fiber *fiber); /* one that does not run; NULL is legal */
/* Back to before the first entry, whatever is on its stack. */
void fiber_reset(struct fiber *fiber);
/* Returns when it leaves. */
void fiber_enter(struct fiber *fiber);
/* Called by the fiber that runs. */
void fiber_leave(struct fiber *fiber);

#endif
