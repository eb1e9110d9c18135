/* The listening socket: which addresses are allowed, and words for what goes wrong. */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stddef.h>

#include "search/error.h"

enum { LISTENER_NAME_SIZE = 64, LISTENER_BACKLOG = 512 };

/* Listens on "ADDRESS:PORT" of the loopback: "127.0.0.1:7700", "[::1]:7700", "localhost:0" (port 0:
 * a free one). The socket is non-blocking and closed on exec. -EINVAL, -EPERM for an address that
 * other machines can reach, -EADDRINUSE, or the system's error; `error` says what would be right.
 */
int listener_open(const char *address, int *ret_fd, struct error *error) MUST_USE;

/* Where the socket really listens: "127.0.0.1:7700", "[::1]:7700". */
void listener_name(int fd, char ret_name[LISTENER_NAME_SIZE]);

#endif
