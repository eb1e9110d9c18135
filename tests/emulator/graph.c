#include "tests/emulator/state.h"

#include <stdlib.h>

void graph_release(struct CUgraph_st *graph)
{
    if (--graph->holders > 0)
        return;
    operations_free(&graph->operations);
    free(graph);
}

void exec_release(struct CUgraphExec_st *exec)
{
    if (--exec->holders > 0)
        return;
    graph_release(exec->graph);
    free(exec);
}

cudaError_t capture_spoil(const struct CUstream_st *stream)
{
    if (!stream->capture)
        return cudaSuccess;
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    struct machine *machine = machine_enter();
    if (machine->broken != cudaSuccess)
        return machine_leave(machine, cudaSuccess);
    if (!stream || mode > cudaStreamCaptureModeRelaxed)
        return machine_leave(machine, cudaErrorStreamCaptureUnsupported);
    if (stream->capture)
        return machine_leave(machine, capture_spoil(stream));
    struct CUgraph_st *graph = calloc(1, sizeof *graph);
    if (!graph)
        return machine_leave(machine, cudaErrorMemoryAllocation);
    graph->holders = 1;
    graph->capture = ++machine->capture_count;
    graph->origin = stream;
    graph->mode = mode;
    graph->thread = pthread_self();
    stream->capture = graph;
    stream->joined = true;
    return machine_leave(machine, cudaSuccess);
}

/* Takes all streams out of the capture; false where one has work that the origin does not wait for. */
static bool capture_end(struct machine *machine, const struct CUgraph_st *graph)
{
    bool joined = true;
    for (struct CUstream_st *stream = machine->streams; stream; stream = stream->next) {
        if (stream->capture != graph)
            continue;
        joined = joined && stream->joined;
        stream->capture = NULL;
    }
    return joined;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *ret_graph)
{
    struct machine *machine = machine_enter();
    if (!stream || !stream->capture || stream->capture->origin != stream)
        return machine_leave(machine, cudaErrorInvalidValue);
    struct CUgraph_st *graph = stream->capture;
    const bool joined = capture_end(machine, graph);
    if (joined && !graph->invalid && machine->broken == cudaSuccess) {
        *ret_graph = graph;
        return machine_leave(machine, cudaSuccess);
    }
    const bool invalid = graph->invalid;
    graph_release(graph);
    return machine_leave(machine, invalid ? cudaErrorStreamCaptureInvalidated
                                          : cudaErrorStreamCaptureUnjoined);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *ret_status)
{
    struct machine *machine = machine_enter();
    const struct CUgraph_st *capture = stream ? stream->capture : NULL;
    *ret_status = !capture           ? cudaStreamCaptureStatusNone
                  : capture->invalid ? cudaStreamCaptureStatusInvalidated
                                     : cudaStreamCaptureStatusActive;
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ret_exec, cudaGraph_t graph,
                                 unsigned long long flags)
{
    struct machine *machine = machine_enter();
    if (flags != 0 || !launches_fit(machine, &graph->operations))
        return machine_leave(machine, cudaErrorInvalidValue);
    if (machine->broken != cudaSuccess)
        return machine_leave(machine, cudaSuccess);
    struct CUgraphExec_st *exec = calloc(1, sizeof *exec);
    if (!exec)
        return machine_leave(machine, cudaErrorMemoryAllocation);
    exec->holders = 1;
    exec->graph = graph;
    graph->holders++;
    *ret_exec = exec;
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, struct CUgraphNode_st **ret_nodes,
                              size_t *ret_count)
{
    struct machine *machine = machine_enter();
    if (ret_nodes)
        return machine_leave(machine, cudaErrorInvalidValue);
    *ret_count = graph->operations.count;
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    (void)exec;
    (void)stream;
    return machine_leave(machine_enter(), cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    struct machine *machine = machine_enter();
    if (!launches_fit(machine, &exec->graph->operations))
        return machine_leave(machine, cudaErrorInvalidValue);
    struct operation *operation = operation_new(OPERATION_GRAPH, NULL, 0);
    if (operation) {
        operation->graph = exec;
        exec->holders++;
    }
    return machine_leave(machine, stream_add(machine, stream, operation));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    struct machine *machine = machine_enter();
    exec_release(exec);
    return machine_leave(machine, cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    struct machine *machine = machine_enter();
    graph_release(graph);
    return machine_leave(machine, cudaSuccess);
}
