#include "daemon/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IPV4_LOOPBACK_NET = 127, PORT_DIGITS_MAX = 5 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_port(const char *text, uint16_t *ret_port)
{
    size_t length = strlen(text);
    if (length == 0 || length > PORT_DIGITS_MAX || strspn(text, "0123456789") != length)
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    if (port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* "127.0.0.1:7700", "[::1]:7700", "localhost:7700" */
static int parse(const char *text, union address *ret_address, struct error *error)
{
    char host[INET6_ADDRSTRLEN + 2];
    union address address = {0};
    uint16_t port = 0;
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= sizeof host || !parse_port(colon + 1, &port))
        return error_set(error, -EINVAL, "",
                         "'%.80s' is not ADDRESS:PORT, for example 127.0.0.1:7700 or [::1]:7700",
                         text);
    memcpy(host, text, length);
    host[length] = '\0';
    if (strcmp(host, "localhost") == 0)
        snprintf(host, sizeof host, "127.0.0.1");
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        if (inet_pton(AF_INET6, host + 1, &address.v6.sin6_addr) == 1) {
            *ret_address = address;
            return 0;
        }
    } else {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
            *ret_address = address;
            return 0;
        }
    }
    return error_set(error, -EINVAL, "",
                     "'%.80s' is not an IP address: write it as in 127.0.0.1:7700 or [::1]:7700",
                     text);
}

static bool is_loopback(const union address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    return ntohl(address->v4.sin_addr.s_addr) >> 24 == IPV4_LOOPBACK_NET;
}

static int open_socket(const union address *address)
{
    socklen_t size = address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
    int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, &address->any, size) < 0 || listen(fd, LISTENER_BACKLOG) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

int listener_open(const char *text, int *ret_fd, struct error *error)
{
    union address address;
    int code = parse(text, &address, error);
    if (code < 0)
        return code;
    if (!is_loopback(&address))
        return error_set(error, -EPERM, "",
                         "will not listen on %s: other machines could reach it, and there are "
                         "neither tokens nor TLS yet; use 127.0.0.1:PORT or [::1]:PORT (an SSH "
                         "tunnel or an authenticating proxy can forward to it)",
                         text);
    int fd = open_socket(&address);
    if (fd == -EADDRINUSE)
        return error_set(error, fd, "",
                         "%s is in use, perhaps by another archscoutd; choose another port with "
                         "--listen, or port 0 for any free one",
                         text);
    if (fd < 0)
        return error_set(error, fd, "", "cannot listen on %s: %s", text, strerror(-fd));
    *ret_fd = fd;
    return 0;
}

void listener_name(int fd, char ret_name[LISTENER_NAME_SIZE])
{
    union address address = {0};
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    if (getsockname(fd, &address.any, &size) < 0)
        address.any.sa_family = AF_INET;
    if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
        snprintf(ret_name, LISTENER_NAME_SIZE, "[%s]:%u", host, ntohs(address.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
        snprintf(ret_name, LISTENER_NAME_SIZE, "%s:%u", host, ntohs(address.v4.sin_port));
    }
}
