/* Runs one task through the product's trainer, as archscout-trainer would, and prints what it reports: the program behind
 * progressive.py and randaugment.py.
 *
 *   trainer_peer JOB.json
 *
 * A line of JSON an epoch: accuracy on the held-out images of the training split, and the seconds and processor seconds since the
 * task began. Nothing is timed after the last epoch. */
#include "proto/wire_task.h"
#include "tests/peers/job.h"
#include "worker/data/cache.h"
#include "worker/trainer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct watch {
    struct timespec start;
    uint32_t epochs; /* of the task */
    bool finished;
};

static double seconds_of(const struct timespec *time)
{
    return (double)time->tv_sec + (double)time->tv_nsec * 1e-9;
}

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    struct watch *watch = context;
    struct timespec now, cpu;
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf(
        "{\"epoch\": %u, \"train_loss\": %.6f, \"train_accuracy\": %.6f, \"held_out_loss\": %.6f, "
        "\"held_out_accuracy\": %.6f, \"seconds\": %.2f, \"cpu_s\": %.2f}\n",
        epoch->number, epoch->train_loss, epoch->train_accuracy, epoch->validation_loss,
        epoch->validation_accuracy, seconds_of(&now) - seconds_of(&watch->start), seconds_of(&cpu));
    fflush(stdout);
    watch->finished = epoch->number == watch->epochs;
}

static bool should_stop(void *context)
{
    return ((const struct watch *)context)->finished;
}

static void on_note(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "trainer_peer: %s\n", text);
}

static int task_of(const struct job *job, const struct catalog *catalog, struct wire_task *ret_task,
                   struct error *error)
{
    const struct catalog_entry *entry;
    int r = catalog_find(catalog, job->dataset, &entry, error);
    if (r < 0)
        return r;
    struct wire_task task = {.search = "peers",
                             .attempt = 1,
                             .epoch = 1,
                             .architecture = job->architecture,
                             .baseline = job->architecture,
                             .recipe = job->recipe,
                             .dataset = entry->dataset,
                             .train_images = job->train_images,
                             .validation_images = job->validation_images,
                             .split_seed = job->split_seed,
                             .seed = job->seed,
                             .epochs = job->epochs,
                             .micro_batches = 1};
    r = wire_task_validate(&task, error);
    if (r == 0)
        *ret_task = task;
    return r;
}

static int run_task(const struct job *job, const struct catalog *catalog, struct error *error)
{
    char cache[FILE_PATH_SIZE];
    struct wire_task task;
    struct trainer *trainer;
    struct watch watch = {.epochs = job->epochs};
    const struct trainer_events events = {
        .context = &watch, .on_epoch = on_epoch, .on_note = on_note, .should_stop = should_stop};
    int r = task_of(job, catalog, &task, error);
    if (r == 0)
        r = cache_directory(cache, error);
    if (r < 0)
        return r;
    const struct trainer_options options = {
        .backend = job->backend, .catalog = catalog, .cache_directory = cache};
    r = trainer_new(&options, &trainer, error);
    if (r < 0)
        return r;
    struct wire_result result;
    clock_gettime(CLOCK_MONOTONIC, &watch.start);
    trainer_run(trainer, &task, &events, &result);
    trainer_free(trainer);
    if (!watch.finished)
        return error_set(error, -EIO, "", "the task ended %s: %.400s",
                         wire_outcome_name(result.outcome), result.message);
    return 0;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    struct job job;
    struct catalog *catalog = NULL;
    if (argc != 2) {
        fputs("usage: trainer_peer JOB.json\n", stderr);
        return 2;
    }
    int r = job_read(argv[1], &job, &error);
    if (r == 0)
        r = catalog_new(&catalog);
    if (r == 0)
        r = catalog_add(catalog, job.data, &error);
    if (r == 0)
        r = run_task(&job, catalog, &error);
    catalog_free(catalog);
    if (r < 0) {
        fprintf(stderr, "trainer_peer: %s%s%s\n", error.pointer, error.pointer[0] ? ": " : "",
                error.message[0] ? error.message : strerror(-r));
        return 1;
    }
    return 0;
}
