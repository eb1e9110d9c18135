#include "cli/find_search.h"

#include "cli/query.h"

#include <string.h>

enum { PAGES_MAX = 1000 };

struct match {
    const char *called;
    size_t exact, partial; /* how many searches have this name, or one that begins so */
    char exact_id[API_ID_SIZE], partial_id[API_ID_SIZE];
};

static void print_id(const json_t *search, char ret_id[API_ID_SIZE])
{
    snprintf(ret_id, API_ID_SIZE, "%llu", (unsigned long long)api_integer(search, "id"));
}

static void take_page(struct match *match, const json_t *searches)
{
    size_t index;
    json_t *search;
    json_array_foreach(searches, index, search)
    {
        const char *name = api_text(search, "name");
        if (strcmp(name, match->called) == 0 && match->exact++ == 0)
            print_id(search, match->exact_id);
        if (strncmp(name, match->called, strlen(match->called)) == 0 && match->partial++ == 0)
            print_id(search, match->partial_id);
    }
}

static enum exit_code match_name(struct cli *cli, struct match *match)
{
    char token[API_PATH_SIZE] = "";
    for (int page = 0; page < PAGES_MAX; page++) {
        struct query query;
        struct api_reply reply = {0};
        query_init(&query, "/v1/searches?page_size=1000");
        query_add(&query, "page_token", *token ? token : NULL);
        enum exit_code code = query_get(cli, &query, &reply);
        if (code)
            return code;
        take_page(match, api_field(reply.json, "searches"));
        snprintf(token, sizeof token, "%s", api_text(reply.json, "next_page_token"));
        api_reply_release(&reply);
        if (!*token)
            break;
    }
    return EXIT_CODE_OK;
}

static enum exit_code find_latest(struct cli *cli, char ret_id[API_ID_SIZE])
{
    struct api_reply reply = {0};
    enum exit_code code = api_get_json(cli, "/v1/searches?page_size=1", &reply);
    if (code)
        return code;
    const json_t *search = json_array_get(api_field(reply.json, "searches"), 0);
    if (search)
        print_id(search, ret_id);
    else
        code = problem_say(cli, EXIT_CODE_NOT_FOUND,
                           "the daemon has no searches yet: archscout submit SPEC.json");
    api_reply_release(&reply);
    return code;
}

enum exit_code find_search(struct cli *cli, const char *called, char ret_id[API_ID_SIZE])
{
    if (called[0] && strspn(called, "0123456789") == strlen(called) &&
        strlen(called) < API_ID_SIZE) {
        snprintf(ret_id, API_ID_SIZE, "%s", called);
        return EXIT_CODE_OK;
    }
    if (strcmp(called, "latest") == 0)
        return find_latest(cli, ret_id);
    struct match match = {.called = called};
    enum exit_code code = match_name(cli, &match);
    if (code)
        return code;
    size_t count = match.exact ? match.exact : match.partial;
    if (count == 0)
        return problem_say(cli, EXIT_CODE_NOT_FOUND,
                           "no search is called \"%s\"; `archscout list` shows them", called);
    if (count > 1)
        return problem_say(cli, EXIT_CODE_USAGE,
                           "%zu searches are called \"%s\": give the number that `archscout list` "
                           "shows",
                           count, called);
    snprintf(ret_id, API_ID_SIZE, "%s", match.exact ? match.exact_id : match.partial_id);
    return EXIT_CODE_OK;
}
