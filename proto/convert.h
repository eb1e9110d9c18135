/* Between generated messages and plain structs. Inside proto/ only.
 *
 * _to_message fills a holder whose message points into the holder and into the value: both stay
 * where they are while the message is used. _from_message checks every field; `pointer` is the
 * message's place in the whole document, such as
 * "/task/recipe", and a NULL message is refused there. Errors as in proto/worker_api.h. */
#ifndef PROTO_CONVERT_H
#define PROTO_CONVERT_H

#include "proto/wire_result.h"
#include "proto/wire_task.h"
#include "proto/worker.pb-c.h"
#include "proto/worker_api.h"

struct architecture_message {
    Archscout__V1__Architecture message;
    Archscout__V1__Stage stages[ARCHITECTURE_STAGES_MAX];
    Archscout__V1__Stage *stage_pointers[ARCHITECTURE_STAGES_MAX];
};

struct recipe_message {
    Archscout__V1__Recipe message;
    Archscout__V1__RecipeStage stages[RECIPE_STAGES_MAX];
    Archscout__V1__RecipeStage *stage_pointers[RECIPE_STAGES_MAX];
};

struct wire_task_message {
    Archscout__V1__Task message;
    struct architecture_message architecture, baseline;
    struct recipe_message recipe;
    Archscout__V1__Dataset dataset;
    Archscout__V1__Checkpoint checkpoint;
};

struct datasets_message {
    Archscout__V1__Dataset datasets[WIRE_DATASETS_MAX];
    Archscout__V1__Dataset *pointers[WIRE_DATASETS_MAX];
};

struct wire_result_message {
    Archscout__V1__Result message;
    Archscout__V1__StepTime step_time;
};

void architecture_to_message(const struct architecture *architecture,
                             struct architecture_message *ret_message);
int architecture_from_message(const Archscout__V1__Architecture *message, const char *pointer,
                              struct architecture *ret_architecture, struct error *error) MUST_USE;

/* Ranges are left to recipe_validate. */
void recipe_to_message(const struct recipe *recipe, struct recipe_message *ret_message);
int recipe_from_message(const Archscout__V1__Recipe *message, struct recipe *ret_recipe,
                        struct error *error) MUST_USE;

void wire_task_to_message(const struct wire_task *task, struct wire_task_message *ret_message);
int wire_task_from_message(const Archscout__V1__Task *message, const char *pointer,
                           struct wire_task *ret_task, struct error *error) MUST_USE;

void datasets_to_message(const struct dataset *datasets, size_t count,
                         struct datasets_message *ret_message);
/* Refuses more than WIRE_DATASETS_MAX and a name that comes twice. */
int datasets_from_message(Archscout__V1__Dataset *const *messages, size_t count,
                          struct dataset *ret_datasets, struct error *error) MUST_USE;

Archscout__V1__Epoch wire_epoch_to_message(const struct wire_epoch *metrics);
int wire_epoch_from_message(const Archscout__V1__Epoch *message, const char *pointer,
                            struct wire_epoch *ret_metrics, struct error *error) MUST_USE;

Archscout__V1__Checkpoint wire_checkpoint_to_message(const struct wire_checkpoint *checkpoint);
/* A NULL message is no checkpoint. */
int wire_checkpoint_from_message(const Archscout__V1__Checkpoint *message, const char *pointer,
                                 struct wire_checkpoint *ret_checkpoint,
                                 struct error *error) MUST_USE;
/* An empty text is legal. */
int wire_path_from_message(const char *text, const char *pointer, char ret_path[WIRE_PATH_SIZE],
                           struct error *error) MUST_USE;

void wire_result_to_message(const struct wire_result *result,
                            struct wire_result_message *ret_message);
int wire_result_from_message(const Archscout__V1__Result *message, const char *pointer,
                             struct wire_result *ret_result, struct error *error) MUST_USE;

#endif
