/* Frames: whatever pieces they come in, however they are damaged. */
#include "proto/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Three frames: "one", an empty one, 300 bytes. */
enum { STREAM_LENGTH = 4 + 3 + 4 + 4 + 300 };

static void make_stream(uint8_t stream[STREAM_LENGTH])
{
    frame_header(3, stream);
    memcpy(stream + 4, "one", 3);
    frame_header(0, stream + 7);
    frame_header(300, stream + 11);
    memset(stream + 15, 'x', 300);
}

static void check_body(const struct buffer *body, size_t index)
{
    static const size_t lengths[] = {3, 0, 300};
    assert_true(index < 3);
    assert_int_equal(body->length, lengths[index]);
    if (index == 0)
        assert_memory_equal(body->data, "one", 3);
    if (index == 2)
        assert_int_equal(body->data[299], 'x');
}

static void decode_piece(struct frame_decoder *decoder, const uint8_t *bytes, size_t length,
                         size_t *count)
{
    int code;
    while ((code = frame_decode(decoder, &bytes, &length)) == FRAME_READY)
        check_body(&decoder->body, (*count)++);
    assert_int_equal(code, 0);
    assert_int_equal(length, 0);
}

static void test_the_header_is_little_endian(void **state)
{
    (void)state;
    static const uint8_t expected[FRAME_HEADER_SIZE] = {0x03, 0x02, 0x01, 0x00};
    uint8_t header[FRAME_HEADER_SIZE];
    frame_header(0x010203, header);
    assert_memory_equal(header, expected, sizeof expected);
}

static void test_frames_come_out_whole_wherever_the_stream_is_split(void **state)
{
    (void)state;
    uint8_t stream[STREAM_LENGTH];
    make_stream(stream);
    for (size_t first = 0; first <= STREAM_LENGTH; first++) {
        for (size_t second = first; second <= STREAM_LENGTH; second += 7) {
            struct frame_decoder decoder;
            size_t count = 0;
            frame_decoder_init(&decoder);
            decode_piece(&decoder, stream, first, &count);
            decode_piece(&decoder, stream + first, second - first, &count);
            decode_piece(&decoder, stream + second, STREAM_LENGTH - second, &count);
            assert_int_equal(count, 3);
            assert_true(frame_decoder_idle(&decoder));
            frame_decoder_release(&decoder);
        }
    }
}

static void test_frames_come_out_whole_byte_by_byte(void **state)
{
    (void)state;
    uint8_t stream[STREAM_LENGTH];
    struct frame_decoder decoder;
    size_t count = 0;
    make_stream(stream);
    frame_decoder_init(&decoder);
    for (size_t i = 0; i < STREAM_LENGTH; i++)
        decode_piece(&decoder, stream + i, 1, &count);
    assert_int_equal(count, 3);
    frame_decoder_release(&decoder);
}

static void test_the_decoder_knows_when_it_is_inside_a_frame(void **state)
{
    (void)state;
    uint8_t stream[STREAM_LENGTH];
    make_stream(stream);
    for (size_t cut = 0; cut <= STREAM_LENGTH; cut++) {
        struct frame_decoder decoder;
        size_t count = 0;
        frame_decoder_init(&decoder);
        decode_piece(&decoder, stream, cut, &count);
        bool between = cut == 0 || cut == 7 || cut == 11 || cut == STREAM_LENGTH;
        assert_int_equal(frame_decoder_idle(&decoder), between);
        frame_decoder_release(&decoder);
    }
}

static void test_the_longest_body_is_taken_and_a_longer_one_refused(void **state)
{
    (void)state;
    uint8_t *stream = calloc(1, FRAME_HEADER_SIZE + FRAME_BODY_MAX);
    assert_non_null(stream);
    frame_header(FRAME_BODY_MAX, stream);
    struct frame_decoder decoder;
    frame_decoder_init(&decoder);
    const uint8_t *bytes = stream;
    size_t length = FRAME_HEADER_SIZE + FRAME_BODY_MAX;
    assert_int_equal(frame_decode(&decoder, &bytes, &length), FRAME_READY);
    assert_int_equal(decoder.body.length, FRAME_BODY_MAX);
    stream[0] = 1; /* FRAME_BODY_MAX + 1 */
    bytes = stream;
    length = FRAME_HEADER_SIZE;
    assert_int_equal(frame_decode(&decoder, &bytes, &length), -EMSGSIZE);
    frame_decoder_release(&decoder);
    free(stream);
}

