#include "worker/agent_registration.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool registration_ready(const struct slot *slots, uint32_t slot_count)
{
    bool known = false;
    for (uint32_t i = 0; i < slot_count; i++) {
        if (!slots[i].settled)
            return false;
        known |= slots[i].hello_known;
    }
    return known;
}

/* Before the device of a slot that takes no work; the daemon shows it to people. */
static const char DRAINED[] = "drained: ";

static void add_dataset(struct register_request *request, const struct dataset *dataset)
{
    for (uint32_t i = 0; i < request->dataset_count; i++) {
        if (strcmp(request->datasets[i].name, dataset->name) == 0)
            return;
    }
    if (request->dataset_count < WIRE_DATASETS_MAX)
        request->datasets[request->dataset_count++] = *dataset;
}

static void copy_host(char ret_host[WIRE_HOST_SIZE])
{
    if (gethostname(ret_host, WIRE_HOST_SIZE - 1) < 0 || ret_host[0] == '\0')
        snprintf(ret_host, WIRE_HOST_SIZE, "unknown");
    ret_host[WIRE_HOST_SIZE - 1] = '\0';
}

void registration_collect(const struct agent_shared *shared, const struct slot *slots,
                          uint32_t slot_count, struct register_request *ret_request)
{
    assert(slot_count >= 1 && slot_count <= WIRE_SLOTS_MAX);
    *ret_request = (struct register_request){.slot_count = slot_count};
    snprintf(ret_request->worker, sizeof ret_request->worker, "%s", shared->worker);
    snprintf(ret_request->version, sizeof ret_request->version, "%s", ARCHSCOUT_VERSION);
    copy_host(ret_request->host);
    for (uint32_t i = 0; i < slot_count; i++) {
        const struct hello *hello = &slots[i].hello;
        snprintf(ret_request->slots[i].device, sizeof ret_request->slots[i].device, "%s%.*s",
                 slots[i].drained ? DRAINED : "",
                 WIRE_DEVICE_SIZE - 1 - (slots[i].drained ? (int)strlen(DRAINED) : 0),
                 slots[i].hello_known ? hello->device : slots[i].child_options.device);
        for (uint32_t k = 0; slots[i].hello_known && k < hello->dataset_count; k++)
            add_dataset(ret_request, &hello->datasets[k]);
    }
}

static bool has_problem(const struct register_response *terms, const char *problem)
{
    for (uint32_t i = 0; i < terms->dataset_problem_count; i++) {
        if (strcmp(terms->dataset_problems[i], problem) == 0)
            return true;
    }
    return false;
}

void registration_log_problems(const struct log *log, const struct register_response *before,
                               const struct register_response *now)
{
    for (uint32_t i = 0; i < now->dataset_problem_count; i++) {
        if (!has_problem(before, now->dataset_problems[i]))
            log_line(log, LOG_WARNING, "%s", now->dataset_problems[i]);
    }
    if (before->dataset_problem_count && !now->dataset_problem_count)
        log_line(log, LOG_INFO, "the daemon takes all data sets");
}
