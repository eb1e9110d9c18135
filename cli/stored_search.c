#include "cli/stored_search.h"

#include "cli/problem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void stored_search_release(struct stored_search *stored)
{
    spec_free(stored->spec);
    free(stored->trials);
    free(stored->front);
    json_decref(stored->datasets);
    *stored = (struct stored_search){0};
}

static enum exit_code out_of_memory(const struct cli *cli)
{
    return problem_say(cli, EXIT_CODE_FAILED, "out of memory");
}

static enum exit_code not_understood(const struct cli *cli)
{
    return problem_say(cli, EXIT_CODE_REFUSED,
                       "the daemon's log is not in the form that this version reads");
}

/* ---- the spec ---- */

struct found_dataset {
    const struct stored_search *stored;
    struct dataset dataset;
};

static const struct dataset *find_dataset(void *context, const char *name)
{
    struct found_dataset *found = context;
    struct dataset *dataset = &found->dataset;
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(found->stored->datasets, "datasets"), index, entry)
    {
        if (strcmp(api_text(entry, "name"), name) != 0)
            continue;
        *dataset = (struct dataset){
            .image_size = (uint32_t)api_integer(entry, "image_size"),
            .image_channels = (uint32_t)api_integer(entry, "image_channels"),
            .classes = (uint32_t)api_integer(entry, "classes"),
            .train_images = api_integer(entry, "train_images"),
            .test_images = api_integer(entry, "test_images"),
        };
        snprintf(dataset->name, sizeof dataset->name, "%s", name);
        return dataset;
    }
    return NULL;
}

static const struct dataset *no_dataset(void *context, size_t index)
{
    (void)context;
    (void)index;
    return NULL;
}

static enum exit_code get_spec(struct cli *cli, const char *id, struct stored_search *stored)
{
    char path[API_PATH_SIZE];
    struct api_reply reply = {0};
    enum exit_code code = api_get_json(cli, "/v1/datasets", &reply);
    if (code)
        return code;
    stored->datasets = json_incref(reply.json);
    api_reply_release(&reply);
    snprintf(path, sizeof path, "/v1/searches/%s/spec", id);
    code = api_get(cli, path, &reply);
    if (code)
        return code;
    struct error error = {0};
    struct found_dataset found = {.stored = stored};
    struct spec_datasets datasets = {.find = find_dataset, .at = no_dataset, .context = &found};
    int r = spec_parse(reply.text, reply.length, &datasets, &stored->spec, &error);
    api_reply_release(&reply);
    if (r < 0)
        return problem_say(cli, EXIT_CODE_REFUSED,
                           "this version cannot read the search's spec: %s: %s", error.pointer,
                           error.message);
    return EXIT_CODE_OK;
}

/* ---- the log ---- */

/* A number that cannot be negative; UINT64_MAX for anything else. */
static uint64_t number_or_none(const json_t *value)
{
    json_int_t number = json_integer_value(value);
    return json_is_integer(value) && number >= 0 ? (uint64_t)number : UINT64_MAX;
}

static struct encoding read_choices(const struct spec *spec, const json_t *array)
{
    struct encoding encoding = {{0}};
    for (uint32_t i = 0; i < space_stage_count(spec->space); i++) {
        uint64_t choice = number_or_none(json_array_get(array, i));
        encoding.choices[i] = choice < UINT16_MAX ? (uint16_t)choice : UINT16_MAX;
    }
    return encoding;
}

