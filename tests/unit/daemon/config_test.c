#include "daemon/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 20 };

static int parse(const char *const *words, struct config *ret_config, struct error *error)
{
    char *argv[ARGUMENTS_MAX] = {(char *)"archscoutd"};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc] = (char *)words[argc - 1];
    }
    return config_parse(argc, argv, "/home/a", NULL, ret_config, error);
}

static void test_defaults(void **state)
{
    struct config config;
    struct error error;
    (void)state;
    assert_int_equal(parse((const char *const[]){NULL}, &config, &error), 0);
    assert_string_equal(config.listen, "127.0.0.1:7700");
    assert_string_equal(config.state, "/home/a/.local/state/archscout");
    assert_false(config.local_worker);
    assert_int_equal(config.lease_seconds, 0);
    assert_int_equal(config.checkpoint_seconds, 60);
    assert_int_equal(config.checkpoint_mib_max, 1024);
    assert_int_equal(config.artifacts_mib_max, 16384);
}

static void test_state_follows_xdg_and_the_option(void **state)
{
    struct config config;
    struct error error;
    char *bare[] = {(char *)"archscoutd", NULL};
    char *given[] = {(char *)"archscoutd", (char *)"--state=/s", NULL};
    (void)state;
    assert_int_equal(config_parse(1, bare, "/home/a", "/x", &config, &error), 0);
    assert_string_equal(config.state, "/x/archscout");
    assert_int_equal(config_parse(1, bare, "/home/a", "relative", &config, &error), 0);
    assert_string_equal(config.state, "/home/a/.local/state/archscout");
    assert_int_equal(config_parse(2, given, "/home/a", "/x", &config, &error), 0);
    assert_string_equal(config.state, "/s");
    assert_int_equal(config_parse(1, bare, NULL, NULL, &config, &error), -EINVAL);
}

static void test_all_options_are_read(void **state)
{
    struct config config;
    struct error error;
    (void)state;
    assert_int_equal(
        parse((const char *const[]){"--listen", "[::1]:1", "--local-worker", "--slots", "3",
                                    "--device", "cuda:1", "--data", "/d", "--lease-seconds=5",
                                    "--checkpoint-seconds", "0", "--checkpoint-mib", "7",
                                    "--checkpoints-mib", "9", NULL},
              &config, &error),
        0);
    assert_string_equal(config.listen, "[::1]:1");
    assert_true(config.local_worker);
    assert_int_equal(config.slots, 3);
    assert_string_equal(config.device, "cuda:1");
    assert_string_equal(config.data, "/d");
    assert_int_equal(config.lease_seconds, 5);
    assert_int_equal(config.checkpoint_seconds, 0);
    assert_int_equal(config.checkpoint_mib_max, 7);
    assert_int_equal(config.artifacts_mib_max, 9);
}

static void test_wrong_command_lines_are_refused_with_a_message(void **state)
{
    static const struct {
        const char *words[4];
        const char *said;
    } table[] = {
        {{"--nonsense"}, "--nonsense"},
        {{"--state"}, "--state needs a value"},
        {{"--local-worker", "--slots", "0"}, "--slots"},
        {{"--local-worker", "--slots", "99999999999"}, "--slots"},
        {{"--local-worker", "--slots", "2x"}, "--slots"},
        {{"--slots", "2"}, "--local-worker"},
        {{"--data", "/d"}, "--local-worker"},
        {{"--device", "cuda"}, "--local-worker"},
        {{"--lease-seconds", "-1"}, "--lease-seconds"},
        {{"--checkpoint-seconds", "x"}, "--checkpoint-seconds"},
        {{"--checkpoint-mib", "0"}, "--checkpoint-mib"},
        {{"--checkpoints-mib", ""}, "--checkpoints-mib"},
        {{"extra"}, "extra"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct config config;
        struct error error;
        assert_int_equal(parse(table[i].words, &config, &error), -EINVAL);
        assert_non_null(strstr(error.message, table[i].said));
    }
}

static void test_help_and_version_need_nothing_else(void **state)
{
    struct config config;
    struct error error;
    char *help[] = {(char *)"archscoutd", (char *)"--help", NULL};
    char *version[] = {(char *)"archscoutd", (char *)"--version", NULL};
    (void)state;
    assert_int_equal(config_parse(2, help, NULL, NULL, &config, &error), 0);
    assert_true(config.help);
    assert_int_equal(config_parse(2, version, NULL, NULL, &config, &error), 0);
    assert_true(config.version);
}

static void test_directories_are_made_for_their_owner_alone(void **state)
{
    char top[] = "/tmp/archscout-config-XXXXXX", path[128], file[160];
    struct error error;
    struct stat status;
    (void)state;
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof path, "%s/a/b", top);
    assert_int_equal(config_make_directory(path, &error), 0);
    assert_int_equal(config_make_directory(path, &error), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    snprintf(file, sizeof file, "%s/file", path);
    FILE *made = fopen(file, "w");
    assert_non_null(made);
    fclose(made);
    assert_int_equal(config_make_directory(file, &error), -ENOTDIR);
    assert_non_null(strstr(error.message, file));
    unlink(file);
    rmdir(path);
    snprintf(path, sizeof path, "%s/a", top);
    rmdir(path);
    rmdir(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_state_follows_xdg_and_the_option),
        cmocka_unit_test(test_all_options_are_read),
        cmocka_unit_test(test_wrong_command_lines_are_refused_with_a_message),
        cmocka_unit_test(test_help_and_version_need_nothing_else),
        cmocka_unit_test(test_directories_are_made_for_their_owner_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
