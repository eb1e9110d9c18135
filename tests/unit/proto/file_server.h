/* An HTTP server in this process that serves one file under each path, well or badly. Failures end the test. */
#ifndef TESTS_UNIT_PROTO_FILE_SERVER_H
#define TESTS_UNIT_PROTO_FILE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILE_SERVER_URL_SIZE = 128 };

struct file_server;

/* How it behaves; may be changed between requests. */
struct file_server_behaviour {
    bool no_ranges;   /* sends the whole file whatever is asked for */
    bool wrong_range; /* sends another part than was asked for */
    const char *
        tag; /* ETag, with its quotes; NULL: none. An If-Range with another one gets the whole file */
    const char *next_tag;   /* the ETag after a break; NULL: the same */
    size_t break_after;     /* bytes of a body, after which the connection breaks; 0: it does not */
    unsigned breaks_left;   /* so many times */
    unsigned status;        /* instead of the file; 0: the file */
    unsigned failures_left; /* `status` only so many times; 0: always */
    const char *redirect;   /* Location, with status 302, for the path /moved */
};

/* Serves `bytes`, which must outlive it, at any path. */
struct file_server *file_server_start(const uint8_t *bytes, size_t length);
void file_server_stop(struct file_server *server);

struct file_server_behaviour *file_server_behaviour(struct file_server *server);
void file_server_serve(struct file_server *server, const uint8_t *bytes, size_t length);
/* "http://127.0.0.1:PORT/path" */
void file_server_url(const struct file_server *server, const char *path,
                     char ret_url[FILE_SERVER_URL_SIZE]);
unsigned file_server_requests(const struct file_server *server);
uint64_t file_server_bytes_sent(const struct file_server *server); /* of bodies */

#endif
