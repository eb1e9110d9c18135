/* Which devices there are, asked of the trainer program: the agent itself never touches one. */
#ifndef WORKER_AGENT_DEVICES_H
#define WORKER_AGENT_DEVICES_H

#include "worker/agent_options.h"

enum { DEVICES_ASK_MS = 60000 /* that the program has: a driver can take long to wake */ };

/* Runs `trainer_path --list-devices` with ARCHSCOUT_DEVICE set to `device`, and waits for its end. -ENODEV with the program's words
 * where it ends with another status than 0 or names no device, -ETIMEDOUT, -EBADMSG where what it prints is no list of devices,
 * and process_spawn's. */
int agent_devices_ask(const char *trainer_path, const char *device, uint32_t timeout_ms,
                      struct agent_devices *ret_devices, struct error *error) MUST_USE;

/* Reads lines as archscout-trainer prints them: "cuda:0 GPU-5d2b... 150754820096 NVIDIA H200". Devices are named by their UUID,
 * which always means the same one, where they have one. Changes `text`. -ENODEV where it is empty, -EBADMSG. */
int agent_devices_read(char *text, struct agent_devices *ret_devices, struct error *error) MUST_USE;

#endif
