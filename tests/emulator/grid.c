#include "tests/emulator/grid.h"

#include "tests/emulator/fiber.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { POISON = 0xff, SHARED_ALIGNMENT = 128 };

/* Threads that have not met a barrier yet run one after the other on one fiber. A thread that waits keeps its fiber, and another goes
 * on with those that have not begun; so a kernel without barriers takes one fiber and no switches. */
enum state { WAITS_TO_BEGIN, RUNS, AT_BARRIER, IN_WARP, ENDED };

/* Not done yet. */
struct copy {
    void *to;
    const void *from;
    size_t bytes;
    unsigned group;
};

struct thread {
    struct fiber *fiber;
    enum state state;
    /* in a warp: who meets, what this one brings, and which it wants or what it got */
    unsigned mask, from;
    bool votes;
    uint64_t value;
    /* asynchronous copies, the earliest first, and the groups that have been committed */
    struct copy *copies;
    size_t copy_count, copies_max;
    unsigned groups;
};

/* As every CUDA program has one device memory, there is one of these: its functions find it without being handed it, because
 * kernels cannot. */
static struct {
    const struct grid *grid;
    struct thread threads[GRID_THREADS_MAX];
    struct uint3 places[GRID_THREADS_MAX]; /* threadIdx of each */
    unsigned order[GRID_THREADS_MAX];
    unsigned count, begun, ended, current;
    unsigned arrived[GRID_THREADS_MAX / WARP_LANES]; /* lanes in IN_WARP, as bits */
    struct fiber *idle[GRID_THREADS_MAX + 1];
    unsigned idle_count;
    unsigned char *dynamic;
    bool copies_are_late;
    const char *complaint; /* of a thread that goes on all the same */
} runner;

struct uint3 threadIdx, blockIdx;
struct emulator_dim3 blockDim, gridDim;

static void become(unsigned thread)
{
    runner.current = thread;
    threadIdx = runner.places[thread];
}

static void wait_in(enum state state)
{
    struct thread *thread = &runner.threads[runner.current];
    thread->state = state;
    fiber_leave(thread->fiber);
}

void __syncthreads(void)
{
    wait_in(AT_BARRIER);
}

unsigned char *emulator_shared_memory(void)
{
    return runner.dynamic;
}

static bool same_meeting(const struct thread *a, const struct thread *b)
{
    return a->state == IN_WARP && a->mask == b->mask && a->votes == b->votes;
}

/* Whether all that thread `current`, the last one to come, wants to meet are there. */
static bool warp_is_complete(unsigned warp, const struct thread *last)
{
    if ((runner.arrived[warp] & last->mask) != last->mask)
        return false;
    for (unsigned lane = 0; lane < WARP_LANES; lane++)
        if (last->mask >> lane & 1 &&
            !same_meeting(&runner.threads[warp * WARP_LANES + lane], last))
            return false;
    return true;
}

static void warp_exchange(unsigned warp, unsigned mask)
{
    struct thread *lanes = &runner.threads[(size_t)warp * WARP_LANES];
    uint64_t values[WARP_LANES];
    unsigned ballot = 0;
    memset(values, POISON, sizeof values);
    for (unsigned lane = 0; lane < WARP_LANES; lane++) {
        if (!(mask >> lane & 1))
            continue;
        values[lane] = lanes[lane].value;
        ballot |= (unsigned)(lanes[lane].value != 0) << lane;
    }
    for (unsigned lane = 0; lane < WARP_LANES; lane++) {
        if (!(mask >> lane & 1))
            continue;
        lanes[lane].value = lanes[lane].votes ? ballot : values[lanes[lane].from];
        lanes[lane].state = RUNS;
    }
    runner.arrived[warp] &= ~mask;
}

static uint64_t meet(unsigned mask, uint64_t value, unsigned from, bool votes)
{
    struct thread *thread = &runner.threads[runner.current];
    const unsigned warp = runner.current / WARP_LANES;
    thread->mask = mask;
    thread->from = from % WARP_LANES;
    thread->value = value;
    thread->votes = votes;
    thread->state = IN_WARP;
    runner.arrived[warp] |= 1u << runner.current % WARP_LANES;
    if (warp_is_complete(warp, thread))
        warp_exchange(warp, mask);
    else
        wait_in(IN_WARP);
    return thread->value;
}

