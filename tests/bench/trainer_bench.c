/* How long a trainer takes from receiving a task to the end of its first step, cold and warm, and what loading costs beside
 * training. Fashion-MNIST, batch 128; architectures drawn from the space efficientnetv2-small-images.
 *
 *   trainer_bench [BACKEND]           onednn where it was built, else reference
 *   trainer_bench --candidates N      instead: the trainer's memory over N short candidates, batch 32 */
#include "search/preset.h"
#include "search/random.h"
#include "search/space.h"
#include "worker/data/cache.h"
#include "worker/data/loader.h"
#include "worker/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TASKS = 15,
    BATCH = 128,
    SMALL_BATCH = 32,
    CANDIDATES_MAX = 100000,
    TRAIN_IMAGES = 2 * BATCH,
    LOADED_BATCHES = 300
};

static const char DATASETS[] = "/usr/share/datasets";
static const char SPACE[] = "{\"preset\": \"efficientnetv2-small-images\"}";

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a_pointer, const void *b_pointer)
{
    double a = *(const double *)a_pointer, b = *(const double *)b_pointer;
    return (a > b) - (a < b);
}

static void draw(const struct space *space, uint64_t k, struct architecture *ret_architecture)
{
    struct random_stream stream = random_stream_of(1, k, RANDOM_PROPOSAL);
    struct encoding encoding = {0};
    for (uint32_t stage = 0; stage < space_stage_count(space); stage++)
        encoding.choices[stage] = (uint16_t)random_below(&stream, space_option_count(space, stage));
    space_architecture(space, &encoding, ret_architecture);
}

static int task_init(struct wire_task *task, struct error *error)
{
    *task = (struct wire_task){.search = "bench",
                               .attempt = 1,
                               .epoch = 1,
                               .dataset = *dataset_known("fashion-mnist"),
                               .train_images = TRAIN_IMAGES,
                               .validation_images = BATCH,
                               .epochs = 1,
                               .micro_batches = 1};
    int r = recipe_preset("search-short", &task->recipe, error);
    task->recipe.batch = BATCH;
    return r < 0 ? r : preset_find("archscout-reference", &task->baseline, error);
}

/* The first task is the cold one. Sorts the others. */
static void print_times(const char *what, double *seconds)
{
    qsort(seconds + 1, TASKS - 1, sizeof *seconds, compare_doubles);
    printf("receiving a task to %s: cold %.0f ms, warm %.0f ms (median of %d), at most %.0f ms\n",
           what, seconds[0] * 1e3, seconds[TASKS / 2] * 1e3, TASKS - 1, seconds[TASKS - 1] * 1e3);
}

static int run_tasks(struct trainer *trainer, const struct space *space, struct error *error)
{
    const struct trainer_events events = {0};
    struct wire_task task;
    int r = task_init(&task, error);
    if (r < 0)
        return r;
    double whole_s[TASKS], before_s[TASKS];
    for (uint64_t k = 0; k < TASKS; k++) {
        struct wire_result result;
        draw(space, k, &task.architecture);
        trainer_run(trainer, &task, &events, &result);
        if (result.outcome != WIRE_OUTCOME_DONE)
            return error_set(error, -1, "", "task %d: %s", (int)k, result.message);
        whole_s[k] = result.first_step_s;
        before_s[k] = result.first_step_s - result.step_time.median_s;
    }
    print_times("the end of its first step", whole_s);
    print_times("the same, less a usual step", before_s);
    return 0;
}

/* Resident memory of this process, in MiB. */
static double resident_mib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* The arena grows to what the largest candidate needs, so the same candidates are drawn again and again: from the second
 * time on, nothing has a reason to grow. */
