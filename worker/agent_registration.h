/* What an agent tells the daemon of itself, collected from its slots. */
#ifndef WORKER_AGENT_REGISTRATION_H
#define WORKER_AGENT_REGISTRATION_H

#include "worker/agent_slot.h"

/* True once every slot's trainer has said hello or failed, and one has said hello. */
bool registration_ready(const struct slot *slots, uint32_t slot_count);

/* The data sets are those of all slots; where two trainers disagree on one, the first is believed. */
void registration_collect(const struct agent_shared *shared, const struct slot *slots,
                          uint32_t slot_count, struct register_request *ret_request);
/* Logs what is in the way of data sets where it was not in the answer before, and that all are taken again. */
void registration_log_problems(const struct log *log, const struct register_response *before,
                               const struct register_response *now);

#endif
