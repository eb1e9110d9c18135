#include "worker/agent_options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 12, CORES = 6 };

static int parse(const char *const *arguments, struct agent_options *ret_options,
                 struct error *error)
{
    char *argv[ARGUMENTS_MAX + 2] = {"archscout-worker"};
    int argc = 1;
    for (; arguments[argc - 1]; argc++) {
        assert_true(argc <= ARGUMENTS_MAX);
        argv[argc] = (char *)arguments[argc - 1];
    }
    return agent_options_parse(argc, argv, CORES, ret_options, error);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL}, &options, &error)

static void test_defaults_are_a_slot_for_each_core_on_the_cpu(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    assert_int_equal(PARSE("--server", "http://h:1"), 0);
    assert_string_equal(options.server, "http://h:1");
    assert_string_equal(options.device, "cpu");
    assert_int_equal(options.slots, CORES);
    assert_null(options.trainer);
    assert_null(options.data);
    assert_string_equal(options.name, "");
    assert_int_equal(options.stall_seconds, STALL_SECONDS_DEFAULT);
    assert_int_equal(options.first_step_seconds, FIRST_STEP_SECONDS_DEFAULT);
    assert_int_equal(options.drain_seconds, DRAIN_SECONDS_DEFAULT);
    assert_false(options.exit_with_parent);
    assert_int_equal(options.log_level, LOG_INFO);
}

static void test_every_option_is_read(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    assert_int_equal(PARSE("--server=http://h:1", "--slots=3", "--device=cuda:12", "--trainer=/t",
                           "--data=/d", "--name=a.b_c:d-e", "--stall-seconds=7",
                           "--first-step-seconds=8", "--drain-seconds=9", "--exit-with-parent",
                           "--log-level=debug"),
                     0);
    assert_int_equal(options.slots, 3);
    assert_string_equal(options.device, "cuda:12");
    assert_string_equal(options.trainer, "/t");
    assert_string_equal(options.data, "/d");
    assert_string_equal(options.name, "a.b_c:d-e");
    assert_int_equal(options.stall_seconds, 7);
    assert_int_equal(options.first_step_seconds, 8);
    assert_int_equal(options.drain_seconds, 9);
    assert_true(options.exit_with_parent);
    assert_int_equal(options.log_level, LOG_DEBUG);
}

static void test_a_gpu_has_one_slot(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    uint32_t sharing;
    assert_int_equal(PARSE("--server=u", "--device=cuda:0"), 0);
    assert_int_equal(options.slots, 1);
    assert_string_equal(agent_options_slot_device(&options, 0, &sharing), "cuda:0");
    assert_int_equal(sharing, 1);
    assert_int_equal(PARSE("--server=u", "--device=cuda:GPU-5d2b6f0a-0000", "--slots=3"), 0);
    assert_string_equal(agent_options_slot_device(&options, 2, &sharing), "cuda:GPU-5d2b6f0a-0000");
    assert_int_equal(sharing, 3);
}

static void test_the_trainer_is_asked_for_gpus_unless_it_is_told_which(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    assert_int_equal(PARSE("--server=u", "--device=cpu"), 0);
    assert_false(agent_options_ask(&options));
    assert_int_equal(PARSE("--server=u", "--device=cuda:1"), 0);
    assert_true(agent_options_ask(&options));
    assert_int_equal(PARSE("--server=u", "--device=cuda:1", "--trainer=t"), 0);
    assert_false(agent_options_ask(&options));
    assert_int_equal(PARSE("--server=u", "--device=cuda", "--trainer=t"), 0);
    assert_true(agent_options_ask(&options));
}

static void test_slots_go_round_the_gpus(void **state)
{
    (void)state;
    static const struct agent_devices three = {3, {"cuda:0", "cuda:1", "cuda:2"}};
    struct agent_options options;
    struct error error;
    uint32_t sharing;
    assert_int_equal(PARSE("--server=u", "--device=cuda"), 0);
    agent_options_use(&options, &three);
    assert_int_equal(options.slots, 3);
    assert_string_equal(agent_options_slot_device(&options, 2, &sharing), "cuda:2");
    assert_int_equal(sharing, 1);
    assert_int_equal(PARSE("--server=u", "--device=cuda", "--slots=7"), 0);
    agent_options_use(&options, &three);
    assert_int_equal(options.slots, 7);
    assert_string_equal(agent_options_slot_device(&options, 3, &sharing), "cuda:0");
    assert_int_equal(sharing, 3); /* 0, 3 and 6 */
    assert_string_equal(agent_options_slot_device(&options, 5, &sharing), "cuda:2");
    assert_int_equal(sharing, 2);
}

