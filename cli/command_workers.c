/* workers, datasets */
#include "cli/commands.h"

#include "cli/api.h"
#include "cli/format.h"
#include "cli/table.h"

static const struct table_column worker_columns[] = {
    {"worker", false},  {"slot", true}, {"device", false}, {"results", true},
    {"baseline", true}, {"seen", true}, {"doing", false}};

static int add_slot(struct table *table, const json_t *worker, const json_t *slot)
{
    char number[FORMAT_SIZE], results[FORMAT_SIZE], baseline[FORMAT_SIZE], seen[FORMAT_SIZE];
    char doing[96] = "idle";
    snprintf(number, sizeof number, "%llu", (unsigned long long)api_integer(slot, "slot"));
    snprintf(results, sizeof results, "%llu", (unsigned long long)api_integer(worker, "results"));
    format_step_time(api_number(slot, "baseline_seconds"), baseline);
    format_duration(api_number(worker, "seen_seconds_ago"), seen);
    if (json_is_true(api_field(slot, "busy"))) {
        uint64_t total = api_integer(slot, "steps_total");
        uint64_t part = total ? 100 * api_integer(slot, "steps_done") / total : 0;
        snprintf(doing, sizeof doing, "search %llu #%llu, %llu %%",
                 (unsigned long long)api_integer(slot, "search"),
                 (unsigned long long)api_integer(slot, "candidate"), (unsigned long long)part);
    }
    const char *const cells[] = {
        api_text(worker, "name"), number, api_text(slot, "device"), results, baseline, seen, doing};
    return table_add(table, COLOUR_NONE, cells);
}

static int fill_workers(struct table *table, const json_t *answer)
{
    int r = 0;
    size_t i, j;
    json_t *worker, *slot;
    json_array_foreach(api_field(answer, "workers"), i, worker)
        json_array_foreach(api_field(worker, "slots"), j, slot) if (r == 0) r =
            add_slot(table, worker, slot);
    return r;
}

static const struct table_column dataset_columns[] = {
    {"data set", false}, {"images", true},  {"of them test", true},
    {"size", false},     {"classes", true}, {"workers that have it", false}};

static int fill_datasets(struct table *table, const json_t *answer)
{
    int r = 0;
    size_t index;
    json_t *dataset;
    json_array_foreach(api_field(answer, "datasets"), index, dataset)
    {
        char images[FORMAT_SIZE], test[FORMAT_SIZE], size[3 * FORMAT_SIZE], classes[FORMAT_SIZE];
        char workers[FORMAT_SIZE];
        uint64_t test_images = api_integer(dataset, "test_images");
        format_grouped(api_integer(dataset, "train_images") + test_images, images);
        format_grouped(test_images, test);
        snprintf(size, sizeof size, "%llux%llux%llu",
                 (unsigned long long)api_integer(dataset, "image_size"),
                 (unsigned long long)api_integer(dataset, "image_size"),
                 (unsigned long long)api_integer(dataset, "image_channels"));
        format_grouped(api_integer(dataset, "classes"), classes);
        format_grouped(api_integer(dataset, "workers"), workers);
        const char *const cells[] = {
            api_text(dataset, "name"), images, test, size, classes, workers};
        if (r == 0)
            r = table_add(table, COLOUR_NONE, cells);
    }
    return r;
}

static enum exit_code print_page(struct cli *cli, const char *path,
                                 const struct table_column *columns, size_t column_count,
                                 int (*fill)(struct table *table, const json_t *answer))
{
    struct api_reply reply = {0};
    enum exit_code code = api_get_json(cli, path, &reply);
    if (code)
        return code;
    if (cli->json) {
        printf("%s\n", reply.text);
        api_reply_release(&reply);
        return EXIT_CODE_OK;
    }
    struct table *table = NULL;
    int r = table_new(columns, column_count, &table);
    if (r == 0)
        r = fill(table, reply.json);
    if (r == 0)
        table_print(table, &cli->terminal, stdout);
    table_free(table);
    api_reply_release(&reply);
    return r ? problem_say(cli, EXIT_CODE_FAILED, "out of memory") : EXIT_CODE_OK;
}

static enum exit_code run_workers(struct cli *cli, const struct arguments *arguments)
{
    (void)arguments;
    return print_page(cli, "/v1/workers", worker_columns, ARRAY_LENGTH(worker_columns),
                      fill_workers);
}

static enum exit_code run_datasets(struct cli *cli, const struct arguments *arguments)
{
    (void)arguments;
    return print_page(cli, "/v1/datasets", dataset_columns, ARRAY_LENGTH(dataset_columns),
                      fill_datasets);
}

const struct command command_workers = {
    "workers", "", "who is connected, with which devices, doing what", NULL, {{0}}, run_workers,
};

const struct command command_datasets = {
    "datasets", "", "the data sets that a spec can name", NULL, {{0}}, run_datasets,
};

/* What this machine's workers will find; archscout-dataset does it. */
const struct command command_dataset = {
    "dataset", "ACTION", "this machine's data sets: add, list, show, remove", NULL, {{0}}, NULL,
};
