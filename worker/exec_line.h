/* What a command says on its standard output: one JSON object a line (docs/exec-trainer.md has every field). */
#ifndef WORKER_EXEC_LINE_H
#define WORKER_EXEC_LINE_H

#include "proto/trainer_pipe.h"

enum { EXEC_LINE_BYTES_MAX = 65536 }; /* of a line, without its line feed */

enum exec_line_kind { EXEC_LINE_PROGRESS, EXEC_LINE_EPOCH, EXEC_LINE_RESULT };

struct exec_line {
    enum exec_line_kind kind;
    bool images_given; /* in a result */
    union {
        struct wire_progress progress;
        struct wire_epoch epoch;   /* seconds 0 where they were not given */
        struct wire_result result; /* seconds and first_step_s are 0 */
    };
};

/* Reads a line. -EINVAL with a message for what is no such line; -EDOM, with the kind set, where a measured value is null, or NaN
 * or infinite as Python, JavaScript and C write them; -ENOMEM. */
int exec_line_read(const char *line, size_t length, struct exec_line *ret_line,
                   struct error *error) MUST_USE;

#endif
