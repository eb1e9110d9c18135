/* What an agent tells the daemon of itself, collected from its slots. */
#ifndef WORKER_AGENT_REGISTRATION_H
#define WORKER_AGENT_REGISTRATION_H

#include "worker/agent_slot.h"

/* True once every slot's trainer has said hello or failed, and one has said hello. */
bool registration_ready(const struct slot *slots, uint32_t slot_count);

/* The data sets are those of all slots; where two trainers disagree on one, the first is believed. */
void registration_collect(const struct agent_shared *shared, const struct slot *slots,
                          uint32_t slot_count, struct register_request *ret_request);

#endif
