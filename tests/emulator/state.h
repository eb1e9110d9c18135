/* The emulated machine: what the files of the emulator share. Whoever reads or changes it has entered (state.c). */
#ifndef TESTS_EMULATOR_STATE_H
#define TESTS_EMULATOR_STATE_H

#include "tests/emulator/emulator.h"
#include "tests/emulator/grid.h"

#include <pthread.h>
#include <stdbool.h>

enum { COMPLAINT_SIZE = 240, FUNCTIONS_MAX = 256 };

enum operation_kind {
    OPERATION_KERNEL,
    OPERATION_COPY,
    OPERATION_FILL,
    OPERATION_RECORD,
    OPERATION_WAIT,
    OPERATION_GRAPH,
    OPERATION_HOST
};

/* One piece of work of a stream or graph, and the arguments that it was given. */
struct operation {
    struct operation *next;
    enum operation_kind kind;
    const void *kernel; /* of OPERATION_KERNEL */
    union {
        struct grid grid;
        struct {
            void *to;
            const void *from;
            size_t bytes;
        } copy;
        struct {
            void *to;
            int value;
            size_t bytes;
        } fill;
        struct CUevent_st *record;
        struct {
            uint64_t stream, ticket;
        } wait;
        struct CUgraphExec_st *graph;
        struct {
            void (*run)(const void *argument);
            const void *argument;
        } host;
    };
    _Alignas(16) unsigned char closure[];
};

struct operations {
    struct operation *first, **end;
    size_t count;
};

struct CUstream_st {
    struct CUstream_st *next;
    uint64_t id; /* never used again: what waits for a stream finds out that it has gone */
    int device;
    struct operations operations;
    uint64_t issued, done; /* operations so far */
    struct CUgraph_st *capture;
    bool joined; /* while capturing: nothing that the stream where it began does not wait for */
};

/* Destroyed, it stays while an operation has yet to record it. */
struct CUevent_st {
    unsigned holders, flags;
    bool recorded;
    uint64_t stream, ticket;
    uint64_t capture; /* recorded in that one, which may be over; 0: outside */
    double seconds;
};

/* Shared by executable graphs and the one they were made from. */
struct CUgraph_st {
    unsigned holders;
    uint64_t capture; /* the number of the capture that makes or made it, from 1 */
    struct operations operations;
    struct CUstream_st *origin;
    enum cudaStreamCaptureMode mode;
    pthread_t thread; /* that began the capture */
    bool invalid;
};

struct CUgraphExec_st {
    unsigned holders;
    struct CUgraph_st *graph;
};

struct allocation {
    struct allocation *next;
    unsigned char *data;
    size_t bytes;
    bool pinned; /* host memory */
    int device;
};

struct machine {
    cudaError_t broken, last;
    char complaint[COMPLAINT_SIZE];
    enum emulator_order order;
    int devices;
    size_t memory_bytes, memory_used[EMULATOR_DEVICES_MAX];
    struct allocation *allocations;
    struct CUstream_st defaults[EMULATOR_DEVICES_MAX];
    struct CUstream_st *streams; /* those made, the latest first */
    uint64_t stream_count, capture_count;
    uint64_t operations, break_at;
    unsigned working; /* how many calls deep operations are being carried out */
    struct {
        const void *kernel;
        size_t dynamic_bytes_max;
    } functions[FUNCTIONS_MAX];
    unsigned function_count;
};

/* state.c: every function of the runtime begins with machine_enter and ends with machine_leave, between which the thread has
 * the machine to itself. */
struct machine *machine_enter(void);
/* Remembers the error for cudaGetLastError, and returns it: that of the broken device where there is one. */
cudaError_t machine_leave(struct machine *machine, cudaError_t error);
/* The device breaks, unless it has. */
void machine_break(struct machine *machine, cudaError_t error, const char *complaint);
int current_device(void);
/* For what CUDA forbids a thread that captures a stream, and all threads in global mode: success, or those captures are
 * invalid. */
cudaError_t machine_not_capturing(struct machine *machine);

/* stream.c. NULL: the default one. */
struct CUstream_st *stream_of(struct machine *machine, struct CUstream_st *stream);
struct operation *operation_new(enum operation_kind kind, const void *closure, size_t bytes);
void operations_free(struct operations *operations);
/* Takes the operation, NULL for out of memory; into the graph that is being captured, or the queue. */
cudaError_t stream_add(struct machine *machine, struct CUstream_st *stream,
                       struct operation *operation);
void stream_run(struct machine *machine, struct CUstream_st *stream);
/* The operations of that stream up to the ticket-th; nothing where it has gone. */
void stream_run_until(struct machine *machine, uint64_t stream, uint64_t ticket);
void machine_run(struct machine *machine, int device);
void operations_run(struct machine *machine, const struct operations *operations);

/* launch.c. Whether each of these kernels may have the dynamic shared memory that it was launched with, by what has been asked for
 * last. */
bool launches_fit(const struct machine *machine, const struct operations *operations);

/* event.c */
void event_release(struct CUevent_st *event);

/* graph.c */
/* The capture that the stream takes part in, if any, is invalid: success without one. */
cudaError_t capture_spoil(const struct CUstream_st *stream);
void graph_release(struct CUgraph_st *graph);
void exec_release(struct CUgraphExec_st *exec);

/* memory.c. Whether the bytes lie within one allocation of that kind. */
bool memory_holds(const struct machine *machine, const void *from, size_t bytes, bool pinned);
/* AddressSanitizer lets nobody touch device memory but operations; it does where `open`. */
void memory_open(const struct machine *machine, bool open);
/* Whether a kernel may be given it. */
bool memory_is_for_kernels(const struct machine *machine, const void *pointer);
/* Complains where a byte beside an allocation has been written. */
void memory_check(struct machine *machine);

#endif
