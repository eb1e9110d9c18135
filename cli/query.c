#include "cli/query.h"

#include "proto/http_client.h"

#include <stdarg.h>
#include <string.h>

void query_init(struct query *query, const char *format, ...)
{
    *query = (struct query){.length = 0};
    va_list values;
    va_start(values, format);
    int length = vsnprintf(query->path, sizeof query->path, format, values);
    va_end(values);
    query->too_long = length < 0 || (size_t)length >= sizeof query->path;
    query->length = strlen(query->path);
}

void query_add(struct query *query, const char *name, const char *value)
{
    char escaped[API_PATH_SIZE];
    if (!value)
        return;
    if (http_escape(value, escaped, sizeof escaped)) {
        query->too_long = true;
        return;
    }
    char separator = strchr(query->path, '?') ? '&' : '?';
    size_t room = sizeof query->path - query->length;
    int length = snprintf(query->path + query->length, room, "%c%s=%s", separator, name, escaped);
    query->too_long = query->too_long || length < 0 || (size_t)length >= room;
    query->length = strlen(query->path);
}

enum exit_code query_get(struct cli *cli, const struct query *query, struct api_reply *ret_reply)
{
    if (query->too_long)
        return problem_say(cli, EXIT_CODE_USAGE, "the values are too long");
    return api_get_json(cli, query->path, ret_reply);
}
