/* The engine: trains one network on one device. Seam between what is shared (graph, recipe, schedule, data) and what is
 * particular to a device (backends).
 *
 * Legal order: engine_new_on(backend, device) once a process; for each candidate plan_new -> plan_step ... plan_evaluate ... ->
 * plan_free -> ...; engine_free. The engine keeps what can be shared between candidates (primitive caches, one growing
 * arena), so that a later plan_new is fast. plan_step allocates nothing. One plan at a time per engine; an engine and its
 * plans belong to one thread.
 *
 * A device may fail while it runs. Any function that uses it then gives -ENOMEM, where it had no memory left, or -EIO: the error
 * stays for as long as the process lives, which should free what it has and end.
 *
 * Tensors outside are float, images (N, H, W, C), convolution weights (out, in, k, k), depthwise (c, 1, k, k), linear
 * (out, in). Backends choose their own layouts inside. Padding is symmetric k/2 (torchvision's). */
#ifndef WORKER_ENGINE_ENGINE_H
#define WORKER_ENGINE_ENGINE_H

#include "search/architecture.h"
#include "search/recipe.h"
#include "search/transform.h"

struct engine;
struct plan;
struct backend;

const struct backend *backend_reference(
    void); /* plain C, float, exact and slow: what the others are tested against */
const struct backend *backend_onednn(void); /* NULL where the build has no oneDNN */
const struct backend *backend_cuda(void);   /* NULL where the build has no CUDA or no cuDNN */
const struct backend *backend_find(const char *name); /* "reference", "onednn", "cuda"; NULL */
const char *backend_name(const struct backend *backend);

/* `device` is one that the backend has: "cpu" for the reference and oneDNN, "cuda", "cuda:N" or "cuda:GPU-UUID" for CUDA; NULL:
 * whichever the backend takes by itself. -EINVAL for one that it cannot have, -ENODEV where it is not in this machine. */
int engine_new_on(const struct backend *backend, const char *device, struct engine **ret_engine,
                  struct error *error) MUST_USE;
int engine_new(const struct backend *backend, struct engine **ret_engine,
               struct error *error) MUST_USE; /* device NULL */
void engine_free(struct engine *engine);

enum { DEVICE_NAME_SIZE = 64 /* of what engine_new_on takes */ };

struct device_info {
    char id[16];         /* "cpu", "cuda:0" */
    char name[128];      /* "NVIDIA H200"; "" for the processor */
    char uuid[48];       /* "GPU-..."; "" where it has none */
    size_t memory_bytes; /* its own; 0 for the processor, which uses the machine's */
};

/* What engine_new_on could open: the device that `device` names, or all where it is NULL or names a kind ("cuda"). Writes at
 * most `max` of them and gives how many were written, at least 1. -ENODEV where there is none, -EINVAL as engine_new_on. */
int backend_devices(const struct backend *backend, const char *device,
                    struct device_info *ret_devices, uint32_t max, struct error *error) MUST_USE;
/* What the engine runs on. */
int engine_device(const struct engine *engine, struct device_info *ret_device,
                  struct error *error) MUST_USE;
/* What the device says of its failure, after something gave -EIO; "" where it says nothing. */
enum { ENGINE_FAILURE_SIZE = 160 };
void engine_failure(const struct engine *engine, char ret_text[ENGINE_FAILURE_SIZE]);
/* Bytes of the device's own memory that nobody uses now; 0 for the processor. */
size_t engine_memory_free(const struct engine *engine);
/* From now on plan_new and plan_resize call `on_part` after each part of a plan that can take long to make, such as a convolution's
 * kernels: where nothing is cached they take minutes, and somebody may wait for a sign of life. NULL: not any more. */
void engine_watch_building(struct engine *engine, void (*on_part)(void *context), void *context);
/* Plans that need more than this many bytes are refused with -ENOMEM; 0, as at first, sets no limit. Without one, a system
 * that overcommits memory finds out only while a plan runs. */
void engine_limit_memory(struct engine *engine, size_t bytes_max);
/* What the last plan_new or plan_resize needed or, where it failed with -ENOMEM, would have needed; 0 where plan_new did not
 * get so far. */
size_t engine_bytes_needed(const struct engine *engine);

/* Whether the backend can make batches itself, out of images that lie in its device's memory and transforms. */
bool engine_takes_transforms(const struct engine *engine);
/* Plans that are made from now on take transforms of this set instead of floats: plan_transforms. The set's bytes stay as they
 * are until the next call or engine_free; those already held are not brought over again. They stay on the device from plan to
 * plan where they fit beside what a plan needs, and are brought over batch by batch otherwise. NULL: floats again. Only where
 * engine_takes_transforms, and without a plan. -ENOMEM, -EIO: nothing is held. */
int engine_hold_images(struct engine *engine, const struct image_set *set,
                       struct error *error) MUST_USE;

struct plan_options {
    struct architecture architecture;
    struct problem problem;
    struct recipe recipe; /* optimizer and its constants, label smoothing, batch, bn_momentum */
    uint32_t
        micro_batches; /* the batch is run in this many equal parts with gradients accumulated; divides batch.
                                 BN normalises over a part, and its running statistics move after every part */
    uint64_t seed; /* initial weights */
};

