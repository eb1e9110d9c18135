/* Event streams: the coordinator's committed events as server-sent events.
 *
 * A stream is a position in the log of events, so a slow client costs no memory: it reads on when it can. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "search/attributes.h"

struct events;
struct api_options;

int events_new(const struct api_options *options,
               struct events **ret_events) MUST_USE; /* -ENOMEM */
/* After the HTTP server is closed. NULL is legal. */
void events_free(struct events *events);
/* There may be new events. */
void events_wake(struct events *events);

#endif
