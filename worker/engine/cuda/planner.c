#include "worker/engine/cuda/planner_device.h"

#include "worker/engine/cuda/descriptors.h"
#include "worker/engine/cuda/plan_file.h"

#include <assert.h>
#include <ctype.h>
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

/* The caller frees *ret_json, which is terminated. */
static int read_json(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t attribute,
                     const char *what, char **ret_json, size_t *ret_length, struct error *error)
{
    int64_t count = 0;
    cudnnStatus_t status =
        cudnnBackendGetAttribute(descriptor, attribute, CUDNN_TYPE_CHAR, 0, &count, NULL);
    if (status != CUDNN_STATUS_SUCCESS || count <= 0)
        return descriptor_error(status, what, "", error);
    if (count > PLAN_JSON_MAX)
        return error_set(error, -E2BIG, "", "%s has %lld bytes", what, (long long)count);
    char *json = malloc((size_t)count + 1);
    if (!json)
        return error_set(error, -ENOMEM, "", "out of memory");
    status = cudnnBackendGetAttribute(descriptor, attribute, CUDNN_TYPE_CHAR, count, &count, json);
    if (status != CUDNN_STATUS_SUCCESS) {
        free(json);
        return descriptor_error(status, what, "", error);
    }
    json[count] = '\0';
    *ret_json = json;
    *ret_length = strlen(json);
    return 0;
}

/* The digits that follow `name` are left out. */
static uint64_t hash_without(const char *text, size_t length, const char *const *names)
{
    char *copy = malloc(length + 1);
    if (!copy)
        return plan_hash(text, length);
    memcpy(copy, text, length);
    copy[length] = '\0';
    for (; *names; names++) {
        char *at = strstr(copy, *names);
        if (at)
            for (at += strlen(*names); isdigit((unsigned char)*at); at++)
                *at = '#';
    }
    const uint64_t hash = plan_hash(copy, length);
    free(copy);
    return hash;
}

/* Equal devices of one machine share their plans. */
static uint64_t device_hash(const char *description, size_t length)
{
    static const char *const places[] = {"\"pciDeviceId\":", "\"cudaDeviceId\":", NULL};
    return hash_without(description, length, places);
}

/* A descriptor with `attribute` set to `value`, finalised; ret_planner has neither hash nor driver. */
static int open_device(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                       int64_t count, const void *value, struct planner **ret_planner,
                       struct error *error)
{
    struct planner *planner = calloc(1, sizeof *planner);
    if (!planner)
        return error_set(error, -ENOMEM, "", "out of memory");
    cudnnStatus_t status =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &planner->device);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendSetAttribute(planner->device, attribute, type, count, value);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendFinalize(planner->device);
    if (status != CUDNN_STATUS_SUCCESS) {
        planner_free(planner);
        return descriptor_error(status, "device description", "", error);
    }
    planner->driver = find_driver();
    *ret_planner = planner;
    return 0;
}

int planner_new(const char *description, size_t length, struct planner **ret_planner,
                struct error *error)
{
    int r = open_device(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)length,
                        description, ret_planner, error);
    if (r == 0)
        (*ret_planner)->hash = device_hash(description, length);
    return r;
}

int planner_new_on(cudnnHandle_t handle, struct planner **ret_planner, struct error *error)
{
    struct planner *planner;
    int r =
        open_device(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle, &planner, error);
    if (r < 0)
        return r;
    char *description;
    size_t length;
    r = read_json(planner->device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                  "the device's description", &description, &length, error);
    if (r < 0) {
        planner_free(planner);
        return r;
    }
    planner->hash = device_hash(description, length);
    free(description);
    *ret_planner = planner;
    return 0;
}

void planner_free(struct planner *planner)
{
    if (planner && planner->device)
        cudnnBackendDestroyDescriptor(planner->device);
    free(planner);
}

/* What is known of a configuration's engine. */
struct engine {
    int64_t index;
    bool exact;    /* its sums have one order and are kept in float */
    bool run_time; /* it is compiled when a plan is made */
};

