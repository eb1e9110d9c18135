/* Valid values of everything that travels, with every field set to something of its own. */
#ifndef TESTS_UNIT_PROTO_SAMPLE_H
#define TESTS_UNIT_PROTO_SAMPLE_H

#include "proto/trainer_pipe.h"
#include "proto/worker_api.h"

struct architecture sample_architecture(void);
struct wire_checkpoint sample_checkpoint(void);
struct wire_task sample_task(void);
struct wire_epoch sample_epoch(uint32_t number);
struct wire_result sample_result(void); /* DONE */
struct register_request sample_registration(void);
struct report_request sample_report(void);
struct result_request sample_result_request(void);
struct trainer_message sample_hello(void);
struct trainer_message sample_checkpoint_written(void);

/* Fails the test where a field differs. */
void same_architecture(const struct architecture *a, const struct architecture *b);
void same_dataset(const struct dataset *a, const struct dataset *b);
void same_checkpoint(const struct wire_checkpoint *a, const struct wire_checkpoint *b);
void same_task(const struct wire_task *a, const struct wire_task *b);
void same_epoch(const struct wire_epoch *a, const struct wire_epoch *b);
void same_result(const struct wire_result *a, const struct wire_result *b);

#endif
