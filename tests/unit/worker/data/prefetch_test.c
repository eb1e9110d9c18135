/* The background thread: what is asked for is done once, and what is not taken does not come back. */
#include "worker/data/prefetch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <pthread.h>
#include <semaphore.h>

#include <cmocka.h>

enum { ROUNDS = 2000 };

struct tally {
    uint64_t runs, last;
    bool signals_blocked;
    sem_t begun;
};

static void count_run(void *context, const struct prefetch_work *work)
{
    struct tally *tally = context;
    sigset_t mask;
    tally->runs++;
    tally->last = work->index;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    tally->signals_blocked = sigismember(&mask, SIGTERM) == 1;
    sem_post(&tally->begun);
}

static struct prefetch *start(struct tally *tally)
{
    struct prefetch *prefetch;
    *tally = (struct tally){0};
    assert_int_equal(sem_init(&tally->begun, 0, 0), 0);
    assert_int_equal(prefetch_new(count_run, tally, &prefetch, NULL), 0);
    return prefetch;
}

static void ask_and_wait(struct prefetch *prefetch, const struct prefetch_work *work,
                         struct tally *tally)
{
    prefetch_ask(prefetch, work);
    assert_int_equal(sem_wait(&tally->begun), 0);
}

static void test_what_was_asked_for_is_taken(void **state)
{
    (void)state;
    struct tally tally;
    struct prefetch *prefetch = start(&tally);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        const struct prefetch_work work = {.training = true, .epoch = 2, .index = i};
        ask_and_wait(prefetch, &work, &tally);
        assert_true(prefetch_take(prefetch, &work));
        assert_int_equal(tally.last, i);
    }
    assert_int_equal(tally.runs, ROUNDS);
    assert_true(tally.signals_blocked);
    assert_false(prefetch_take(prefetch, &(struct prefetch_work){.index = ROUNDS - 1}));
    prefetch_free(prefetch);
}

static void test_other_work_is_not_taken(void **state)
{
    (void)state;
    struct tally tally;
    struct prefetch *prefetch = start(&tally);
    const struct prefetch_work asked = {.training = true, .epoch = 1, .index = 5};
    const struct prefetch_work others[] = {{.training = false, .epoch = 1, .index = 5},
                                           {.training = true, .epoch = 2, .index = 5},
                                           {.training = true, .epoch = 1, .index = 6}};
    for (int i = 0; i < 3; i++) {
        ask_and_wait(prefetch, &asked, &tally);
        assert_false(prefetch_take(prefetch, &others[i]));
        assert_false(prefetch_take(prefetch, &asked));
    }
    prefetch_free(prefetch);
}

/* However far the thread has come. */
static void test_what_is_dropped_is_gone_and_leaving_waits(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS / 10; i++) {
        struct tally tally;
        struct prefetch *prefetch = start(&tally);
        const struct prefetch_work work = {.index = 1};
        prefetch_ask(prefetch, &work);
        prefetch_drop(prefetch);
        assert_false(prefetch_take(prefetch, &work));
        prefetch_ask(prefetch, &work);
        prefetch_free(prefetch);
        assert_true(tally.runs <= 2);
    }
    prefetch_free(NULL);
}

struct slow_tally {
    sem_t begun;
    bool over;
};

static void run_slowly(void *context, const struct prefetch_work *work)
{
    (void)work;
    struct slow_tally *tally = context;
    sem_post(&tally->begun);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    tally->over = true;
}

/* The caller may change what the work reads as soon as these return. */
static void test_what_is_under_way_is_waited_for(void **state)
{
    (void)state;
    struct slow_tally tally = {.over = false};
    struct prefetch *prefetch;
    const struct prefetch_work work = {.index = 1}, other = {.index = 2};
    assert_int_equal(sem_init(&tally.begun, 0, 0), 0);
    assert_int_equal(prefetch_new(run_slowly, &tally, &prefetch, NULL), 0);
    for (int way = 0; way < 3; way++) {
        tally.over = false;
        prefetch_ask(prefetch, &work);
        assert_int_equal(sem_wait(&tally.begun), 0);
        if (way == 0)
            prefetch_drop(prefetch);
        else
            assert_int_equal(prefetch_take(prefetch, way == 1 ? &work : &other), way == 1);
        assert_true(tally.over);
    }
    prefetch_free(prefetch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_asked_for_is_taken),
        cmocka_unit_test(test_other_work_is_not_taken),
        cmocka_unit_test(test_what_is_under_way_is_waited_for),
        cmocka_unit_test(test_what_is_dropped_is_gone_and_leaving_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
