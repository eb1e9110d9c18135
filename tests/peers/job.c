#include "tests/peers/job.h"

#include "search/recipe_json.h"
#include "search/space_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { JOB_TEXT_MAX = 1 << 16 };

static const char *const keys[] = {"backend",     "architecture", "recipe",
                                   "seed",        "image_size",   "image_channels",
                                   "classes",     "steps",        "input",
                                   "output",      "data",         "dataset",
                                   "dump",        "train_images", "validation_images",
                                   "test_images", "split_seed",   "epochs",
                                   NULL};

static int text_read(const struct json_reader *reader, const char *key, char *text, size_t size)
{
    const char *value = NULL;
    int r = json_read_string(reader, key, &value);
    if (r < 0 || !value)
        return r;
    if (strlen(value) >= size)
        return json_refuse(reader, key, "%s is too long.", key);
    snprintf(text, size, "%s", value);
    return 0;
}

static int texts_read(const struct json_reader *reader, struct job *job)
{
    int r = text_read(reader, "input", job->input, sizeof job->input);
    if (r == 0)
        r = text_read(reader, "output", job->output, sizeof job->output);
    if (r == 0)
        r = text_read(reader, "data", job->data, sizeof job->data);
    if (r == 0)
        r = text_read(reader, "dataset", job->dataset, sizeof job->dataset);
    if (r == 0)
        r = text_read(reader, "dump", job->dump, sizeof job->dump);
    return r;
}

static int counts_read(const struct json_reader *reader, struct job *job)
{
    const struct {
        const char *key;
        uint32_t *value;
        int64_t max;
    } small[] = {
        {"image_size", &job->problem.image_size, IMAGE_SIZE_MAX},
        {"image_channels", &job->problem.image_channels, 4},
        {"classes", &job->problem.classes, CLASSES_MAX},
        {"steps", &job->steps, 1000},
        {"epochs", &job->epochs, RECIPE_EPOCHS_MAX},
    };
    const struct {
        const char *key;
        uint64_t *value;
    } large[] = {
        {"seed", &job->seed},
        {"split_seed", &job->split_seed},
        {"train_images", &job->train_images},
        {"validation_images", &job->validation_images},
        {"test_images", &job->test_images},
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(small) && r == 0; i++)
        r = json_read_u32(reader, small[i].key, (struct json_range){0, small[i].max},
                          small[i].value);
    for (size_t i = 0; i < ARRAY_LENGTH(large) && r == 0; i++)
        r = json_read_u64(reader, large[i].key, (struct json_range){0, INT64_MAX}, large[i].value);
    return r;
}

static int job_read_value(const json_t *value, struct job *job, struct error *error)
{
    struct json_reader reader;
    char backend[32] = "onednn";
    int r = json_reader_open(&reader, value, "", keys, error);
    if (r == 0)
        r = text_read(&reader, "backend", backend, sizeof backend);
    if (r < 0)
        return r;
    job->backend = backend_find(backend);
    if (!job->backend)
        return json_refuse(&reader, "backend", "This build has no backend \"%s\".", backend);
    r = architecture_read(json_object_get(value, "architecture"), "/architecture",
                          &job->architecture, error);
    if (r == 0)
        r = texts_read(&reader, job);
    if (r == 0)
        r = counts_read(&reader, job);
    if (r == 0)
        r = recipe_read(&reader, job->problem.image_size, &job->recipe);
    return r;
}

int job_read(const char *path, struct job *ret_job, struct error *error)
{
    char text[JOB_TEXT_MAX];
    FILE *file = fopen(path, "r");
    if (!file)
        return error_set(error, -ENOENT, "", "%s: %s", path, strerror(errno));
    const size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    json_t *value = NULL;
    int r = json_read_text(text, length, sizeof text - 1, &value, error);
    if (r < 0)
        return r;
    struct job job = {.steps = 1, .epochs = 1, .split_seed = 1};
    r = job_read_value(value, &job, error);
    json_decref(value);
    if (r == 0)
        *ret_job = job;
    return r;
}
