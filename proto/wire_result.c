#include "proto/wire_result.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

const char *wire_outcome_name(enum wire_outcome outcome)
{
    static const char *const names[] = {"done", "diverged", "out_of_memory",
                                        "lost", "failed",   "returned"};
    assert(outcome >= WIRE_OUTCOME_DONE && outcome <= WIRE_OUTCOME_RETURNED);
    return names[outcome - WIRE_OUTCOME_DONE];
}

struct measured {
    const char *pointer;
    double value, min, max;
};

static int check_measured(const struct measured *values, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i].value))
            return error_set(error, -EDOM, values[i].pointer, "is not finite");
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i].value < values[i].min || values[i].value > values[i].max)
            return error_set(error, -EINVAL, values[i].pointer, "must be %g to %g", values[i].min,
                             values[i].max);
    }
    return 0;
}

int wire_epoch_validate(const struct wire_epoch *metrics, struct error *error)
{
    if (metrics->number == 0)
        return error_set(error, -EINVAL, "/number", "epochs are counted from 1");
    const struct measured values[] = {
        {"/train_loss", metrics->train_loss, 0, HUGE_VAL},
        {"/train_accuracy", metrics->train_accuracy, 0, 1},
        {"/validation_loss", metrics->validation_loss, 0, HUGE_VAL},
        {"/validation_accuracy", metrics->validation_accuracy, 0, 1},
        {"/seconds", metrics->seconds, 0, HUGE_VAL},
    };
    return check_measured(values, ARRAY_LENGTH(values), error);
}

int wire_result_validate(const struct wire_result *result, struct error *error)
{
    if (result->outcome < WIRE_OUTCOME_DONE || result->outcome > WIRE_OUTCOME_RETURNED)
        return error_set(error, -EINVAL, "/outcome", "must be a known outcome");
    if (!memchr(result->message, '\0', sizeof result->message))
        return error_set(error, -EINVAL, "/message", "must have at most %d bytes",
                         WIRE_MESSAGE_SIZE - 1);
    const struct wire_step_time *step_time = &result->step_time;
    const struct measured values[] = {
        {"/accuracy", result->accuracy, 0, 1},
        {"/loss", result->loss, 0, HUGE_VAL},
        {"/step_time/median_s", step_time->median_s, 0, HUGE_VAL},
        {"/step_time/spread_s", step_time->spread_s, 0, HUGE_VAL},
        {"/step_time/baseline_s", step_time->baseline_s, 0, HUGE_VAL},
        {"/seconds", result->seconds, 0, HUGE_VAL},
        {"/first_step_s", result->first_step_s, 0, HUGE_VAL},
    };
    int code = check_measured(values, ARRAY_LENGTH(values), error);
    if (code < 0 || result->outcome != WIRE_OUTCOME_DONE)
        return code;
    if (step_time->median_s <= 0 && step_time->baseline_s <= 0)
        return 0;
    if (step_time->median_s <= 0)
        return error_set(error, -EINVAL, "/step_time/median_s",
                         "must be above 0 where baseline_s is");
    if (step_time->baseline_s <= 0)
        return error_set(error, -EINVAL, "/step_time/baseline_s",
                         "must be above 0 where median_s is");
    return 0;
}
