#include "worker/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/trainer_pipe.h"
#include "worker/safetensors.h"

enum { FIELD_SIZE = 192, EPOCH_COLUMNS = 6, READ_SIZE = 1 << 16, IDENTITY_FIELDS = 12 };

static const char format_name[] = "archscout checkpoint 1";
static const char epochs_name[] = "checkpoint:epochs";

/* ---- whose training it is ---- */

struct field {
    const char *key;
    char text[FIELD_SIZE];
};

struct identity {
    struct field fields[IDENTITY_FIELDS];
    size_t count;
};

static void add_field(struct identity *identity, const char *key, const char *text)
{
    assert(identity->count < IDENTITY_FIELDS);
    struct field *field = &identity->fields[identity->count++];
    field->key = key;
    snprintf(field->text, sizeof field->text, "%s", text);
}

static void add_number(struct identity *identity, const char *key, uint64_t number)
{
    char text[FIELD_SIZE];
    snprintf(text, sizeof text, "%" PRIu64, number);
    add_field(identity, key, text);
}

/* SHA-256 of the recipe as it travels: whatever a recipe has come to hold is part of it. */
static int recipe_digest(const struct recipe *recipe, char ret_text[SHA256_TEXT_SIZE])
{
    const struct wire_task task = {.recipe = *recipe};
    struct buffer bytes;
    buffer_init(&bytes, WORKER_API_BODY_MAX);
    int r = trainer_task_pack(&task, &bytes);
    if (r == 0) {
        struct sha256 sha256;
        uint8_t digest[SHA256_SIZE];
        sha256_init(&sha256);
        sha256_add(&sha256, bytes.data, bytes.length);
        sha256_finish(&sha256, digest);
        sha256_text(digest, ret_text);
    }
    buffer_release(&bytes);
    return r;
}

/* Everything that the weights after a given step depend on. */
static int identity_of(const struct wire_task *task, struct identity *ret_identity)
{
    const struct dataset *dataset = &task->dataset;
    char text[FIELD_SIZE], recipe[SHA256_TEXT_SIZE];
    int r = recipe_digest(&task->recipe, recipe);
    if (r < 0)
        return r;
    ret_identity->count = 0;
    add_field(ret_identity, "format", format_name);
    snprintf(text, sizeof text, "%016" PRIx64, architecture_hash(&task->architecture));
    add_field(ret_identity, "architecture", text);
    add_field(ret_identity, "recipe", recipe);
    snprintf(text, sizeof text, "%s, %u x %u x %u, %u classes, %" PRIu64 " images", dataset->name,
             dataset->image_size, dataset->image_size, dataset->image_channels, dataset->classes,
             dataset->train_images);
    add_field(ret_identity, "dataset", text);
    add_number(ret_identity, "train_images", task->train_images);
    add_number(ret_identity, "validation_images", task->validation_images);
    add_number(ret_identity, "split_seed", task->split_seed);
    add_number(ret_identity, "seed", task->seed);
    add_number(ret_identity, "rung", task->rung);
    add_number(ret_identity, "epochs", task->epochs);
    add_number(ret_identity, "micro_batches", task->micro_batches);
    return 0;
}

static int check_identity(const struct safetensors *file, const char *path,
                          const struct wire_task *task, struct error *error)
{
    struct identity identity;
    int r = identity_of(task, &identity);
    if (r < 0)
        return error_set(error, r, "", "%.300s: out of memory", path);
    for (size_t i = 0; i < identity.count; i++) {
        const struct field *field = &identity.fields[i];
        const char *text = safetensors_text(file, field->key);
        if (!text || strcmp(text, field->text) != 0)
            return error_set(error, -EINVAL, "",
                             "%.200s: a checkpoint of another task: %s is \"%.80s\", not \"%.80s\"",
                             path, field->key, text ? text : "", field->text);
    }
    return 0;
}

/* ---- how far it has come ---- */

struct number {
    const char *key;
    uint64_t *integer; /* or */
    double *real;
};

enum { NUMBERS = 7 };

static void numbers_of(struct checkpoint *checkpoint, uint64_t *epoch,
                       struct number ret_numbers[NUMBERS])
{
    const struct number numbers[NUMBERS] = {
        {.key = "steps_done", .integer = &checkpoint->steps_done},
        {.key = "epoch", .integer = epoch},
        {.key = "epoch_steps", .integer = &checkpoint->epoch_steps},
        {.key = "epoch_loss", .real = &checkpoint->epoch_loss},
        {.key = "epoch_correct", .real = &checkpoint->epoch_correct},
        {.key = "epoch_seconds", .real = &checkpoint->epoch_seconds},
        {.key = "images", .integer = &checkpoint->images},
    };
    memcpy(ret_numbers, numbers, sizeof numbers);
}

