#include "worker/engine/cuda/tuning_device.h"

#include "kernels/device.h"
#include "worker/engine/cuda/tuning.h"

#include <assert.h>
#include <errno.h>

struct bench {
    struct device_graph *graphs[TUNING_CANDIDATES_MAX]; /* NULL: cannot be run */
    size_t count;
    struct CUstream_st *stream;
    struct CUevent_st *start, *end;
    struct error *error;
};

static void bench_release(struct bench *bench)
{
    for (size_t i = 0; i < bench->count; i++)
        device_graph_free(bench->graphs[i]);
    device_event_free(bench->end);
    device_event_free(bench->start);
    device_stream_free(bench->stream);
}

static int bench_open(struct bench *bench, struct CUstream_st *after)
{
    int r = device_stream_wait(after, bench->error);
    if (r == 0)
        r = device_stream_new(&bench->stream, bench->error);
    if (r == 0)
        r = device_event_new(&bench->start, bench->error);
    if (r == 0)
        r = device_event_new(&bench->end, bench->error);
    return r;
}

/* NULL where the candidate cannot be run or recorded. It runs once before it is recorded: what the library loads and sets up at a
 * kernel's first launch may not happen meanwhile. */
static struct device_graph *record(const struct tuning_device *tuning, size_t candidate,
                                   struct CUstream_st *stream)
{
    struct device_graph *graph = NULL;
    if (tuning->enqueue(tuning->context, candidate, stream) < 0 ||
        device_stream_wait(stream, NULL) < 0 || device_recording_begin(stream, NULL) < 0)
        return NULL;
    for (int run = 0; run < TUNING_DEVICE_RUNS; run++)
        if (tuning->enqueue(tuning->context, candidate, stream) < 0) {
            device_recording_abandon(stream);
            return NULL;
        }
    return device_recording_end(stream, &graph, NULL) < 0 ? NULL : graph;
}

static int run_graph(void *context, size_t candidate, double *ret_seconds)
{
    struct bench *bench = context;
    double seconds;
    if (!bench->graphs[candidate])
        return -ENOTSUP;
    int r = device_event_record(bench->start, bench->stream, bench->error);
    if (r == 0)
        r = device_graph_launch(bench->graphs[candidate], bench->stream, bench->error);
    if (r == 0)
        r = device_event_record(bench->end, bench->stream, bench->error);
    if (r == 0)
        r = device_event_wait(bench->end, bench->error);
    if (r == 0)
        r = device_event_seconds(bench->start, bench->end, &seconds, bench->error);
    if (r == 0)
        *ret_seconds = seconds / TUNING_DEVICE_RUNS;
    return r;
}

int tuning_device_run(const struct tuning_device *tuning, size_t *ret_winner, struct error *error)
{
    assert(tuning->count > 0 && tuning->count <= TUNING_CANDIDATES_MAX);
    CLEANUP(bench_release) struct bench bench = {.error = error};
    int r = bench_open(&bench, tuning->after);
    if (r < 0)
        return r;
    for (; bench.count < tuning->count; bench.count++)
        bench.graphs[bench.count] = record(tuning, bench.count, bench.stream);
    const struct tuning run = {.count = bench.count, .context = &bench, .run = run_graph};
    r = tuning_run(&run, ret_winner);
    if (r == -ENOTSUP)
        return error_set(error, r, "", "none of %zu ways can be recorded", tuning->count);
    return r;
}
