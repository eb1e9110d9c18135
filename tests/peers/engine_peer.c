/* Runs the engine on weights and a batch that another program made, and writes what it computed: the engine's side of
 * agreement_test.py.
 *
 *   engine_peer JOB.json
 *
 * The job's input holds every tensor of the network by name, "images" (batch, size, size, channels) and "shares" (batch) as F32,
 * "labels" and "partners" (batch) as U32. The output gets "eval.logits" and "train.logits" (batch, classes), "train.loss" (1: the
 * sum over the batch), "grad:NAME" of each parameter, and, after as many steps on the same batch at the recipe's learning rate as
 * the job asks for, "step.loss" (steps), each tensor by its name, and "ema:NAME" where the recipe keeps averages. Prints
 * {"precision": NAME}: what was computed in. */
#include "tests/peers/job.h"
#include "worker/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUTS_MAX = 8192 };
static const uint64_t FILE_BYTES_MAX = 1ull << 32;

/* What is to be written. */
struct outputs {
    size_t count;
    struct safetensors_tensor tensors[OUTPUTS_MAX];
    float *values[OUTPUTS_MAX];
};

struct peer {
    struct job job;
    struct safetensors *input;
    struct engine *engine;
    struct plan *plan;
    struct outputs *outputs;
};

static void peer_release(struct peer *peer)
{
    for (size_t i = 0; peer->outputs && i < peer->outputs->count; i++)
        free(peer->outputs->values[i]);
    free(peer->outputs);
    plan_free(peer->plan);
    engine_free(peer->engine);
    safetensors_free(peer->input);
}

/* ---- tensors in ---- */

/* Reads tensor `name` of exactly `bytes` bytes. */
static int input_read(struct peer *peer, const char *name, enum safetensors_type type, void *values,
                      size_t bytes, struct error *error)
{
    const int index = safetensors_find(peer->input, name);
    if (index < 0)
        return error_set(error, index, "", "%s has no tensor \"%s\"", peer->job.input, name);
    const struct safetensors_tensor *tensor = safetensors_at(peer->input, (size_t)index);
    if (tensor->type != type || safetensors_bytes(tensor) != bytes)
        return error_set(error, -EINVAL, "", "%s: \"%s\" is %" PRIu64 " bytes of %s, not %zu of %s",
                         peer->job.input, name, safetensors_bytes(tensor),
                         safetensors_type_name(tensor->type), bytes, safetensors_type_name(type));
    return safetensors_read(peer->input, (size_t)index, values, error);
}

static int batch_read(struct peer *peer, struct error *error)
{
    const struct problem *problem = &peer->job.problem;
    const size_t batch = peer->job.recipe.batch;
    const size_t pixels =
        batch * problem->image_size * problem->image_size * problem->image_channels;
    int r = input_read(peer, "images", SAFETENSORS_F32, plan_images(peer->plan),
                       pixels * sizeof(float), error);
    if (r < 0)
        return r;
    r = input_read(peer, "labels", SAFETENSORS_U32, plan_labels(peer->plan),
                   batch * sizeof(uint32_t), error);
    if (r == 0)
        r = input_read(peer, "partners", SAFETENSORS_U32, plan_partners(peer->plan),
                       batch * sizeof(uint32_t), error);
    if (r == 0)
        r = input_read(peer, "shares", SAFETENSORS_F32, plan_shares(peer->plan),
                       batch * sizeof(float), error);
    return r;
}

/* Averages begin at the weights. */
static int weight_write(struct peer *peer, const char *name, const float *values)
{
    char average[SAFETENSORS_NAME_SIZE];
    snprintf(average, sizeof average, "ema:%s", name);
    int r = plan_tensor_write(peer->plan, name, values);
    if (r == 0 && peer->job.recipe.ema_decay > 0)
        r = plan_tensor_write(peer->plan, average, values);
    return r;
}

static int weights_read(struct peer *peer, struct error *error)
{
    int r = 0;
    for (size_t i = 0; i < plan_tensor_count(peer->plan) && r == 0; i++) {
        struct tensor_info info;
        plan_tensor_info(peer->plan, i, &info);
        const size_t bytes = info.elements * sizeof(float);
        float *values = malloc(bytes);
        r = values ? input_read(peer, info.name, SAFETENSORS_F32, values, bytes, error) : -ENOMEM;
        if (r == 0)
            r = weight_write(peer, info.name, values);
        free(values);
    }
    return r;
}

/* ---- tensors out ---- */

/* A new output; its values, to be filled, or NULL. */
static float *output_add(struct outputs *outputs, const char *name, uint32_t dimension_count,
                         const uint32_t *dimensions)
{
    if (outputs->count == OUTPUTS_MAX)
        return NULL;
    struct safetensors_tensor *tensor = &outputs->tensors[outputs->count];
    *tensor =
        (struct safetensors_tensor){.type = SAFETENSORS_F32, .dimension_count = dimension_count};
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    for (uint32_t i = 0; i < dimension_count; i++)
        tensor->dimensions[i] = dimensions[i];
    float *values = malloc(safetensors_bytes(tensor));
    if (values)
        outputs->values[outputs->count++] = values;
    return values;
}