/* Builds the network with its initial weights. -ENOMEM with the bytes needed in the message, -EINVAL. */
int plan_new(struct engine *engine, const struct plan_options *options, struct plan **ret_plan,
             struct error *error) MUST_USE;
void plan_free(struct plan *plan);
/* Bytes that the plan occupies: parameters, optimizer state, activations, gradients, scratch. */
size_t plan_bytes(const struct plan *plan);
/* What the plan trains in: the recipe's precision, or PRECISION_F32 where the backend or the processor has no other. */
enum precision plan_precision(const struct plan *plan);

/* Input buffers of one batch, owned by the plan: images (batch, size, size, channels) as normalised floats, labels (batch).
 * Images are NULL where the plan takes transforms. */
float *plan_images(struct plan *plan);
uint32_t *plan_labels(struct plan *plan);
/* Instead of images, where the engine held some when the plan was made: (batch), drawn for the plan's image size; at first the
 * set's first image as it is. NULL otherwise. A partner is a place in the whole batch; in evaluation, before `count`. */
struct transform *plan_transforms(struct plan *plan);

/* Beside the labels: a second label of each image, and the share of the first (mixup, cutmix). A training step's target is
 * share * onehot(label) + (1 - share) * onehot(partner), smoothed; evaluation knows the labels only. (batch) each; shares are 1
 * at first, and setting them back is the caller's work. */
uint32_t *plan_partners(struct plan *plan);
float *plan_shares(struct plan *plan);

struct batch_result {
    double
        loss; /* sum over images of the cross-entropy; training: with label smoothing, evaluation: without */
    uint32_t correct; /* images whose largest logit is the label, the first of two */
};

/* One training step on the whole batch: forward, loss, backward, clipping, optimizer, averages. -EDOM when the loss is not
 * finite, or the gradients' norm where the recipe clips it; the weights are then as before (BN's running statistics are not),
 * and the step counts for nothing. */
int plan_step(struct plan *plan, double learning_rate, struct batch_result *ret_result) MUST_USE;
/* Seconds that the last plan_step took on its device, by the device's own clock: what lies between two steps does not count.
 * Negative where the backend has no such clock, as on processors. */
double plan_step_seconds(const struct plan *plan);
bool plan_has_clock(const struct plan *plan); /* false: it is always negative */
/* Forward with running statistics on the first `count` images of the batch buffer, with the moving averages of weights and
 * statistics where the recipe keeps them (ema_decay > 0). -EDOM as above. */
int plan_evaluate(struct plan *plan, uint32_t count, struct batch_result *ret_result) MUST_USE;

/* The same weights, optimizer state, averages and step count at another image size and dropout (progressive learning). Buffers
 * from plan_images before are gone, the new ones zero; the others stay (transforms, too: of the old size). What the
 * library has built for a size it finds again. -EINVAL and -ENOMEM leave the plan as it was. -ENOTRECOVERABLE, where the old size could not be built again either, and -EIO,
 * where the device failed: only plan_free may follow. */
int plan_resize(struct plan *plan, uint32_t image_size, double dropout,
                struct error *error) MUST_USE;

/* Steps done: what the rates of averages and AdamW, and the numbers behind dropout and stochastic depth go by. */
uint64_t plan_step_count(const struct plan *plan);
void plan_set_step_count(struct plan *plan, uint64_t steps);

/* ---- tensors by name, for tests and checkpoints: "stem.weight", "stem.bn.scale", "stem.bn.shift", "stem.bn.mean",
 * "stem.bn.variance", "blocks_0.se_r.bias", "fc.weight", ... and before such a name "ema:", "state0:", "state1:" (the
 * optimizer's, of trained parameters) and "grad:" (the same; not to be written), where the plan has them ---- */
size_t plan_tensor_count(const struct plan *plan);
struct tensor_info {
    char name[64];
    uint32_t dimension_count;
    uint32_t dimensions[4];
    size_t elements;
};
void plan_tensor_info(const struct plan *plan, size_t index, struct tensor_info *ret_info);
int plan_tensor_read(struct plan *plan, const char *name, float *ret_values) MUST_USE; /* -ENOENT */
int plan_tensor_write(struct plan *plan, const char *name,
                      const float *values) MUST_USE; /* -ENOENT */
/* Everything that a plan of the same options needs to go on to the bit, beside the step count: parameters and statistics, then
 * "ema:", "state0:", "state1:". */
size_t plan_state_count(const struct plan *plan);
void plan_state_info(const struct plan *plan, size_t index, struct tensor_info *ret_info);
/* Logits (batch, classes) of the last step or evaluation; owned by the plan. */
const float *plan_logits(const struct plan *plan);
/* Gradients of the current batch, with what the next step would drop, without changing a weight or statistic. */
int plan_gradients(struct plan *plan, struct batch_result *ret_result) MUST_USE;
/* Fills everything that a step must not rely on (activations, gradients, scratch) with NaN. For tests. */
void plan_poison(struct plan *plan);

#endif
