#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

void frame_decoder_init(struct frame_decoder *decoder)
{
    *decoder = (struct frame_decoder){0};
    buffer_init(&decoder->body, FRAME_BODY_MAX);
}

void frame_decoder_release(struct frame_decoder *decoder)
{
    if (decoder)
        buffer_release(&decoder->body);
}

void frame_header(size_t length, uint8_t ret_header[FRAME_HEADER_SIZE])
{
    assert(length <= FRAME_BODY_MAX);
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        ret_header[i] = (uint8_t)(length >> (8 * i));
}

static size_t header_body_length(const uint8_t header[FRAME_HEADER_SIZE])
{
    size_t length = 0;
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        length |= (size_t)header[i] << (8 * i);
    return length;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int decode_header(struct frame_decoder *decoder, const uint8_t **bytes, size_t *length)
{
    size_t taken = smaller(FRAME_HEADER_SIZE - decoder->header_length, *length);
    memcpy(decoder->header + decoder->header_length, *bytes, taken);
    decoder->header_length += taken;
    *bytes += taken;
    *length -= taken;
    if (decoder->header_length < FRAME_HEADER_SIZE)
        return 0;
    decoder->body_length = header_body_length(decoder->header);
    return decoder->body_length > FRAME_BODY_MAX ? -EMSGSIZE : FRAME_READY;
}

int frame_decode(struct frame_decoder *decoder, const uint8_t **bytes, size_t *length)
{
    if (decoder->header_length == FRAME_HEADER_SIZE &&
        decoder->body.length == decoder->body_length) {
        decoder->header_length = 0;
        decoder->body.length = 0;
    }
    if (!*length)
        return 0;
    if (decoder->header_length < FRAME_HEADER_SIZE) {
        int code = decode_header(decoder, bytes, length);
        if (code <= 0)
            return code;
    }
    size_t taken = smaller(decoder->body_length - decoder->body.length, *length);
    int code = buffer_append(&decoder->body, *bytes, taken);
    if (code < 0)
        return code;
    *bytes += taken;
    *length -= taken;
    return decoder->body.length == decoder->body_length ? FRAME_READY : 0;
}

int frame_decoder_idle(const struct frame_decoder *decoder)
{
    return decoder->header_length == 0 || (decoder->header_length == FRAME_HEADER_SIZE &&
                                           decoder->body.length == decoder->body_length);
}

/* Bytes read, fewer than `length` only at the end of the file, or a negative errno. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = read(fd, bytes + done, length - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = write(fd, bytes + done, length - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        done += (size_t)count;
    }
    return 0;
}

int frame_read(int fd, struct buffer *body)
{
    uint8_t header[FRAME_HEADER_SIZE];
    body->length = 0;
    ssize_t count = read_all(fd, header, sizeof header);
    if (count < 0)
        return (int)count;
    if (count == 0)
        return FRAME_END;
    if (count < FRAME_HEADER_SIZE)
        return -EPIPE;
    size_t length = header_body_length(header);
    if (length > FRAME_BODY_MAX)
        return -EMSGSIZE;
    int code = buffer_reserve(body, length);
    if (code < 0)
        return code;
    count = read_all(fd, body->data, length);
    if (count < 0)
        return (int)count;
    if ((size_t)count < length)
        return -EPIPE;
    body->length = length;
    return FRAME_READY;
}

int frame_write(int fd, const void *body, size_t length)
{
    if (length > FRAME_BODY_MAX)
        return -EMSGSIZE;
    uint8_t header[FRAME_HEADER_SIZE];
    frame_header(length, header);
    int code = write_all(fd, header, sizeof header);
    return code < 0 ? code : write_all(fd, body, length);
}
