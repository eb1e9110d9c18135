#include "cli/waiting.h"

#include "cli/api.h"
#include "cli/search_view.h"

#include <stdio.h>
#include <string.h>

static bool worker_has(const json_t *worker, const char *dataset)
{
    size_t index;
    json_t *name;
    json_array_foreach(api_field(worker, "datasets"), index, name)
    {
        const char *text = json_string_value(name);
        if (text && strcmp(text, dataset) == 0)
            return true;
    }
    return false;
}

bool waiting_reason(struct cli *cli, const json_t *search, char ret_reason[WAITING_SIZE])
{
    struct search_view view = search_view_of(search);
    if (strcmp(view.state, "running") != 0 || view.running > 0)
        return false;
    struct api_reply reply = {0};
    if (api_try_json(cli, "/v1/workers", &reply))
        return false;
    const char *dataset = api_text(search, "dataset");
    const json_t *workers = api_field(reply.json, "workers");
    const size_t count = json_array_size(workers);
    bool is_offered = false;
    for (size_t i = 0; i < count && !is_offered; i++)
        is_offered = worker_has(json_array_get(workers, i), dataset);
    api_reply_release(&reply);
    if (is_offered)
        return false;
    if (count == 0)
        snprintf(ret_reason, WAITING_SIZE,
                 "no worker is connected; archscout-worker is one, and `archscoutd --local-worker` "
                 "starts one, too");
    else
        snprintf(ret_reason, WAITING_SIZE,
                 "no worker has the data set %.64s; `archscout dataset add` on a worker's machine "
                 "adds it",
                 dataset);
    return true;
}
