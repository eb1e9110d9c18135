/* Execution plans of cuDNN's graph API for dense convolutions: maps and weights (NHWC) bfloat16, the
 * gradient of the weights too, sums in float, padding k/2.
 *
 * A plan is selected and compiled for a device that is described, so no GPU is needed; a description
 * is what CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION takes. Plans whose sums have no fixed order,
 * or are not kept in float, are never made. A planner belongs to one thread; plans may outlive it. */
#ifndef WORKER_ENGINE_CUDA_PLANNER_H
#define WORKER_ENGINE_CUDA_PLANNER_H

#include "search/error.h"
#include "worker/engine/convolution.h"

struct planner;
struct plan_binary;

/* -EINVAL where the description is not one, -ENOMEM, -EIO. */
int planner_new(const char *description, size_t length, struct planner **ret_planner,
                struct error *error) MUST_USE;
void planner_free(struct planner *planner);
/* Hash of the description, without which of the machine's devices it is. */
uint64_t planner_device(const struct planner *planner);
/* Whether the driver's library (libcuda.so.1, not the toolkit's stub) is here. Without it cuDNN
 * offers no engines that it compiles at run time, and other plans may be chosen, so the two have
 * plans of their own. */
bool planner_has_driver(const struct planner *planner);
size_t planner_version(void); /* cuDNN's, 91900 is 9.19.0 */

enum { PLAN_LIST_MAX = 64 };
#define PLAN_WORKSPACE_ANY SIZE_MAX

struct plan_request {
    struct convolution convolution; /* dense */
    enum convolution_pass pass;
    size_t workspace_bytes_max; /* of the plan; PLAN_WORKSPACE_ANY: no limit */
};

/* The first engine configuration that finalises and fits, of heuristics A, then B, then the
 * fallback; one that is compiled at run time, which takes seconds, only where there is no other.
 * -ENOTSUP where there is none; -EINVAL, -ENOMEM, -EIO; the message names the pass and the shape. */
int planner_build(struct planner *planner, const struct plan_request *request,
                  struct plan_binary **ret_plan, struct error *error) MUST_USE;
/* The first `max` (at most PLAN_LIST_MAX) different ones that finalise and fit, in the same order
 * but for those that are compiled at run time, which have their place among the others. At least
 * one, or the errors of planner_build. The caller frees them. */
int planner_build_several(struct planner *planner, const struct plan_request *request,
                          struct plan_binary **ret_plans, size_t max, size_t *ret_count,
                          struct error *error) MUST_USE;
/* A plan from the JSON of plan_binary_json; any error: it cannot be used here. */
int planner_load(struct planner *planner, const char *json, size_t length, int64_t engine,
                 struct plan_binary **ret_plan, struct error *error) MUST_USE;

void plan_binary_free(struct plan_binary *plan);
int64_t plan_binary_engine(const struct plan_binary *plan);    /* its global index */
int64_t plan_binary_workspace(const struct plan_binary *plan); /* bytes */
/* The caller frees *ret_json. -ENOMEM, -E2BIG, -EIO. */
int plan_binary_json(const struct plan_binary *plan, char **ret_json, size_t *ret_length,
                     struct error *error) MUST_USE;

#endif
