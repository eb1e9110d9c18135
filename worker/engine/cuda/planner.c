#include "worker/engine/cuda/planner.h"

#include "worker/engine/cuda/descriptors.h"
#include "worker/engine/cuda/plan_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIGS_MAX = 64 };

struct planner {
    cudnnBackendDescriptor_t device;
    uint64_t hash;
    bool driver;
};

struct plan_binary {
    cudnnBackendDescriptor_t descriptor;
    int64_t engine, workspace;
};

size_t planner_version(void)
{
    return cudnnGetVersion();
}

uint64_t planner_device(const struct planner *planner)
{
    return planner->hash;
}

bool planner_has_driver(const struct planner *planner)
{
    return planner->driver;
}

/* The toolkit's stub of the library answers with an error. */
static bool find_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        return false;
    int (*get_version)(int *) = NULL;
    void *symbol = dlsym(library, "cuDriverGetVersion");
    memcpy(&get_version, &symbol, sizeof symbol);
    int version = 0;
    const bool found = get_version && get_version(&version) == 0;
    dlclose(library);
    return found;
}

int planner_new(const char *description, size_t length, struct planner **ret_planner,
                struct error *error)
{
    struct planner *planner = calloc(1, sizeof *planner);
    if (!planner)
        return error_set(error, -ENOMEM, "", "out of memory");
    cudnnStatus_t status =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &planner->device);
    if (status == CUDNN_STATUS_SUCCESS)
        status =
            cudnnBackendSetAttribute(planner->device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                     CUDNN_TYPE_CHAR, (int64_t)length, description);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendFinalize(planner->device);
    if (status != CUDNN_STATUS_SUCCESS) {
        planner_free(planner);
        return descriptor_error(status, "device description", "", error);
    }
    planner->driver = find_driver();
    planner->hash = plan_hash(description, length);
    *ret_planner = planner;
    return 0;
}

void planner_free(struct planner *planner)
{
    if (planner && planner->device)
        cudnnBackendDestroyDescriptor(planner->device);
    free(planner);
}

static int64_t engine_of(cudnnBackendDescriptor_t config)
{
    int64_t count = 0, index = -1;
    cudnnBackendDescriptor_t engine;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
        CUDNN_STATUS_SUCCESS)
        return -1;
    if (cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &count, &engine) == CUDNN_STATUS_SUCCESS)
        cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1,
                                 &count, &index);
    cudnnBackendDestroyDescriptor(engine);
    return index;
}

/* Finalises a plan whose attribute `source` is set to `value`, and wraps it. */
static cudnnStatus_t finish(const struct planner *planner, cudnnBackendAttributeName_t source,
                            cudnnBackendAttributeType_t type, int64_t count, const void *value,
                            struct plan_binary *ret_plan)
{
    struct plan_binary plan = {.engine = -1};
    int64_t got = 0;
    cudnnStatus_t status =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan.descriptor);
    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    status = cudnnBackendSetAttribute(plan.descriptor, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &planner->device);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendSetAttribute(plan.descriptor, source, type, count, value);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendFinalize(plan.descriptor);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendGetAttribute(plan.descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                          CUDNN_TYPE_INT64, 1, &got, &plan.workspace);
    if (status == CUDNN_STATUS_SUCCESS)
        *ret_plan = plan;
    else
        cudnnBackendDestroyDescriptor(plan.descriptor);
    return status;
}