static int output_add_copy(struct outputs *outputs, const char *name, const uint32_t dimensions[2],
                           const float *from)
{
    float *values = output_add(outputs, name, 2, dimensions);
    if (!values)
        return -ENOMEM;
    memcpy(values, from, (size_t)dimensions[0] * dimensions[1] * sizeof *values);
    return 0;
}

static int output_add_tensor(struct peer *peer, const char *name, const struct tensor_info *info)
{
    float *values = output_add(peer->outputs, name, info->dimension_count, info->dimensions);
    return values ? plan_tensor_read(peer->plan, name, values) : -ENOMEM;
}

static int output_add_gradients(struct peer *peer)
{
    int r = 0;
    for (size_t i = 0; i < plan_tensor_count(peer->plan) && r == 0; i++) {
        struct tensor_info info;
        char name[sizeof info.name + 8];
        plan_tensor_info(peer->plan, i, &info);
        if (strstr(info.name, ".bn.mean") || strstr(info.name, ".bn.variance"))
            continue;
        snprintf(name, sizeof name, "grad:%s", info.name);
        r = output_add_tensor(peer, name, &info);
    }
    return r;
}

/* Parameters, statistics and averages; not what the optimizer keeps. */
static int output_add_state(struct peer *peer)
{
    int r = 0;
    for (size_t i = 0; i < plan_state_count(peer->plan) && r == 0; i++) {
        struct tensor_info info;
        plan_state_info(peer->plan, i, &info);
        if (strncmp(info.name, "state", 5) != 0)
            r = output_add_tensor(peer, info.name, &info);
    }
    return r;
}

static int output_write(const struct peer *peer, struct error *error)
{
    const struct outputs *outputs = peer->outputs;
    struct safetensors_writer *writer = NULL;
    int r = safetensors_create(peer->job.output, FILE_BYTES_MAX, &writer, error);
    for (size_t i = 0; i < outputs->count && r == 0; i++)
        r = safetensors_declare(writer, &outputs->tensors[i], error);
    for (size_t i = 0; i < outputs->count && r == 0; i++)
        r = safetensors_write(writer, outputs->values[i], safetensors_bytes(&outputs->tensors[i]),
                              error);
    if (r == 0)
        r = safetensors_finish(writer, error);
    safetensors_writer_free(writer);
    return r;
}

/* ---- what is computed ---- */

static int compute(struct peer *peer)
{
    const struct job *job = &peer->job;
    const uint32_t logits[2] = {job->recipe.batch, job->problem.classes}, one = 1;
    struct batch_result result;
    int r = plan_evaluate(peer->plan, job->recipe.batch, &result);
    if (r == 0)
        r = output_add_copy(peer->outputs, "eval.logits", logits, plan_logits(peer->plan));
    if (r == 0)
        r = plan_gradients(peer->plan, &result);
    if (r == 0)
        r = output_add_copy(peer->outputs, "train.logits", logits, plan_logits(peer->plan));
    if (r == 0)
        r = output_add_gradients(peer);
    float *loss = r == 0 ? output_add(peer->outputs, "train.loss", 1, &one) : NULL;
    if (!loss)
        return r < 0 ? r : -ENOMEM;
    *loss = (float)result.loss;
    loss = output_add(peer->outputs, "step.loss", 1, &job->steps);
    for (uint32_t i = 0; i < job->steps && loss && r == 0; i++) {
        r = plan_step(peer->plan, job->recipe.learning_rate, &result);
        loss[i] = (float)result.loss;
    }
    if (r == 0)
        r = loss ? output_add_state(peer) : -ENOMEM;
    return r;
}

static int prepare(struct peer *peer, struct error *error)
{
    const struct plan_options options = {.architecture = peer->job.architecture,
                                         .problem = peer->job.problem,
                                         .recipe = peer->job.recipe,
                                         .micro_batches = peer->job.recipe.micro_batches,
                                         .seed = peer->job.seed};
    int r = safetensors_open(peer->job.input, FILE_BYTES_MAX, &peer->input, error);
    if (r == 0)
        r = engine_new(peer->job.backend, &peer->engine, error);
    if (r == 0)
        r = plan_new(peer->engine, &options, &peer->plan, error);
    if (r == 0)
        r = weights_read(peer, error);
    if (r == 0)
        r = batch_read(peer, error);
    return r;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    CLEANUP(peer_release) struct peer peer = {.outputs = calloc(1, sizeof *peer.outputs)};
    if (argc != 2 || !peer.outputs) {
        fputs("usage: engine_peer JOB.json\n", stderr);
        return 2;
    }
    int r = job_read(argv[1], &peer.job, &error);
    if (r == 0)
        r = prepare(&peer, &error);
    if (r == 0) {
        r = compute(&peer);
        if (r < 0)
            error_set(&error, r, "", "the engine: %s", strerror(-r));
    }
    if (r == 0)
        r = output_write(&peer, &error);
    if (r == 0)
        printf("{\"precision\": \"%s\"}\n", precision_name(plan_precision(peer.plan)));
    if (r < 0) {
        fprintf(stderr, "engine_peer: %s%s%s\n", error.pointer, error.pointer[0] ? ": " : "",
                error.message[0] ? error.message : strerror(-r));
        return 1;
    }
    return 0;
}