static struct trial read_trial(const struct stored_search *stored, const json_t *entry)
{
    struct trial trial = {
        .encoding = read_choices(stored->spec, json_object_get(entry, "choices")),
        .hash = strtoull(api_text(entry, "hash"), NULL, 16),
        .params = number_or_none(json_object_get(entry, "params")),
        .macs = number_or_none(json_object_get(entry, "macs")),
        .memory = number_or_none(json_object_get(entry, "memory")),
        .seen = number_or_none(json_object_get(entry, "seen")),
        .parent = number_or_none(json_object_get(entry, "parent")),
        .position = number_or_none(json_object_get(entry, "position")),
        .usable = json_is_true(json_object_get(entry, "usable")),
        .reward = api_number(entry, "reward"),
    };
    double *value = trial.measures.value;
    value[OBJECTIVE_ACCURACY] = api_number(entry, "accuracy");
    value[OBJECTIVE_LOSS] = api_number(entry, "loss");
    value[OBJECTIVE_STEP_TIME] = api_number(entry, "step_time");
    value[OBJECTIVE_PARAMS] = (double)trial.params;
    value[OBJECTIVE_MACS] = (double)trial.macs;
    value[OBJECTIVE_MEMORY] = (double)trial.memory;
    /* A result that came while the pages were fetched. */
    if (trial.position != TRAJECTORY_NO_POSITION && trial.position >= stored->results)
        trial.position = TRAJECTORY_NO_POSITION;
    return trial;
}

/* What the first page says of the whole. */
static enum exit_code read_whole(struct cli *cli, struct stored_search *stored, const json_t *page)
{
    const json_t *front = json_object_get(page, "front");
    struct trajectory *trajectory = &stored->trajectory;
    trajectory->count = number_or_none(json_object_get(page, "created"));
    stored->results = number_or_none(json_object_get(page, "results"));
    trajectory->best = number_or_none(json_object_get(page, "best"));
    trajectory->best_known = trajectory->best != UINT64_MAX;
    trajectory->front_count = json_array_size(front);
    if (trajectory->count > SPEC_CANDIDATES_MAX || stored->results > trajectory->count)
        return not_understood(cli);
    stored->trials = calloc(trajectory->count + 1, sizeof stored->trials[0]);
    stored->front = calloc(trajectory->front_count + 1, sizeof stored->front[0]);
    if (!stored->trials || !stored->front)
        return out_of_memory(cli);
    for (size_t i = 0; i < trajectory->front_count; i++)
        stored->front[i] = number_or_none(json_array_get(front, i));
    trajectory->spec = stored->spec;
    trajectory->trials = stored->trials;
    trajectory->front = stored->front;
    return EXIT_CODE_OK;
}

/* Takes in the page that begins with candidate *at, and moves *at behind it. */
static enum exit_code read_page(struct cli *cli, struct stored_search *stored, const json_t *page,
                                uint64_t *at)
{
    const json_t *entries = json_object_get(page, "candidates");
    const uint64_t count = stored->trajectory.count;
    size_t index;
    json_t *entry;
    if (*at < count && json_array_size(entries) == 0)
        return not_understood(cli);
    json_array_foreach(entries, index, entry)
    {
        if (*at == count)
            break;
        if (number_or_none(json_object_get(entry, "number")) != *at)
            return not_understood(cli);
        stored->trials[(*at)++] = read_trial(stored, entry);
    }
    return EXIT_CODE_OK;
}

static enum exit_code get_log(struct cli *cli, const char *id, struct stored_search *stored)
{
    uint64_t at = 0;
    enum exit_code code;
    do {
        char path[API_PATH_SIZE];
        struct api_reply reply = {0};
        snprintf(path, sizeof path, "/v1/searches/%s/log?first=%llu", id, (unsigned long long)at);
        code = api_get_json(cli, path, &reply);
        if (code)
            return code;
        if (!stored->trials)
            code = read_whole(cli, stored, reply.json);
        if (code == EXIT_CODE_OK)
            code = read_page(cli, stored, reply.json, &at);
        api_reply_release(&reply);
    } while (code == EXIT_CODE_OK && at < stored->trajectory.count);
    return code;
}

enum exit_code stored_search_get(struct cli *cli, const char *id, struct stored_search *ret_stored)
{
    *ret_stored = (struct stored_search){0};
    enum exit_code code = get_spec(cli, id, ret_stored);
    return code ? code : get_log(cli, id, ret_stored);
}