static void test_random_streams_do_no_harm(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2000; seed++) {
        uint64_t random = seed;
        uint8_t bytes[64];
        struct frame_decoder decoder;
        frame_decoder_init(&decoder);
        int code = 0;
        for (int piece = 0; piece < 8 && code >= 0; piece++) {
            for (size_t i = 0; i < sizeof bytes; i++) {
                random = random * UINT64_C(6364136223846793005) + 1;
                bytes[i] = (uint8_t)(random >> 40) & (i % 3 ? 0x00 : 0x1f);
            }
            const uint8_t *at = bytes;
            size_t length = random >> 32 & 63;
            do {
                code = frame_decode(&decoder, &at, &length);
            } while (code == FRAME_READY);
            assert_true(code == 0 || code == -EMSGSIZE);
            assert_true(decoder.body.length <= FRAME_BODY_MAX);
        }
        frame_decoder_release(&decoder);
    }
}

/* ---- blocking ---- */

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    int fds[2];
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(frame_write(fds[1], "one", 3), 0);
    assert_int_equal(frame_write(fds[1], "", 0), 0);
    close(fds[1]);
    assert_int_equal(frame_read(fds[0], &body), FRAME_READY);
    assert_int_equal(body.length, 3);
    assert_memory_equal(body.data, "one", 3);
    assert_int_equal(frame_read(fds[0], &body), FRAME_READY);
    assert_int_equal(body.length, 0);
    assert_int_equal(frame_read(fds[0], &body), FRAME_END);
    close(fds[0]);
    buffer_release(&body);
}

static void test_a_frame_larger_than_the_pipe_is_written_and_read(void **state)
{
    (void)state;
    int fds[2];
    uint8_t *large = malloc(FRAME_BODY_MAX);
    assert_non_null(large);
    memset(large, 'y', FRAME_BODY_MAX);
    assert_int_equal(pipe(fds), 0);
    pid_t writer = fork();
    if (writer == 0)
        _exit(frame_write(fds[1], large, FRAME_BODY_MAX) == 0 ? 0 : 1);
    close(fds[1]);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    assert_int_equal(frame_read(fds[0], &body), FRAME_READY);
    assert_int_equal(body.length, FRAME_BODY_MAX);
    assert_memory_equal(body.data, large, FRAME_BODY_MAX);
    int status = 1;
    waitpid(writer, &status, 0);
    assert_int_equal(status, 0);
    close(fds[0]);
    buffer_release(&body);
    free(large);
}

static int read_bytes(const void *bytes, size_t length)
{
    int fds[2];
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], bytes, length), length);
    close(fds[1]);
    int code = frame_read(fds[0], &body);
    close(fds[0]);
    buffer_release(&body);
    return code;
}

static void test_an_end_inside_a_frame_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(read_bytes("", 0), FRAME_END);
    assert_int_equal(read_bytes("\3\0", 2), -EPIPE);
    assert_int_equal(read_bytes("\3\0\0\0", 4), -EPIPE);
    assert_int_equal(read_bytes("\3\0\0\0on", 6), -EPIPE);
    assert_int_equal(read_bytes("\3\0\0\0one", 7), FRAME_READY);
}

static void test_a_body_beyond_the_maximum_is_neither_read_nor_written(void **state)
{
    (void)state;
    assert_int_equal(read_bytes("\xff\xff\xff\xff", 4), -EMSGSIZE);
    assert_int_equal(read_bytes("\1\0\x10\0", 4), -EMSGSIZE);
    assert_int_equal(frame_write(1, "", FRAME_BODY_MAX + 1), -EMSGSIZE);
}

static void test_writing_to_nobody_is_an_error(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(frame_write(fds[1], "one", 3), -EPIPE);
    signal(SIGPIPE, SIG_DFL);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_header_is_little_endian),
        cmocka_unit_test(test_frames_come_out_whole_wherever_the_stream_is_split),
        cmocka_unit_test(test_frames_come_out_whole_byte_by_byte),
        cmocka_unit_test(test_the_decoder_knows_when_it_is_inside_a_frame),
        cmocka_unit_test(test_the_longest_body_is_taken_and_a_longer_one_refused),
        cmocka_unit_test(test_random_streams_do_no_harm),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_a_frame_larger_than_the_pipe_is_written_and_read),
        cmocka_unit_test(test_an_end_inside_a_frame_is_an_error),
        cmocka_unit_test(test_a_body_beyond_the_maximum_is_neither_read_nor_written),
        cmocka_unit_test(test_writing_to_nobody_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
