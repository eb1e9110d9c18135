/* The loader without memory, at every allocation in turn, and without a thread: an error and nothing left behind; a stage that
 * cannot be had leaves the one there was. The linker puts the functions below in the place of malloc, calloc and
 * pthread_create for our code. */
#include "tests/unit/worker/fixture.h"
#include "worker/data/cache.h"
#include "worker/data/loader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);

enum { SIZE = 6, LARGE = 9, BATCH = 4, ELEMENTS = BATCH * LARGE * LARGE, NEVER = 1000 };

static struct {
    int allocations, fail_at;
    bool no_threads;
} fault = {.fail_at = NEVER};

void *__wrap_malloc(size_t size)
{
    return fault.allocations++ == fault.fail_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault.allocations++ == fault.fail_at ? NULL : __real_calloc(count, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context)
{
    return fault.no_threads ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

struct data {
    struct pack *pack;
    struct split split;
    struct loader_options options;
};

static void data_init(void **state, struct data *data)
{
    static const struct synthetic small = {
        .size = SIZE, .classes = 4, .train_images = 40, .test_images = 4};
    struct source source = fixture_source(*state, "small", &small);
    struct error reason;
    assert_int_equal(cache_open(NULL, &source, &data->pack, &reason, NULL), CACHE_PRIVATE);
    const struct split_request request = {pack_labels(data->pack), 40, 4, 3, 20, 10};
    assert_int_equal(split_init(&data->split, &request, NULL), 0);
    data->options = (struct loader_options){
        .pack = data->pack,
        .split = &data->split,
        .recipe = {.batch = BATCH, .flip = true, .randaugment_ops = 2, .mixup = 0.2},
        .image_size = LARGE,
        .prefetch = true};
}

static void data_release(struct data *data)
{
    split_release(&data->split);
    pack_free(data->pack);
}

static void test_making_one_fails_cleanly_at_every_allocation(void **state)
{
    struct data data;
    data_init(state, &data);
    int r = -1, fail_at = 0;
    for (; r < 0; fail_at++) {
        struct loader *loader = NULL;
        struct error error = {0};
        fault.allocations = 0;
        fault.fail_at = fail_at;
        r = loader_new(&data.options, &loader, &error);
        fault.fail_at = NEVER;
        if (r == 0) {
            loader_free(loader);
            continue;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(loader);
        assert_string_equal(error.message, "out of memory");
    }
    assert_in_range(fail_at, 15, NEVER);
    data_release(&data);
}

static void test_without_a_thread_there_is_no_loader(void **state)
{
    struct data data;
    data_init(state, &data);
    struct loader *loader = NULL;
    struct error error = {0};
    fault.no_threads = true;
    assert_int_equal(loader_new(&data.options, &loader, &error), -EAGAIN);
    assert_non_null(strstr(error.message, "no thread"));
    data.options.prefetch = false;
    assert_int_equal(loader_new(&data.options, &loader, NULL), 0);
    fault.no_threads = false;
    loader_free(loader);
    data_release(&data);
}

static void fill(struct loader *loader, uint64_t step, float *images)
{
    uint32_t labels[BATCH], partners[BATCH];
    float shares[BATCH];
    const struct loader_batch batch = {images, labels, partners, shares};
    loader_train_batch(loader, step, &batch);
}

static void test_a_stage_that_fails_changes_nothing(void **state)
{
    static float expected[ELEMENTS], images[ELEMENTS];
    const struct recipe_stage stage = {.image_size = SIZE + 1, .randaugment_magnitude = 20};
    struct data data;
    struct loader *loader;
    data_init(state, &data);
    assert_int_equal(loader_new(&data.options, &loader, NULL), 0);
    fill(loader, 2, expected);
    int r = -1, fail_at = 0;
    for (; r < 0; fail_at++) {
        fault.allocations = 0;
        fault.fail_at = fail_at;
        r = fail_at % 2 ? loader_set_stage(loader, &stage, NULL)
                        : loader_set_evaluation_size(loader, SIZE + 2, NULL);
        fault.fail_at = NEVER;
        if (r == 0)
            break;
        assert_int_equal(r, -ENOMEM);
        fill(loader, 2, images);
        assert_memory_equal(images, expected, sizeof images);
    }
    assert_in_range(fail_at, 10, NEVER);
    loader_free(loader);
    data_release(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_making_one_fails_cleanly_at_every_allocation),
        FIXTURE_TEST(test_without_a_thread_there_is_no_loader),
        FIXTURE_TEST(test_a_stage_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
