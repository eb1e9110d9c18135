/* CUDA devices, their memory, streams, events and graphs, for C code that must not see CUDA's headers.
 *
 * Everything works on the device that the calling thread uses: device 0 until device_use. CUDA's codes become -ENODEV (no
 * device, or no driver that can use it), -ENOMEM (the device's memory or the host's) or -EIO, with its own words in the error.
 * -EIO: what CUDA keeps of a failure in a kernel, every later call fails with; the process should end. A failure of work that was
 * only queued shows in whatever waits for it.
 *
 * Streams do not wait for the default one (NULL), nor it for them. */
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "search/error.h"

struct CUstream_st; /* cudaStream_t */
struct CUevent_st;  /* cudaEvent_t */
struct device_graph;

/* Which devices there are */

enum { DEVICE_FACTS_NAME_SIZE = 128, DEVICE_UUID_SIZE = 48 };

struct device_facts {
    char name[DEVICE_FACTS_NAME_SIZE]; /* "NVIDIA H200" */
    char uuid
        [DEVICE_UUID_SIZE]; /* "GPU-01234567-89ab-cdef-0123-456789abcdef", as nvidia-smi writes it */
    size_t memory_bytes;
    int major, minor; /* compute capability */
    int multiprocessors;
    int clock_khz, memory_clock_khz, memory_bus_bits; /* at most */
    int cache_bytes;                                  /* of the second level */
    int driver_version, runtime_version;              /* CUDA's: 13000 is 13.0 */
};

/* 0 where there are none, or no driver. */
int device_count(void);
/* 0 where there is a device; -ENODEV otherwise. */
int device_check(struct error *error) MUST_USE;
/* The index of the device that `name` means: "cuda", the first; "cuda:N"; "cuda:GPU-...", by its whole UUID. -EINVAL for
 * anything else; -ENODEV where it is not there. Both say what is there. */
int device_find(const char *name, int *ret_index, struct error *error) MUST_USE;
/* Takes none of the device's memory, as using it would. */
int device_facts_get(int index, struct device_facts *ret_facts, struct error *error) MUST_USE;
/* From now on this thread uses that device. */
int device_use(int index, struct error *error) MUST_USE;
/* Bytes of the device's memory that no process uses. */
int device_memory_free(size_t *ret_bytes, struct error *error) MUST_USE;

/* CUDA's words for the failure that the device does not get over; "" where it works. Waits for the device. */
void device_failure(char *ret_text, size_t size);

/* Memory */

/* Aligned to 256 bytes. 0 bytes: NULL. */
int device_buffer_new(size_t bytes, void **ret_buffer, struct error *error) MUST_USE;
void device_buffer_free(void *buffer); /* waits for the device; NULL is legal */
/* The host's memory that copies on streams go from and to, in the place where the device finds it. 0 bytes: NULL. */
int device_pinned_new(size_t bytes, void **ret_memory, struct error *error) MUST_USE;
void device_pinned_free(void *memory); /* NULL is legal */

/* On the default stream; they wait for it and for themselves. */
int device_write(void *to_device, const void *from, size_t bytes, struct error *error) MUST_USE;
int device_read(void *ret_to, const void *from_device, size_t bytes, struct error *error) MUST_USE;

/* On a stream. The host's side is memory of device_pinned_new, and stays as it is, or is not looked at, until the stream has been
 * waited for. */
int device_write_async(void *to_device, const void *from_pinned, size_t bytes,
                       struct CUstream_st *stream, struct error *error) MUST_USE;
int device_read_async(void *ret_to_pinned, const void *from_device, size_t bytes,
                      struct CUstream_st *stream, struct error *error) MUST_USE;
int device_copy_async(void *to_device, const void *from_device, size_t bytes,
                      struct CUstream_st *stream, struct error *error) MUST_USE;
int device_fill_async(void *device_memory, uint8_t byte, size_t bytes, struct CUstream_st *stream,
                      struct error *error) MUST_USE;

/* Streams and events */

int device_stream_new(struct CUstream_st **ret_stream, struct error *error) MUST_USE;
void device_stream_free(struct CUstream_st *stream); /* after it was waited for; NULL is legal */
int device_stream_wait(struct CUstream_st *stream, struct error *error) MUST_USE;

int device_event_new(struct CUevent_st **ret_event, struct error *error) MUST_USE;
void device_event_free(struct CUevent_st *event); /* NULL is legal */
/* The event is when the stream gets here; it is that of the last recording. */
int device_event_record(struct CUevent_st *event, struct CUstream_st *stream,
                        struct error *error) MUST_USE;
/* The host waits. One never recorded is over. */
int device_event_wait(struct CUevent_st *event, struct error *error) MUST_USE;
/* What is put onto the stream from now on waits. */
int device_stream_wait_event(struct CUstream_st *stream, struct CUevent_st *event,
                             struct error *error) MUST_USE;
/* By the device's clock. Both have been recorded, outside of a recording, and waited for. */
int device_event_seconds(struct CUevent_st *start, struct CUevent_st *end, double *ret_seconds,
                         struct error *error) MUST_USE;

/* Graphs: what is put onto the stream between begin and end is not done but recorded, with its arguments. Until then this thread
 * allocates and frees nothing on the device, and waits for nothing. */

int device_recording_begin(struct CUstream_st *stream, struct error *error) MUST_USE;
/* Where it fails, the recording is over as well. */
int device_recording_end(struct CUstream_st *stream, struct device_graph **ret_graph,
                         struct error *error) MUST_USE;
/* Ends a recording that nobody wants any more. */
void device_recording_abandon(struct CUstream_st *stream);
size_t device_graph_nodes(const struct device_graph *graph); /* kernels, copies and fills in it */
/* All of it, on the stream, in the recorded order. */
int device_graph_launch(struct device_graph *graph, struct CUstream_st *stream,
                        struct error *error) MUST_USE;
void device_graph_free(struct device_graph *graph); /* after it was waited for; NULL is legal */

#ifdef __cplusplus
}
#endif

#endif