uint64_t emulator_shuffle(unsigned mask, uint64_t value, unsigned from)
{
    return meet(mask, value, from, false);
}

unsigned __ballot_sync(unsigned mask, int predicate)
{
    return (unsigned)meet(mask, predicate != 0, 0, true);
}

void emulator_copy_async(void *shared, const void *global, size_t bytes)
{
    struct thread *thread = &runner.threads[runner.current];
    if (!runner.copies_are_late) {
        memcpy(shared, global, bytes);
        return;
    }
    if (thread->copy_count == thread->copies_max) {
        const size_t max = 2 * thread->copies_max + 16;
        struct copy *copies = realloc(thread->copies, max * sizeof *copies);
        if (!copies) {
            runner.complaint = "out of memory for asynchronous copies";
            return;
        }
        thread->copies = copies;
        thread->copies_max = max;
    }
    thread->copies[thread->copy_count++] = (struct copy){shared, global, bytes, thread->groups};
}

void emulator_copy_async_commit(void)
{
    runner.threads[runner.current].groups++;
}

void emulator_copy_async_wait(unsigned pending)
{
    struct thread *thread = &runner.threads[runner.current];
    size_t done = 0;
    for (; done < thread->copy_count; done++) {
        const struct copy *copy = &thread->copies[done];
        if (copy->group + pending >= thread->groups)
            break;
        memcpy(copy->to, copy->from, copy->bytes);
    }
    if (done > 0)
        memmove(thread->copies, thread->copies + done,
                (thread->copy_count - done) * sizeof *thread->copies);
    thread->copy_count -= done;
}

/* A fiber: one thread after another until none is left to begin. */
static void run_threads(struct fiber *fiber)
{
    for (;;) {
        while (runner.begun < runner.count) {
            become(runner.order[runner.begun++]);
            runner.threads[runner.current].fiber = fiber;
            runner.threads[runner.current].state = RUNS;
            runner.grid->run(runner.grid->closure);
            runner.threads[runner.current].state = ENDED;
            runner.ended++;
        }
        runner.idle[runner.idle_count++] = fiber;
        fiber_leave(fiber);
    }
}

/* False: out of memory. */
static bool begin_threads(void)
{
    while (runner.begun < runner.count) {
        struct fiber *fiber =
            runner.idle_count > 0 ? runner.idle[--runner.idle_count] : fiber_new(run_threads);
        if (!fiber)
            return false;
        fiber_enter(fiber);
    }
    return true;
}

/* Enters all threads that may go on; false where there is none. */
static bool advance_threads(void)
{
    bool advanced = false;
    for (unsigned i = 0; i < runner.count; i++) {
        const unsigned thread = runner.order[i];
        if (runner.threads[thread].state != RUNS)
            continue;
        become(thread);
        fiber_enter(runner.threads[thread].fiber);
        advanced = true;
    }
    return advanced;
}

/* False where a thread waits elsewhere. Threads that have ended are not waited for, as on a device. */
static bool open_barrier(void)
{
    for (unsigned i = 0; i < runner.count; i++)
        if (runner.threads[i].state != AT_BARRIER && runner.threads[i].state != ENDED)
            return false;
    for (unsigned i = 0; i < runner.count; i++)
        if (runner.threads[i].state == AT_BARRIER)
            runner.threads[i].state = RUNS;
    return true;
}

/* The fibers of a block that never ends, for other blocks. */
static void abandon_threads(void)
{
    for (unsigned i = 0; i < runner.begun; i++) {
        struct thread *thread = &runner.threads[runner.order[i]];
        if (thread->state == ENDED)
            continue;
        fiber_reset(thread->fiber);
        runner.idle[runner.idle_count++] = thread->fiber;
    }
}

