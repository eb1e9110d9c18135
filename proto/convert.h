/* Between generated messages and plain structs. Inside proto/ only.
 *
 * _to_message fills a holder whose message points into the holder and into the value: both stay
 * where they are while the message is used. _from_message checks every field; `pointer` is the
 * message's place in the whole document, such as
 * "/task/recipe", and a NULL message is refused there. Errors as in proto/worker_api.h. */
#ifndef PROTO_CONVERT_H
#define PROTO_CONVERT_H

#include "proto/result.h"
#include "proto/task.h"
#include "proto/worker.pb-c.h"
#include "proto/worker_api.h"

struct architecture_message {
    Archscout__V1__Architecture message;
    Archscout__V1__Stage stages[ARCHITECTURE_STAGES_MAX];
    Archscout__V1__Stage *stage_pointers[ARCHITECTURE_STAGES_MAX];
};

struct task_message {
    Archscout__V1__Task message;
    struct architecture_message architecture, baseline;
    Archscout__V1__Recipe recipe;
    Archscout__V1__Dataset dataset;
};

struct datasets_message {
    Archscout__V1__Dataset datasets[WORKER_DATASETS_MAX];
    Archscout__V1__Dataset *pointers[WORKER_DATASETS_MAX];
};

struct task_result_message {
    Archscout__V1__Result message;
    Archscout__V1__StepTime step_time;
};

/* `code`, with `prefix` put before the error's pointer. */
int error_prefix(struct error *error, int code, const char *prefix);

void architecture_to_message(const struct architecture *architecture,
                             struct architecture_message *ret_message);
int architecture_from_message(const Archscout__V1__Architecture *message, const char *pointer,
                              struct architecture *ret_architecture, struct error *error) MUST_USE;

void task_to_message(const struct task *task, struct task_message *ret_message);
int task_from_message(const Archscout__V1__Task *message, const char *pointer,
                      struct task *ret_task, struct error *error) MUST_USE;

void datasets_to_message(const struct dataset *datasets, size_t count,
                         struct datasets_message *ret_message);
/* Refuses more than WORKER_DATASETS_MAX and a name that comes twice. */
int datasets_from_message(Archscout__V1__Dataset *const *messages, size_t count,
                          struct dataset *ret_datasets, struct error *error) MUST_USE;

Archscout__V1__Epoch epoch_metrics_to_message(const struct epoch_metrics *metrics);
int epoch_metrics_from_message(const Archscout__V1__Epoch *message, const char *pointer,
                               struct epoch_metrics *ret_metrics, struct error *error) MUST_USE;

void task_result_to_message(const struct task_result *result,
                            struct task_result_message *ret_message);
int task_result_from_message(const Archscout__V1__Result *message, const char *pointer,
                             struct task_result *ret_result, struct error *error) MUST_USE;

#endif
