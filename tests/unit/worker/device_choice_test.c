/* What --device means. */
#include "worker/device_choice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" lacks \"%s\"", text, part);
}

static void test_cpu_is_the_fastest_backend_for_processors(void **state)
{
    (void)state;
    const struct backend *backend = NULL;
    assert_int_equal(device_choose("cpu", NULL, &backend, NULL), 0);
    assert_string_equal(backend_name(backend), backend_onednn() ? "onednn" : "reference");
    assert_int_equal(device_choose("cpu", "reference", &backend, NULL), 0);
    assert_string_equal(backend_name(backend), "reference");
}

static void test_wrong_texts_are_einval(void **state)
{
    (void)state;
    static const char *const devices[] = {"", "gpu", "cuda:", "cudax", "cpu:0"};
    const struct backend *backend = NULL;
    struct error error = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(devices); i++)
        assert_int_equal(device_choose(devices[i], NULL, &backend, &error), -EINVAL);
    assert_int_equal(device_choose("cpu", "abacus", &backend, &error), -EINVAL);
    assert_has(error.message, "reference");
    assert_null(backend);
}

/* A build with the CUDA engine takes these, and whether there is a GPU shows later. */
static void test_a_build_without_cuda_says_so_and_what_to_do(void **state)
{
    (void)state;
    static const char *const devices[] = {"cuda", "cuda:1", "cuda:GPU-5d2b6f0a"};
    for (size_t i = 0; i < ARRAY_LENGTH(devices); i++) {
        const struct backend *backend = NULL;
        struct error error = {0};
        int r = device_choose(devices[i], NULL, &backend, &error);
        if (backend_find("cuda")) {
            assert_int_equal(r, 0);
            assert_ptr_equal(backend, backend_find("cuda"));
            continue;
        }
        assert_int_equal(r, -ENODEV);
        assert_has(error.message, "this build has no CUDA engine");
        assert_has(error.message, "--device cpu");
    }
}

static const struct device_info h200 = {.id = "cuda:0",
                                        .name = "NVIDIA H200",
                                        .uuid = "GPU-5d2b6f0a-0000-4000-8000-0123456789ab",
                                        .memory_bytes = 150754820096};

static void test_each_device_is_a_line(void **state)
{
    (void)state;
    char line[DEVICE_LINE_SIZE];
    device_line(&h200, line);
    assert_string_equal(line, "cuda:0 GPU-5d2b6f0a-0000-4000-8000-0123456789ab 150754820096 "
                              "NVIDIA H200");
    const struct device_info bare = {.id = "cuda:1", .memory_bytes = 1024};
    device_line(&bare, line);
    assert_string_equal(line, "cuda:1 - 1024 -");
}

static void test_what_to_do_about_a_gpu_that_is_not_there(void **state)
{
    (void)state;
    struct error error = {.message = "CUDA: there is no cuda:7"};
    device_advise(NULL, &error);
    assert_has(error.message, "CUDA: there is no cuda:7. ");
    assert_has(error.message, "nvidia-smi");
    device_advise("3,5", &error);
    assert_has(error.message, "CUDA_VISIBLE_DEVICES, here \"3,5\", must");
}

static void test_a_device_is_told_with_name_memory_and_uuid(void **state)
{
    (void)state;
    char text[WIRE_DEVICE_SIZE];
    const struct device_info cpu = {.id = "cpu"};
    struct device_info gpu = h200;
    device_text(&cpu, text);
    assert_string_equal(text, "cpu");
    device_text(&gpu, text);
    assert_string_equal(text,
                        "cuda:0 NVIDIA H200, 143771 MiB, GPU-5d2b6f0a-0000-4000-8000-0123456789ab");
    memset(gpu.name, '\n', sizeof gpu.name - 1);
    memcpy(gpu.id, "cuda:15", sizeof "cuda:15");
    device_text(&gpu, text);
    assert_int_equal(strlen(text), 94);
    assert_int_equal(text[8], '?');
    assert_has(text, "0123456789ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_is_the_fastest_backend_for_processors),
        cmocka_unit_test(test_wrong_texts_are_einval),
        cmocka_unit_test(test_a_build_without_cuda_says_so_and_what_to_do),
        cmocka_unit_test(test_each_device_is_a_line),
        cmocka_unit_test(test_what_to_do_about_a_gpu_that_is_not_there),
        cmocka_unit_test(test_a_device_is_told_with_name_memory_and_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