static const char *run_block(void)
{
    memset(runner.arrived, 0, sizeof runner.arrived);
    for (unsigned i = 0; i < runner.count; i++) {
        runner.threads[i].state = WAITS_TO_BEGIN;
        runner.threads[i].groups = 0;
        runner.threads[i].copy_count = 0;
    }
    runner.begun = runner.ended = 0;
    const char *complaint = begin_threads() ? NULL : "out of memory for stacks";
    while (!complaint && runner.ended < runner.count)
        if (!advance_threads() && !open_barrier())
            complaint = "threads of a block wait for each other: a barrier or shuffle that others "
                        "do not reach";
    if (complaint)
        abandon_threads();
    return complaint;
}

/* Not a memset, nor what a compiler makes one of: AddressSanitizer would see it run over what it keeps between variables. */
__attribute__((no_sanitize_address)) static void poison(unsigned char *from,
                                                        const unsigned char *end)
{
    volatile unsigned char *byte = from;
    while (byte != end && (uintptr_t)byte % sizeof(uint64_t) != 0)
        *byte++ = POISON;
    for (; end - byte >= (ptrdiff_t)sizeof(uint64_t); byte += sizeof(uint64_t))
        *(volatile uint64_t *)(volatile void *)byte = UINT64_MAX;
    while (byte != end)
        *byte++ = POISON;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A permutation of 0 .. count - 1: it begins with `at`, and every further element is `step` on, modulo count. */
struct permutation {
    uint64_t at, step, count;
};

static struct permutation permutation_of(enum emulator_order order, uint64_t count, uint64_t seed)
{
    if (order == EMULATOR_ASCENDING)
        return (struct permutation){0, 1, count};
    if (order == EMULATOR_DESCENDING)
        return (struct permutation){count - 1, count - 1, count};
    const uint64_t mixed = (seed + 1) * 0x9e3779b97f4a7c15u;
    uint64_t step = (mixed >> 40) % count | 1;
    while (common_divisor(step, count) != 1)
        step += 2;
    return (struct permutation){(mixed >> 20) % count, step % count, count};
}

static uint64_t next_of(struct permutation *permutation)
{
    const uint64_t here = permutation->at, next = here + permutation->step;
    permutation->at = next < permutation->count ? next : next - permutation->count;
    return here;
}

static void order_threads(enum emulator_order order, uint64_t block)
{
    struct permutation threads = permutation_of(order, runner.count, block);
    for (unsigned t = 0; t < runner.count; t++)
        runner.order[t] = (unsigned)next_of(&threads);
}

static void place_threads(const struct emulator_dim3 *size)
{
    struct uint3 *place = runner.places;
    for (unsigned z = 0; z < size->z; z++)
        for (unsigned y = 0; y < size->y; y++)
            for (unsigned x = 0; x < size->x; x++)
                *place++ = (struct uint3){x, y, z};
}

static const char *run_blocks(const struct grid *grid, enum emulator_order order)
{
    const struct emulator_dim3 *size = &grid->blocks;
    const uint64_t count = (uint64_t)size->x * size->y * size->z;
    struct permutation blocks = permutation_of(order, count, count);
    order_threads(order, 0);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t block = next_of(&blocks);
        if (order == EMULATOR_SHUFFLED)
            order_threads(order, block);
        blockIdx.x = (unsigned)(block % size->x);
        blockIdx.y = (unsigned)(block / size->x % size->y);
        blockIdx.z = (unsigned)(block / size->x / size->y);
        poison(grid->shared, grid->shared_end);
        poison(runner.dynamic, runner.dynamic + grid->dynamic_bytes);
        const char *complaint = run_block();
        if (complaint)
            return complaint;
    }
    return NULL;
}

const char *grid_run(const struct grid *grid, enum emulator_order order)
{
    void *dynamic = NULL;
    if (posix_memalign(&dynamic, SHARED_ALIGNMENT, grid->dynamic_bytes) != 0)
        return "out of memory for shared memory";
    runner.grid = grid;
    runner.count = grid->threads.x * grid->threads.y * grid->threads.z;
    runner.dynamic = dynamic;
    blockDim = grid->threads;
    gridDim = grid->blocks;
    place_threads(&grid->threads);
    runner.copies_are_late = order != EMULATOR_ASCENDING;
    runner.complaint = NULL;
    const char *complaint = run_blocks(grid, order);
    complaint = complaint ? complaint : runner.complaint;
    free(dynamic);
    return complaint;
}
