/* Pinned memory between the host and the device. */
#include "kernels/cross_entropy.h"
#include "kernels/device.h"
#include "worker/engine/cuda/program.h"

#include <string.h>

/* What lies in memory that is not pinned goes over in pieces of this size. */
enum { PIECE_BYTES = 4 << 20 };

static size_t aligned(size_t bytes)
{
    return (bytes + sizeof(double) - 1) / sizeof(double) * sizeof(double);
}

int cuda_staging_init(struct cuda_program *program, struct error *error)
{
    struct staging *staging = &program->staging;
    const size_t images = program->images;
    const size_t control = aligned(sizeof(struct step_control));
    const size_t loss = aligned(sizeof(struct cross_entropy_sum));
    const size_t row = aligned(images * sizeof(uint32_t));
    const size_t logits = aligned(images * program->tail.classes * sizeof(float));
    unsigned char *at = NULL;
    const int r = device_pinned_new(2 * control + loss + 3 * row + logits + PIECE_BYTES,
                                    &staging->pinned, error);
    if (r < 0)
        return r;
    at = staging->pinned;
    staging->control = (void *)at;
    staging->outcome = (void *)(at += control);
    staging->loss = (void *)(at += control);
    staging->labels = (void *)(at += loss);
    staging->partners = (void *)(at += row);
    staging->shares = (void *)(at += row);
    staging->logits = (void *)(at += row);
    staging->piece = at + logits;
    return 0;
}

void cuda_staging_release(struct cuda_program *program)
{
    device_pinned_free(program->staging.pinned);
    program->staging = (struct staging){0};
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int cuda_write_bytes(struct cuda_program *program, void *to_device, const void *from, size_t bytes)
{
    struct CUstream_st *stream = program->device->stream;
    unsigned char *piece = program->staging.piece;
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        const size_t length = smaller(bytes - at, PIECE_BYTES);
        memcpy(piece, (const unsigned char *)from + at, length);
        int r = device_write_async((unsigned char *)to_device + at, piece, length, stream, NULL);
        if (r == 0)
            r = device_stream_wait(stream, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

int cuda_read_bytes(struct cuda_program *program, void *ret_to, const void *from_device,
                    size_t bytes)
{
    struct CUstream_st *stream = program->device->stream;
    unsigned char *piece = program->staging.piece;
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        const size_t length = smaller(bytes - at, PIECE_BYTES);
        int r =
            device_read_async(piece, (const unsigned char *)from_device + at, length, stream, NULL);
        if (r == 0)
            r = device_stream_wait(stream, NULL);
        if (r < 0)
            return r;
        memcpy((unsigned char *)ret_to + at, piece, length);
    }
    return 0;
}
