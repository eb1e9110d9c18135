#include <errno.h>

#include "daemon/api_internal.h"
#include "search/model_report.h"

static int visit_worker(void *context, const struct worker_view *view)
{
    json_t *array = context;
    return json_array_append_new(array, api_worker_json(view)) < 0 ? -ENOMEM : 0;
}

static int visit_dataset(void *context, const struct dataset_view *view)
{
    json_t *array = context;
    return json_array_append_new(array, api_dataset_json(view)) < 0 ? -ENOMEM : 0;
}

/* Replies with {name: array}, or gives the array up. */
static int reply_array(struct api_call *call, int r, const char *name, json_t *array)
{
    if (r < 0 || !array) {
        json_decref(array);
        return r < 0 ? r : -ENOMEM;
    }
    return api_json(call, 200, json_pack("{s:o}", name, array));
}

int api_workers(struct api_call *call)
{
    json_t *array = json_array();
    int r = coordinator_workers(call->coordinator, visit_worker, array);
    return reply_array(call, r, "workers", array);
}

int api_datasets(struct api_call *call)
{
    json_t *array = json_array();
    int r = coordinator_datasets(call->coordinator, visit_dataset, array);
    return reply_array(call, r, "datasets", array);
}

int api_presets(struct api_call *call)
{
    struct text text;
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    int r = preset_report_json(&text, &call->error);
    if (r < 0) {
        text_release(&text);
        return r;
    }
    call->reply = (struct http_reply){.status = 200,
                                      .content_type = "application/json",
                                      .body = text.data,
                                      .body_bytes = text.length};
    return API_REPLIED;
}

int api_health(struct api_call *call)
{
    return api_json(call, 200,
                    json_pack("{s:s, s:s}", "status", "ok", "version", call->api->options.version));
}

int api_ready(struct api_call *call)
{
    int r = coordinator_ready(call->coordinator);
    return r < 0 ? r : api_json(call, 200, json_pack("{s:s}", "status", "ready"));
}