static void test_wrong_arguments_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *argument, *message;
    } rows[] = {
        {"--slots=0", "--slots"},
        {"--slots=257", "--slots"},
        {"--slots=-1", "--slots"},
        {"--slots=+1", "--slots"},
        {"--slots=1x", "--slots"},
        {"--slots=", "--slots"},
        {"--slots=99999999999999999999", "--slots"},
        {"--device=gpu", "--device"},
        {"--device=cuda:", "--device"},
        {"--device=cuda:1x", "--device"},
        {"--device=cuda:1000", "--device"},
        {"--device=cuda:GPU-", "--device"},
        {"--device=cuda:GPU-xyz", "--device"},
        {"--device=cuda:MIG-12", "--device"},
        {"--drain-seconds=0", "--drain-seconds"},
        {"--name=", "--name"},
        {"--name=a b", "--name"},
        {"--name=1234567890123456789012345678901234567890123456789012345678901234", "--name"},
        {"--stall-seconds=0", "--stall-seconds"},
        {"--first-step-seconds=86401", "--first-step-seconds"},
        {"--log-level=loud", "--log-level"},
        {"--nonsense", "unknown or lacks its value: --nonsense"},
        {"--data", "unknown or lacks its value: --data"},
        {"stray", "stray"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct agent_options options;
        struct error error;
        assert_int_equal(PARSE("--server=u", rows[i].argument), -EINVAL);
        assert_non_null(strstr(error.message, rows[i].message));
    }
}

static void test_a_command_is_read_with_its_data_sets(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    assert_int_equal(PARSE("--server=u", "--exec", "python3 train.py", "--exec-dataset=cifar10",
                           "--exec-dataset", "flowers:64x64x3:5:3670", "--device=cuda:0"),
                     0);
    assert_string_equal(options.exec, "python3 train.py");
    assert_int_equal(options.exec_dataset_count, 2);
    assert_string_equal(options.exec_datasets[0], "cifar10");
    assert_string_equal(options.exec_datasets[1], "flowers:64x64x3:5:3670");
    assert_false(agent_options_ask(&options));
    assert_int_equal(PARSE("--server=u"), 0);
    assert_null(options.exec);
}

static void test_commands_without_sense_are_refused(void **state)
{
    static const struct {
        const char *arguments[3];
        const char *message;
    } rows[] = {
        {{"--exec=true", NULL}, "--exec needs --exec-dataset"},
        {{"--exec-dataset=mnist", NULL}, "--exec-dataset needs --exec"},
        {{"--exec=", "--exec-dataset=mnist", NULL}, "--exec needs a command"},
        {{"--exec=true", "--trainer=/t", "--exec-dataset=mnist"}, "exclude each other"},
        {{"--exec=true", "--exec-dataset=mnist", "--exec-dataset=mnist:8x8x1:2:10"}, "twice"},
        {{"--exec=true", "--exec-dataset=flowers", NULL}, "no data set \"flowers\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct agent_options options;
        struct error error;
        assert_int_equal(
            PARSE("--server=u", rows[i].arguments[0], rows[i].arguments[1], rows[i].arguments[2]),
            -EINVAL);
        assert_non_null(strstr(error.message, rows[i].message));
    }
}

static void test_the_server_is_required(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    assert_int_equal(PARSE("--slots=1"), -EINVAL);
    assert_string_equal(error.message, "--server is missing");
}

static void test_help_and_version_need_nothing_else(void **state)
{
    (void)state;
    struct agent_options options;
    struct error error;
    assert_int_equal(PARSE("--help"), AGENT_OPTIONS_HELP);
    assert_int_equal(PARSE("--version"), AGENT_OPTIONS_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_a_slot_for_each_core_on_the_cpu),
        cmocka_unit_test(test_every_option_is_read),
        cmocka_unit_test(test_a_gpu_has_one_slot),
        cmocka_unit_test(test_the_trainer_is_asked_for_gpus_unless_it_is_told_which),
        cmocka_unit_test(test_slots_go_round_the_gpus),
        cmocka_unit_test(test_wrong_arguments_are_refused_by_name),
        cmocka_unit_test(test_a_command_is_read_with_its_data_sets),
        cmocka_unit_test(test_commands_without_sense_are_refused),
        cmocka_unit_test(test_the_server_is_required),
        cmocka_unit_test(test_help_and_version_need_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