/* Tries what one heuristic offers, in its order. CUDNN_STATUS_NOT_SUPPORTED where nothing finalises. */
static cudnnStatus_t try_mode(const struct planner *planner, struct descriptors *descriptors,
                              cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode,
                              struct plan_binary *ret_plan)
{
    cudnnBackendDescriptor_t heuristic =
        descriptors_new(descriptors, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    descriptors_set(descriptors, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    descriptors_set(descriptors, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1,
                    &mode);
    descriptors_set(descriptors, heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &planner->device);
    descriptors_finalize(descriptors, heuristic);
    int64_t count = 0;
    cudnnBackendDescriptor_t configs[CONFIGS_MAX];
    for (int i = 0; i < CONFIGS_MAX; i++)
        configs[i] = descriptors_new(descriptors, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (descriptors->status == CUDNN_STATUS_SUCCESS)
        descriptors->status =
            cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, CONFIGS_MAX, &count, configs);
    if (descriptors->status != CUDNN_STATUS_SUCCESS)
        return descriptors->status;
    for (int64_t i = 0; i < count && i < CONFIGS_MAX; i++)
        if (finish(planner, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                   1, &configs[i], ret_plan) == CUDNN_STATUS_SUCCESS) {
            ret_plan->engine = engine_of(configs[i]);
            return CUDNN_STATUS_SUCCESS;
        }
    return CUDNN_STATUS_NOT_SUPPORTED;
}

static int wrap(const struct plan_binary *plan, struct plan_binary **ret_plan, struct error *error)
{
    struct plan_binary *copy = malloc(sizeof *copy);
    if (!copy) {
        cudnnBackendDestroyDescriptor(plan->descriptor);
        return error_set(error, -ENOMEM, "", "out of memory");
    }
    *copy = *plan;
    *ret_plan = copy;
    return 0;
}

int planner_build(struct planner *planner, const struct convolution *convolution,
                  enum convolution_pass pass, struct plan_binary **ret_plan, struct error *error)
{
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                   CUDNN_HEUR_MODE_FALLBACK};
    char text[CONVOLUTION_TEXT_SIZE];
    convolution_text(convolution, text);
    struct plan_binary plan;
    cudnnStatus_t status = CUDNN_STATUS_NOT_SUPPORTED;
    for (size_t i = 0; i < ARRAY_LENGTH(modes) && status != CUDNN_STATUS_SUCCESS; i++) {
        CLEANUP(descriptors_release) struct descriptors descriptors = {0};
        cudnnBackendDescriptor_t graph = descriptors_convolution(&descriptors, convolution, pass);
        status = descriptors.status;
        if (status == CUDNN_STATUS_SUCCESS)
            status = try_mode(planner, &descriptors, graph, modes[i], &plan);
    }
    if (status != CUDNN_STATUS_SUCCESS)
        return descriptor_error(status, convolution_pass_name(pass), text, error);
    return wrap(&plan, ret_plan, error);
}

int planner_load(struct planner *planner, const char *json, size_t length, int64_t engine,
                 struct plan_binary **ret_plan, struct error *error)
{
    struct plan_binary plan;
    cudnnStatus_t status = finish(planner, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                  CUDNN_TYPE_CHAR, (int64_t)length, json, &plan);
    if (status != CUDNN_STATUS_SUCCESS)
        return descriptor_error(status, "plan from JSON", "", error);
    plan.engine = engine;
    return wrap(&plan, ret_plan, error);
}

void plan_binary_free(struct plan_binary *plan)
{
    if (plan)
        cudnnBackendDestroyDescriptor(plan->descriptor);
    free(plan);
}

int64_t plan_binary_engine(const struct plan_binary *plan)
{
    return plan->engine;
}

int64_t plan_binary_workspace(const struct plan_binary *plan)
{
    return plan->workspace;
}

int plan_binary_json(const struct plan_binary *plan, char **ret_json, size_t *ret_length,
                     struct error *error)
{
    int64_t count = 0;
    cudnnStatus_t status =
        cudnnBackendGetAttribute(plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, 0, &count, NULL);
    if (status != CUDNN_STATUS_SUCCESS || count <= 0)
        return descriptor_error(status, "JSON of a plan", "", error);
    if (count > PLAN_JSON_MAX)
        return error_set(error, -E2BIG, "", "a plan's JSON has %lld bytes", (long long)count);
    char *json = malloc((size_t)count + 1);
    if (!json)
        return error_set(error, -ENOMEM, "", "out of memory");
    status =
        cudnnBackendGetAttribute(plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, count, &count, json);
    if (status != CUDNN_STATUS_SUCCESS) {
        free(json);
        return descriptor_error(status, "JSON of a plan", "", error);
    }
    json[count] = '\0';
    *ret_json = json;
    *ret_length = strlen(json);
    return 0;
}