static int note_numbers(struct safetensors_writer *writer, const struct checkpoint *checkpoint,
                        struct error *error)
{
    struct checkpoint copy = *checkpoint;
    uint64_t epoch = checkpoint->epoch;
    struct number numbers[NUMBERS];
    numbers_of(&copy, &epoch, numbers);
    for (size_t i = 0; i < NUMBERS; i++) {
        char text[FIELD_SIZE];
        if (numbers[i].integer)
            snprintf(text, sizeof text, "%" PRIu64, *numbers[i].integer);
        else
            snprintf(text, sizeof text, "%.17g", *numbers[i].real);
        int r = safetensors_note(writer, numbers[i].key, text, error);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool read_number(const char *text, const struct number *number)
{
    char *end = NULL;
    if (!text || !*text)
        return false;
    errno = 0;
    if (number->integer)
        *number->integer = strtoull(text, &end, 10);
    else
        *number->real = strtod(text, &end);
    return *end == '\0' && errno == 0;
}

/* Whether training of this task can stand there: the trainer relies on it. */
static bool numbers_agree(const struct checkpoint *checkpoint, uint64_t epoch,
                          const struct wire_task *task)
{
    const uint64_t batch = task->recipe.batch, steps = task->train_images / batch;
    const double images = (double)(checkpoint->epoch_steps * batch);
    const bool at_end = epoch == task->epochs;
    return epoch <= task->epochs && checkpoint->epoch_steps <= (at_end ? 0 : steps) &&
           checkpoint->steps_done == epoch * steps + checkpoint->epoch_steps &&
           checkpoint->images == checkpoint->steps_done * batch &&
           isfinite(checkpoint->epoch_loss) && isfinite(checkpoint->epoch_seconds) &&
           checkpoint->epoch_correct >= 0 && checkpoint->epoch_correct <= images;
}

/* -EBADMSG where a number is missing, or the numbers contradict each other or the task. */
static int read_numbers(const struct safetensors *file, const char *path,
                        const struct wire_task *task, struct checkpoint *checkpoint,
                        struct error *error)
{
    uint64_t epoch = 0;
    struct number numbers[NUMBERS];
    numbers_of(checkpoint, &epoch, numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        if (!read_number(safetensors_text(file, numbers[i].key), &numbers[i]))
            return error_set(error, -EBADMSG, "", "%.300s: %s is no number", path, numbers[i].key);
    if (!numbers_agree(checkpoint, epoch, task))
        return error_set(error, -EBADMSG, "", "%.300s: its numbers contradict each other", path);
    checkpoint->epoch = checkpoint->finished_count = (uint32_t)epoch;
    return 0;
}

int checkpoint_init(struct checkpoint *ret_checkpoint, const struct wire_task *task)
{
    struct wire_epoch *finished = calloc(task->epochs, sizeof *finished);
    if (!finished)
        return -ENOMEM;
    *ret_checkpoint = (struct checkpoint){.finished = finished};
    return 0;
}

void checkpoint_release(struct checkpoint *checkpoint)
{
    free(checkpoint->finished);
    checkpoint->finished = NULL;
}

/* ---- tensors ---- */

static struct safetensors_tensor tensor_of(const struct tensor_info *info)
{
    struct safetensors_tensor tensor = {.type = SAFETENSORS_F32,
                                        .dimension_count = info->dimension_count};
    snprintf(tensor.name, sizeof tensor.name, "%s", info->name);
    for (uint32_t i = 0; i < info->dimension_count; i++)
        tensor.dimensions[i] = info->dimensions[i];
    return tensor;
}

static struct safetensors_tensor epochs_tensor(uint32_t count)
{
    struct safetensors_tensor tensor = {
        .type = SAFETENSORS_F64, .dimension_count = 2, .dimensions = {count, EPOCH_COLUMNS}};
    snprintf(tensor.name, sizeof tensor.name, "%s", epochs_name);
    return tensor;
}

/* Room for the largest of the plan's tensors; NULL without memory. */
static float *values_new(const struct plan *plan)
{
    size_t largest = 1;
    for (size_t i = 0; i < plan_state_count(plan); i++) {
        struct tensor_info info;
        plan_state_info(plan, i, &info);
        largest = info.elements > largest ? info.elements : largest;
    }
    return calloc(largest, sizeof(float));
}

static int declare_all(struct safetensors_writer *writer, const struct plan *plan,
                       uint32_t finished_count, struct error *error)
{
    const struct safetensors_tensor epochs = epochs_tensor(finished_count);
    int r = safetensors_declare(writer, &epochs, error);
    for (size_t i = 0; i < plan_state_count(plan) && r == 0; i++) {
        struct tensor_info info;
        plan_state_info(plan, i, &info);
        const struct safetensors_tensor tensor = tensor_of(&info);
        r = safetensors_declare(writer, &tensor, error);
    }
    return r;
}

static int write_epochs(struct safetensors_writer *writer, const struct checkpoint *checkpoint,
                        struct error *error)
{
    int r = 0;
    for (uint32_t i = 0; i < checkpoint->finished_count && r == 0; i++) {
        const struct wire_epoch *epoch = &checkpoint->finished[i];
        const double row[EPOCH_COLUMNS] = {
            epoch->number,          epoch->train_loss,          epoch->train_accuracy,
            epoch->validation_loss, epoch->validation_accuracy, epoch->seconds};
        r = safetensors_write(writer, row, sizeof row, error);
    }
    return r;
}

static int write_tensors(struct safetensors_writer *writer, struct plan *plan, struct error *error)
{
    float *values = values_new(plan);
    int r = values ? 0 : error_set(error, -ENOMEM, "", "no memory for a checkpoint");
    for (size_t i = 0; i < plan_state_count(plan) && r == 0; i++) {
        struct tensor_info info;
        plan_state_info(plan, i, &info);
        r = plan_tensor_read(plan, info.name, values);
        if (r < 0)
            error_set(error, r, "", "tensor %s cannot be read: %s", info.name, strerror(-r));
        else
            r = safetensors_write(writer, values, info.elements * sizeof values[0], error);
    }
    free(values);
    return r;
}

static int read_epochs(struct safetensors *file, const char *path, struct checkpoint *checkpoint,
                       struct error *error)
{
    int index = safetensors_find(file, epochs_name);
    const struct safetensors_tensor wanted = epochs_tensor(checkpoint->finished_count);
    const struct safetensors_tensor *tensor =
        index < 0 ? NULL : safetensors_at(file, (size_t)index);
    if (!tensor || tensor->type != wanted.type || tensor->dimension_count != 2 ||
        memcmp(tensor->dimensions, wanted.dimensions, sizeof wanted.dimensions) != 0)
        return error_set(error, -EBADMSG, "", "%.300s: the finished epochs are missing", path);
    double *rows = calloc(checkpoint->finished_count + 1, sizeof(double[EPOCH_COLUMNS]));
    if (!rows)
        return error_set(error, -ENOMEM, "", "%.300s: out of memory", path);
    int r = safetensors_read(file, (size_t)index, rows, error);
    for (uint32_t i = 0; i < checkpoint->finished_count && r == 0; i++) {
        const double *row = rows + (size_t)i * EPOCH_COLUMNS;
        checkpoint->finished[i] =
            (struct wire_epoch){i + 1, row[1], row[2], row[3], row[4], row[5]};
        r = wire_epoch_validate(&checkpoint->finished[i], error);
    }
    free(rows);
    return r == -EDOM || r == -EINVAL ? -EBADMSG : r;
}

/* Both have the same tensors with the same shapes. */
static int check_tensors(const struct safetensors *file, const char *path, const struct plan *plan,
                         struct error *error)
{
    if (safetensors_count(file) != plan_state_count(plan) + 1)
        return error_set(error, -EBADMSG, "", "%.300s: has %zu tensors, the network %zu", path,
                         safetensors_count(file) - 1, plan_state_count(plan));
    for (size_t i = 0; i < plan_state_count(plan); i++) {
        struct tensor_info info;
        plan_state_info(plan, i, &info);
        int index = safetensors_find(file, info.name);
        const struct safetensors_tensor wanted = tensor_of(&info);
        const struct safetensors_tensor *tensor =
            index < 0 ? NULL : safetensors_at(file, (size_t)index);
        if (!tensor || tensor->type != wanted.type ||
            tensor->dimension_count != wanted.dimension_count ||
            memcmp(tensor->dimensions, wanted.dimensions, sizeof wanted.dimensions) != 0)
            return error_set(error, -EBADMSG, "",
                             "%.300s: tensor %s is missing or has another shape", path, info.name);
    }
    return 0;
}

static int read_tensors(struct safetensors *file, struct plan *plan, struct error *error)
{
    float *values = values_new(plan);
    int r = values ? 0 : error_set(error, -ENOMEM, "", "no memory to load a checkpoint");
    for (size_t i = 0; i < plan_state_count(plan) && r == 0; i++) {
        struct tensor_info info;
        plan_state_info(plan, i, &info);
        int index = safetensors_find(file, info.name);
        assert(index >= 0);
        r = safetensors_read(file, (size_t)index, values, error);
        if (r < 0)
            break;
        r = plan_tensor_write(plan, info.name, values);
        if (r < 0)
            error_set(error, r, "", "tensor %s cannot be written: %s", info.name, strerror(-r));
    }
    free(values);
    return r < 0 && r != -ENOMEM ? -EIO : r;
}

/* ---- whole files ---- */

static int save(const char *path, const struct checkpoint *checkpoint, const struct wire_task *task,
                struct plan *plan, struct error *error)
{
    struct identity identity;
    struct safetensors_writer *writer = NULL;
    int r = identity_of(task, &identity);
    if (r < 0)
        return error_set(error, r, "", "%.300s: out of memory", path);
    r = safetensors_create(path, CHECKPOINT_BYTES_MAX, &writer, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < identity.count && r == 0; i++)
        r = safetensors_note(writer, identity.fields[i].key, identity.fields[i].text, error);
    if (r == 0)
        r = note_numbers(writer, checkpoint, error);
    if (r == 0)
        r = declare_all(writer, plan, checkpoint->finished_count, error);
    if (r == 0)
        r = write_epochs(writer, checkpoint, error);
    if (r == 0)
        r = write_tensors(writer, plan, error);
    if (r == 0)
        r = safetensors_finish(writer, error);
    safetensors_writer_free(writer);
    return r;
}

/* Size and SHA-256 of a file. */
static int describe(const char *path, struct wire_checkpoint *ret_checkpoint, struct error *error)
{
    uint8_t piece[READ_SIZE];
    struct sha256 sha256;
    uint64_t bytes = 0;
    sha256_init(&sha256);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : read(fd, piece, sizeof piece);
    while (count > 0) {
        sha256_add(&sha256, piece, (size_t)count);
        bytes += (uint64_t)count;
        count = read(fd, piece, sizeof piece);
    }
    int r = count < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (r < 0)
        return error_set(error, r, "", "%.300s: %s", path, strerror(-r));
    ret_checkpoint->bytes = bytes;
    sha256_finish(&sha256, ret_checkpoint->sha256);
    return 0;
}

int checkpoint_write(const char *directory, const struct checkpoint *checkpoint,
                     const struct wire_task *task, struct plan *plan,
                     struct wire_checkpoint_written *ret_written, struct error *error)
{
    assert(checkpoint->finished_count == checkpoint->epoch && checkpoint->epoch <= task->epochs);
    assert(checkpoint->steps_done == plan_step_count(plan));
    struct wire_checkpoint_written written = {.checkpoint = {.steps_done = checkpoint->steps_done}};
    int length = snprintf(written.path, sizeof written.path,
                          "%s/attempt-%" PRIu64 "-step-%" PRIu64 ".safetensors", directory,
                          task->attempt, checkpoint->steps_done);
    if (length < 0 || (size_t)length >= sizeof written.path)
        return error_set(error, -ENAMETOOLONG, "", "%.300s: the path is too long", directory);
    int r = save(written.path, checkpoint, task, plan, error);
    if (r < 0)
        return r;
    r = describe(written.path, &written.checkpoint, error);
    if (r < 0) {
        unlink(written.path);
        return r;
    }
    *ret_written = written;
    return 0;
}

static int load(struct safetensors *file, const char *path, const struct wire_task *task,
                struct plan *plan, struct checkpoint *checkpoint, struct error *error)
{
    if (!safetensors_is_verified(file))
        return error_set(error, -EBADMSG, "", "%.300s: has no checksum", path);
    int r = check_identity(file, path, task, error);
    if (r == 0)
        r = read_numbers(file, path, task, checkpoint, error);
    if (r == 0)
        r = read_epochs(file, path, checkpoint, error);
    if (r == 0)
        r = check_tensors(file, path, plan, error);
    return r == 0 ? read_tensors(file, plan, error) : r;
}

int checkpoint_load(const char *path, const struct wire_task *task, struct plan *plan,
                    struct checkpoint *checkpoint, struct error *error)
{
    struct safetensors *file = NULL;
    struct checkpoint loaded;
    int r = safetensors_open(path, CHECKPOINT_BYTES_MAX, &file, error);
    if (r < 0)
        return r;
    r = checkpoint_init(&loaded, task);
    if (r < 0) {
        safetensors_free(file);
        return error_set(error, r, "", "%.300s: out of memory", path);
    }
    r = load(file, path, task, plan, &loaded, error);
    safetensors_free(file);
    if (r < 0) {
        checkpoint_release(&loaded);
        return r;
    }
    plan_set_step_count(plan, loaded.steps_done);
    checkpoint_release(checkpoint);
    *checkpoint = loaded;
    return 0;
}
