/* A candidate that is stopped after any step and continued, by another trainer, ends as one that was never stopped: the same
 * losses and accuracies to the bit after each epoch. ARCHSCOUT_SEED says which steps. */
#include "search/random.h"
#include "tests/unit/worker/task.h"
#include "worker/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCHS = 3, INTERRUPTIONS = 50 };

struct record {
    uint64_t boundaries, stop_at; /* stopped at this boundary; 0 = never */
    uint32_t epochs;
    struct wire_epoch reported[EPOCHS];
    struct wire_checkpoint_written written;
};

static bool should_stop(void *context)
{
    struct record *record = context;
    return ++record->boundaries == record->stop_at;
}

static void on_epoch(void *context, const struct wire_epoch *epoch)
{
    struct record *record = context;
    assert_true(record->epochs < EPOCHS && epoch->number == record->epochs + 1);
    record->reported[record->epochs++] = *epoch;
}

static void on_checkpoint(void *context, const struct wire_checkpoint_written *written)
{
    ((struct record *)context)->written = *written;
}

static struct trainer *make_trainer(const struct fixture *fixture, struct catalog *catalog)
{
    struct trainer *trainer = NULL;
    const struct trainer_options options = {.backend = backend_onednn() ? backend_onednn()
                                                                        : backend_reference(),
                                            .catalog = catalog,
                                            .cache_directory = fixture->directory,
                                            .checkpoint_directory = fixture->directory};
    assert_int_equal(trainer_new(&options, &trainer, NULL), 0);
    return trainer;
}

static struct wire_result run(struct trainer *trainer, const struct wire_task *task,
                              struct record *record)
{
    struct wire_result result;
    const struct trainer_events events = {.context = record,
                                          .on_epoch = on_epoch,
                                          .should_stop = should_stop,
                                          .on_checkpoint = on_checkpoint};
    trainer_run(trainer, task, &events, &result);
    return result;
}

/* What a checkpoint has to carry: averages, an optimizer with two states, dropout, augmentation. */
static struct wire_task make_task(void)
{
    struct wire_task task = small_task();
    task.epochs = EPOCHS;
    task.recipe.optimizer = OPTIMIZER_RMSPROP;
    task.recipe.learning_rate = 0.01;
    task.recipe.ema_decay = 0.9;
    task.recipe.dropout = 0.2;
    task.recipe.shift = 1;
    task.recipe.flip = true;
    return task;
}

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void same_epochs(const struct record *a, const struct record *b, uint64_t boundary)
{
    bool equal = a->epochs == EPOCHS && b->epochs == EPOCHS;
    for (uint32_t i = 0; equal && i < EPOCHS; i++)
        equal = same(a->reported[i].train_loss, b->reported[i].train_loss) &&
                same(a->reported[i].train_accuracy, b->reported[i].train_accuracy) &&
                same(a->reported[i].validation_loss, b->reported[i].validation_loss) &&
                same(a->reported[i].validation_accuracy, b->reported[i].validation_accuracy);
    if (!equal)
        fail_msg("stopped at boundary %llu it ends otherwise", (unsigned long long)boundary);
}

static void test_stopping_after_any_step_changes_nothing(void **state)
{
    const struct fixture *fixture = *state;
    const char *seed = getenv("ARCHSCOUT_SEED");
    struct random_stream random =
        random_stream_of(seed ? strtoull(seed, NULL, 10) : 1, 0, RANDOM_CANDIDATE);
    fixture_write_synthetic(fixture, "bars", &task_images);
    struct catalog *catalog = NULL;
    assert_int_equal(catalog_new(&catalog), 0);
    assert_int_equal(catalog_add(catalog, fixture->directory, NULL), 0);
    struct trainer *one = make_trainer(fixture, catalog), *another = make_trainer(fixture, catalog);
    struct wire_task task = make_task();
    struct record whole = {.stop_at = 0};
    struct wire_result expected = run(one, &task, &whole);
    assert_int_equal(expected.outcome, WIRE_OUTCOME_DONE);
    /* the last epoch's boundaries are followed by those of timing, whose number varies */
    const uint64_t boundaries = (uint64_t)EPOCHS * (320 / 32 + 3);
    assert_true(whole.boundaries >= boundaries);
    for (int i = 0; i < INTERRUPTIONS; i++) {
        struct record first = {.stop_at = 1 + random_below(&random, (uint32_t)boundaries - 1)};
        struct record second = {.stop_at = 0};
        struct wire_task next = task;
        struct wire_result result = run(one, &task, &first);
        assert_int_equal(result.outcome, WIRE_OUTCOME_RETURNED);
        next.attempt++;
        next.checkpoint = first.written.checkpoint;
        memcpy(next.checkpoint_path, first.written.path, sizeof next.checkpoint_path);
        assert_true(next.checkpoint.bytes > 0);
        result = run(another, &next, &second);
        assert_int_equal(result.outcome, WIRE_OUTCOME_DONE);
        same_epochs(&whole, &second, first.stop_at);
        assert_true(same(result.loss, expected.loss) && same(result.accuracy, expected.accuracy));
        assert_int_equal(result.images, expected.images);
        unlink(first.written.path);
    }
    trainer_free(one);
    trainer_free(another);
    catalog_free(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_stopping_after_any_step_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
