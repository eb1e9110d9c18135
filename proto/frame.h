/* Frames: how messages travel on the pipes between an agent and its trainer.
 *
 * A frame is the body's length in bytes (4 bytes, unsigned, little-endian), then the body: one
 * protobuf message.
 *
 * Non-blocking side: frame_decoder_init, then frame_decode for each piece of input as it comes,
 * frame_decoder_release. After an error the stream has lost its place: the decoder only accepts
 * frame_decoder_release. Blocking side (trainers): frame_read and frame_write. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "proto/buffer.h"
#include "search/attributes.h"

#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_HEADER_SIZE = 4,    /* bytes */
    FRAME_BODY_MAX = 1 << 20, /* bytes */
};

/* positive outcomes */
enum {
    FRAME_READY = 1, /* a whole body is there */
    FRAME_END = 2,   /* end of file where a frame would have begun */
};

struct frame_decoder {
    uint8_t header[FRAME_HEADER_SIZE];
    size_t header_length; /* bytes of the header seen */
    struct buffer body;
    size_t body_length; /* announced */
};

void frame_decoder_init(struct frame_decoder *decoder);
void frame_decoder_release(struct frame_decoder *decoder);

/* Takes bytes off the front of *bytes, *length. FRAME_READY: decoder->body holds a body until the
 * next call; input may be left, so call again. 0: all input was taken, the next frame is not
 * complete. -EMSGSIZE: a body longer than FRAME_BODY_MAX was announced; -ENOMEM. */
int frame_decode(struct frame_decoder *decoder, const uint8_t **bytes, size_t *length) MUST_USE;
/* True between frames: end of file here is a clean end. */
int frame_decoder_idle(const struct frame_decoder *decoder);

/* Writes the header of a body of `length` <= FRAME_BODY_MAX bytes. */
void frame_header(size_t length, uint8_t ret_header[FRAME_HEADER_SIZE]);

/* Reads one body into `body` (emptied first; its maximum is at least FRAME_BODY_MAX). Blocks;
 * interrupted calls go on. FRAME_READY, FRAME_END, -EPIPE at an end of file inside a frame,
 * -EMSGSIZE, -ENOMEM, or read(2)'s negative errno. */
int frame_read(int fd, struct buffer *body) MUST_USE;
/* Writes header and body whole. Blocks. -EMSGSIZE or write(2)'s negative errno: -EPIPE where
 * SIGPIPE is ignored and the other side is gone. */
int frame_write(int fd, const void *body, size_t length) MUST_USE;

#endif
