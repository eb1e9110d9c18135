/* Data sets that workers announce: a new name is taken in, other facts under a known name take the place of the known ones
 * where nothing depends on these. */
#include "daemon/coordinator_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

enum { FACTS_SIZE = 112 };

static void say_facts(const struct dataset *dataset, char ret_text[FACTS_SIZE])
{
    snprintf(ret_text, FACTS_SIZE, "%u x %u x %u, %u classes, %llu training and %llu test images",
             dataset->image_size, dataset->image_size, dataset->image_channels, dataset->classes,
             (unsigned long long)dataset->train_images, (unsigned long long)dataset->test_images);
}

/* A search in any state: what its results say is true of these facts alone. NULL: none. */
static const struct search *naming_search(const struct coordinator *coordinator, const char *name)
{
    for (size_t i = 0; i < coordinator->search_count; i++)
        if (search_names_dataset(coordinator->searches[i], name))
            return coordinator->searches[i];
    return NULL;
}

static const struct worker *offering_worker(const struct coordinator *coordinator,
                                            const char *not_this, uint32_t dataset)
{
    for (uint32_t i = 0; i < coordinator->workers.count; i++) {
        const struct worker *worker = &coordinator->workers.items[i];
        if (worker->connected && worker_has_dataset(worker, dataset) &&
            strcmp(worker->name, not_this) != 0)
            return worker;
    }
    return NULL;
}

/* True where the known facts of a data set stay, with the reason and what can be done. */
static bool facts_stay(const struct coordinator *coordinator, const char *announcer,
                       uint32_t dataset, char ret_reason[DATASET_PROBLEM_SIZE])
{
    const char *name = coordinator->datasets.items[dataset].name;
    const struct search *search = naming_search(coordinator, name);
    const struct worker *worker = offering_worker(coordinator, announcer, dataset);
    if (dataset_table_is_well_known(&coordinator->datasets, dataset))
        snprintf(ret_reason, DATASET_PROBLEM_SIZE,
                 "the name is that of a well-known data set: add this one under another name");
    else if (search)
        snprintf(ret_reason, DATASET_PROBLEM_SIZE,
                 "search %llu names it, and searches are kept: add this one under another name",
                 (unsigned long long)search->id);
    else if (worker)
        snprintf(ret_reason, DATASET_PROBLEM_SIZE,
                 "worker %s still has the known one: change or remove it there too, or add this "
                 "one under another name",
                 worker->name);
    else
        return false;
    return true;
}

/* True where the data set is left out; *terms says so. */
static bool leave_out(const struct coordinator *coordinator, const char *announcer,
                      const struct dataset *announced, uint32_t index, struct terms *terms)
{
    char reason[DATASET_PROBLEM_SIZE], known_facts[FACTS_SIZE], announced_facts[FACTS_SIZE];
    if (!facts_stay(coordinator, announcer, index, reason))
        return false;
    assert(terms->dataset_problem_count < WORKER_DATASETS_MAX);
    say_facts(&coordinator->datasets.items[index], known_facts);
    say_facts(announced, announced_facts);
    int length =
        snprintf(terms->dataset_problems[terms->dataset_problem_count++], DATASET_PROBLEM_SIZE,
                 "data set %s is left out: it is known as %s, and this worker has %s; %s",
                 announced->name, known_facts, announced_facts, reason);
    assert(length < DATASET_PROBLEM_SIZE);
    return true;
}

/* The data set's index, or -EEXIST where it is left out. */
static int take_dataset(struct coordinator *coordinator, const char *announcer,
                        const struct dataset *announced, struct terms *terms, struct error *error)
{
    int r = dataset_validate(announced, error);
    if (r < 0)
        return r;
    int index = dataset_table_find(&coordinator->datasets, announced->name);
    if (index >= 0 && dataset_facts_agree(&coordinator->datasets.items[index], announced))
        return index;
    if (index >= 0 && leave_out(coordinator, announcer, announced, (uint32_t)index, terms))
        return -EEXIST;
    index = dataset_table_put(&coordinator->datasets, announced, error);
    if (index < 0)
        return index;
    r = store_put_dataset(coordinator->store, announced);
    if (r < 0)
        return error_set(error, coordinator_check(coordinator, r), "",
                         "the store cannot write at present");
    return index;
}

int coordinator_take_datasets(struct coordinator *coordinator,
                              const struct registration *registration, struct dataset_set *ret_set,
                              struct terms *terms, struct error *error)
{
    struct dataset_set set = {{0}};
    for (uint32_t i = 0; i < registration->dataset_count; i++) {
        int index = take_dataset(coordinator, registration->worker, &registration->datasets[i],
                                 terms, error);
        if (index >= 0)
            set.bits[index / 64] |= UINT64_C(1) << (index % 64);
        else if (index != -EEXIST) {
            if (!coordinator->failure)
                snprintf(error->pointer, sizeof(error->pointer), "/datasets/%u", i);
            return index;
        }
    }
    *ret_set = set;
    return 0;
}