static void read_notes(cudnnBackendDescriptor_t descriptor, struct engine *engine)
{
    cudnnBackendNumericalNote_t numerical[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendBehaviorNote_t behaviour[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t count = 0;
    engine->exact = cudnnBackendGetAttribute(
                        descriptor, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                        CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, numerical) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; engine->exact && i < count && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
        engine->exact = numerical[i] != CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC &&
                        numerical[i] != CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
    if (cudnnBackendGetAttribute(descriptor, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                 CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &count,
                                 behaviour) != CUDNN_STATUS_SUCCESS)
        count = 0;
    for (int64_t i = 0; i < count && i < CUDNN_BEHAVIOR_NOTE_TYPE_COUNT; i++)
        engine->run_time |= behaviour[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
}

/* Not exact where it cannot be told. */
static struct engine engine_of(cudnnBackendDescriptor_t config)
{
    struct engine engine = {.index = -1};
    int64_t count = 0;
    cudnnBackendDescriptor_t descriptor;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &descriptor) !=
        CUDNN_STATUS_SUCCESS)
        return engine;
    if (cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &count, &descriptor) == CUDNN_STATUS_SUCCESS) {
        cudnnBackendGetAttribute(descriptor, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1,
                                 &count, &engine.index);
        read_notes(descriptor, &engine);
    }
    cudnnBackendDestroyDescriptor(descriptor);
    return engine;
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

/* What has been found for a request. */
struct search {
    struct planner *planner;
    const struct plan_request *request;
    bool run_time; /* engines that are compiled at run time take part */
    struct plan_binary **plans;
    uint64_t hashes[PLAN_LIST_MAX]; /* of the plans' JSON */
    size_t max, count;
    int64_t least_refused; /* workspace of the least of the plans that do not fit; 0: none */
};

/* Heuristics A and B name some configurations both. */
static bool is_known(struct search *search, const struct plan_binary *plan)
{
    char *json;
    size_t length;
    if (search->max == 1 || plan_binary_json(plan, &json, &length, NULL) < 0)
        return false;
    const uint64_t hash = plan_hash(json, length);
    free(json);
    for (size_t i = 0; i < search->count; i++)
        if (search->hashes[i] == hash)
            return true;
    search->hashes[search->count] = hash;
    return false;
}

/* -ENOMEM; what cannot be used is passed over. */
static int try_config(struct search *search, cudnnBackendDescriptor_t config, struct error *error)
{
    const struct engine engine = engine_of(config);
    struct plan_binary plan;
    if (!engine.exact || (engine.run_time && !search->run_time))
        return 0;
    if (finish(search->planner, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config, &plan) != CUDNN_STATUS_SUCCESS)
        return 0;
    plan.engine = engine.index;
    const bool fits = (uint64_t)plan.workspace <= search->request->workspace_bytes_max;
    if (!fits && (search->least_refused == 0 || plan.workspace < search->least_refused))
        search->least_refused = plan.workspace;
    if (!fits || is_known(search, &plan)) {
        cudnnBackendDestroyDescriptor(plan.descriptor);
        return 0;
    }
    int r = wrap(&plan, &search->plans[search->count], error);
    search->count += r == 0;
    return r;
}

/* The configurations that one heuristic names, in its order; their number. */
static int64_t list_configs(const struct planner *planner, struct descriptors *descriptors,
                            cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode,
                            cudnnBackendDescriptor_t ret_configs[CONFIGS_MAX])
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
    for (int i = 0; i < CONFIGS_MAX; i++)
        ret_configs[i] = descriptors_new(descriptors, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (descriptors->status == CUDNN_STATUS_SUCCESS)
        descriptors->status = cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, CONFIGS_MAX,
                                                       &count, ret_configs);
    return count < CONFIGS_MAX ? count : CONFIGS_MAX;
}

/* -ENOMEM, or what cuDNN says of the request itself; a heuristic that has nothing is no error. */
static int search_mode(struct search *search, cudnnBackendHeurMode_t mode, struct error *error)
{
    const struct plan_request *request = search->request;
    CLEANUP(descriptors_release) struct descriptors descriptors = {0};
    cudnnBackendDescriptor_t configs[CONFIGS_MAX];
    cudnnBackendDescriptor_t graph =
        descriptors_convolution(&descriptors, &request->convolution, request->pass);
    if (descriptors.status != CUDNN_STATUS_SUCCESS) {
        char text[CONVOLUTION_TEXT_SIZE];
        convolution_text(&request->convolution, text);
        return descriptor_error(descriptors.status, convolution_pass_name(request->pass), text,
                                error);
    }
    const int64_t count = list_configs(search->planner, &descriptors, graph, mode, configs);
    if (descriptors.status != CUDNN_STATUS_SUCCESS)
        return descriptor_code(descriptors.status) == -ENOMEM
                   ? error_set(error, -ENOMEM, "", "out of memory")
                   : 0;
    int r = 0;
    for (int64_t i = 0; r == 0 && i < count && search->count < search->max; i++)
        r = try_config(search, configs[i], error);
    return r;
}

static int search_modes(struct search *search, struct error *error)
{
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                   CUDNN_HEUR_MODE_FALLBACK};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(modes) && search->count < search->max; i++)
        r = search_mode(search, modes[i], error);
    return r;
}

static int nothing_fits(const struct search *search, struct error *error)
{
    const struct plan_request *request = search->request;
    const char *pass = convolution_pass_name(request->pass);
    char text[CONVOLUTION_TEXT_SIZE];
    convolution_text(&request->convolution, text);
    if (search->least_refused == 0)
        return error_set(error, -ENOTSUP, "",
                         "%s of %s: cuDNN has no plan that sums in float and in one order", pass,
                         text);
    return error_set(error, -ENOTSUP, "",
                     "%s of %s: no plan needs at most %zu bytes of workspace, the least %lld", pass,
                     text, request->workspace_bytes_max, (long long)search->least_refused);
}

int planner_build(struct planner *planner, const struct plan_request *request,
                  struct plan_binary **ret_plan, struct error *error)
{
    struct search search = {.planner = planner, .request = request, .plans = ret_plan, .max = 1};
    int r = search_modes(&search, error);
    if (r == 0 && search.count == 0) {
        search.run_time = true;
        r = search_modes(&search, error);
    }
    if (r == 0 && search.count == 0)
        r = nothing_fits(&search, error);
    return r;
}

int planner_build_several(struct planner *planner, const struct plan_request *request,
                          struct plan_binary **ret_plans, size_t max, size_t *ret_count,
                          struct error *error)
{
    assert(max > 0 && max <= PLAN_LIST_MAX);
    struct plan_binary *plans[PLAN_LIST_MAX];
    struct search search = {
        .planner = planner, .request = request, .run_time = true, .plans = plans, .max = max};
    int r = search_modes(&search, error);
    if (r == 0 && search.count == 0)
        r = nothing_fits(&search, error);
    if (r == 0) {
        memcpy(ret_plans, plans, search.count * sizeof *plans);
        *ret_count = search.count;
        return 0;
    }
    while (search.count > 0)
        plan_binary_free(plans[--search.count]);
    return r;
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
    return read_json(plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                     "JSON of a plan", ret_json, ret_length, error);
}

cudnnBackendDescriptor_t plan_binary_descriptor(const struct plan_binary *plan)
{
    return plan->descriptor;
}