static int run_candidates(struct trainer *trainer, const struct space *space, uint64_t candidates,
                          struct error *error)
{
    enum { DIFFERENT = 20 };
    const struct trainer_events events = {0};
    struct wire_task task;
    int r = task_init(&task, error);
    if (r < 0)
        return r;
    task.recipe.batch = SMALL_BATCH;
    task.train_images = 2 * SMALL_BATCH;
    task.validation_images = SMALL_BATCH;
    printf("| candidates | resident, MiB |\n|---|---|\n");
    for (uint64_t k = 0; k < candidates; k++) {
        struct wire_result result;
        draw(space, k % DIFFERENT, &task.architecture);
        trainer_run(trainer, &task, &events, &result);
        if (result.outcome != WIRE_OUTCOME_DONE)
            return error_set(error, -1, "", "task %d: %s", (int)k, result.message);
        if ((k + 1) % DIFFERENT == 0) {
            printf("| %d | %.1f |\n", (int)k + 1, resident_mib());
            fflush(stdout);
        }
    }
    return 0;
}

static int time_loading(const struct catalog *catalog, const char *cache, struct error *error)
{
    const struct catalog_entry *entry;
    struct pack *pack;
    struct split split;
    struct error reason;
    int r = catalog_find(catalog, "fashion-mnist", &entry, error);
    if (r == 0)
        r = cache_open(cache, &entry->source, &pack, &reason, error);
    if (r < 0)
        return r;
    const struct dataset *dataset = pack_dataset(pack);
    struct split_request request = {
        pack_labels(pack), dataset->train_images, dataset->classes, 1, 8000, 2000};
    struct loader_options options = {
        .pack = pack, .split = &split, .image_size = dataset->image_size, .seed = 1};
    struct loader *loader;
    options.recipe = (struct recipe){.batch = BATCH, .flip = true, .shift = 2};
    float *images =
        malloc((size_t)BATCH * dataset->image_size * dataset->image_size * sizeof(float));
    uint32_t labels[BATCH];
    r = split_init(&split, &request, error);
    if (r < 0 || !images || (r = loader_new(&options, &loader, error)) < 0)
        return r;
    const struct loader_batch batch = {.images = images, .labels = labels};
    double start = now_s();
    for (uint64_t i = 0; i < LOADED_BATCHES; i++)
        loader_train_batch(loader, i % loader_steps_per_epoch(loader), &batch);
    printf("loading a batch of %d with flip and shift: %.2f ms\n", BATCH,
           (now_s() - start) / LOADED_BATCHES * 1e3);
    loader_free(loader);
    split_release(&split);
    pack_free(pack);
    free(images);
    return 0;
}

int main(int argc, char **argv)
{
    const struct backend *backend = backend_onednn() ? backend_onednn() : backend_reference();
    uint64_t candidates = 0;
    if (argc == 3 && strcmp(argv[1], "--candidates") == 0)
        candidates = strtoul(argv[2], NULL, 10);
    else if (argc > 1)
        backend = backend_find(argv[1]);
    struct catalog *catalog;
    struct space *space;
    struct trainer *trainer;
    struct error error = {0};
    char cache[FILE_PATH_SIZE];
    if (!backend || candidates > CANDIDATES_MAX || catalog_new(&catalog) < 0)
        return 1;
    struct trainer_options options = {
        .backend = backend, .catalog = catalog, .cache_directory = cache};
    printf("backend %s\n", backend_name(backend));
    if (cache_directory(cache, &error) < 0 || catalog_add(catalog, DATASETS, &error) < 0 ||
        space_parse(SPACE, strlen(SPACE), &space, &error) < 0 ||
        (!candidates && time_loading(catalog, cache, &error) < 0) ||
        trainer_new(&options, &trainer, &error) < 0 ||
        (candidates ? run_candidates(trainer, space, candidates, &error)
                    : run_tasks(trainer, space, &error)) < 0) {
        fprintf(stderr, "trainer_bench: %s\n", error.message);
        return 1;
    }
    trainer_free(trainer);
    space_free(space);
    catalog_free(catalog);
    return 0;
}
