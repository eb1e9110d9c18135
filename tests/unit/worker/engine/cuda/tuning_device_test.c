/* What is recorded and timed, on the emulator. Its times decide which of those that run wins, so no
 * test asks for one of them. */
#include "worker/engine/cuda/tuning_device.h"

#include "kernels/device.h"
#include "tests/emulator/emulator.h"
#include "worker/engine/cuda/tuning.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum kind { WORKS, REFUSES, CANNOT_BE_RECORDED };
enum { CANDIDATES = 4, RUNS = 1 + (TUNING_ROUNDS + 1) * TUNING_DEVICE_RUNS };

struct scene {
    enum kind kinds[CANDIDATES];
    unsigned asked[CANDIDATES], run[CANDIDATES];
};

static void count_run(const void *argument)
{
    unsigned *run;
    memcpy(&run, argument, sizeof run);
    ++*run;
}

static int enqueue(void *context, size_t candidate, struct CUstream_st *stream)
{
    struct scene *scene = context;
    unsigned *run = &scene->run[candidate];
    void *buffer;
    scene->asked[candidate]++;
    if (scene->kinds[candidate] == REFUSES)
        return -ENOTSUP;
    if (scene->kinds[candidate] == CANNOT_BE_RECORDED && device_buffer_new(16, &buffer, NULL) == 0)
        device_buffer_free(buffer);
    return emulator_enqueue(stream, count_run, &run, sizeof run);
}

static int run(struct scene *scene, size_t *ret_winner, struct error *error)
{
    const struct tuning_device tuning = {.count = CANDIDATES, .context = scene, .enqueue = enqueue};
    return tuning_device_run(&tuning, ret_winner, error);
}

static void test_what_can_be_run_is_run_as_often(void **state)
{
    (void)state;
    struct scene scene = {.kinds = {WORKS, WORKS, WORKS, WORKS}};
    size_t winner = CANDIDATES;
    assert_int_equal(run(&scene, &winner, NULL), 0);
    assert_true(winner < CANDIDATES);
    for (size_t i = 0; i < CANDIDATES; i++) {
        assert_int_equal(scene.asked[i], 1 + TUNING_DEVICE_RUNS);
        assert_int_equal(scene.run[i], RUNS);
    }
    assert_int_equal(emulator_pending(), 0);
}

static void test_what_cannot_be_run_does_not_win(void **state)
{
    (void)state;
    struct scene scene = {.kinds = {REFUSES, CANNOT_BE_RECORDED, WORKS, REFUSES}};
    size_t winner = CANDIDATES;
    assert_int_equal(run(&scene, &winner, NULL), 0);
    assert_int_equal(winner, 2);
    assert_int_equal(scene.run[0] + scene.run[3], 0);
    assert_int_equal(scene.run[1], 1);
    assert_int_equal(scene.run[2], RUNS);
}

static void test_where_nothing_can_be_run_there_is_no_winner(void **state)
{
    (void)state;
    struct scene scene = {.kinds = {REFUSES, REFUSES, CANNOT_BE_RECORDED, REFUSES}};
    size_t winner = CANDIDATES;
    struct error error = {0};
    assert_int_equal(run(&scene, &winner, &error), -ENOTSUP);
    assert_int_equal(winner, CANDIDATES);
    assert_non_null(strstr(error.message, "none of 4"));
}

static void test_a_device_that_breaks_ends_it(void **state)
{
    (void)state;
    struct scene scene = {.kinds = {WORKS, WORKS, WORKS, WORKS}};
    size_t winner = CANDIDATES;
    struct error error = {0};
    emulator_break_at(20);
    assert_int_equal(run(&scene, &winner, &error), -EIO);
    assert_int_equal(winner, CANDIDATES);
    assert_true(error.message[0] != '\0');
    emulator_mend();
    assert_int_equal(run(&scene, &winner, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_can_be_run_is_run_as_often),
        cmocka_unit_test(test_what_cannot_be_run_does_not_win),
        cmocka_unit_test(test_where_nothing_can_be_run_there_is_no_winner),
        cmocka_unit_test(test_a_device_that_breaks_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
