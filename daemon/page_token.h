/* Page tokens: where the next page starts, bound to the query that it belongs to. */
#ifndef DAEMON_PAGE_TOKEN_H
#define DAEMON_PAGE_TOKEN_H

#include <stdbool.h>

#include "daemon/http_request.h"
#include "daemon/view.h"

enum { PAGE_TOKEN_SIZE = 64 };

/* The token for `cursor`, which is set; the query's own page_size and page_token do not matter. */
void page_token_write(const struct http_request *request, const struct candidate_cursor *cursor,
                      char ret_token[PAGE_TOKEN_SIZE]);
/* False where the token is none, or is of another query. */
bool page_token_read(const struct http_request *request, const char *token,
                     struct candidate_cursor *ret_cursor) MUST_USE;

#endif
