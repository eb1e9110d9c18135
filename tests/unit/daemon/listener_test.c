#include "daemon/listener.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_loopback_addresses_are_listened_on(void **state)
{
    static const struct {
        const char *address, *name;
    } table[] = {{"127.0.0.1:0", "127.0.0.1:"},
                 {"localhost:0", "127.0.0.1:"},
                 {"127.1.2.3:0", "127.1.2.3:"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char name[LISTENER_NAME_SIZE];
        struct error error;
        int fd = -1;
        assert_int_equal(listener_open(table[i].address, &fd, &error), 0);
        listener_name(fd, name);
        assert_memory_equal(name, table[i].name, strlen(table[i].name));
        assert_string_not_equal(name + strlen(table[i].name), "0");
        close(fd);
    }
}

static void test_ipv6_loopback_is_listened_on(void **state)
{
    char name[LISTENER_NAME_SIZE];
    struct error error;
    int fd = -1;
    (void)state;
    int r = listener_open("[::1]:0", &fd, &error);
    if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
        print_message("SKIP: this machine has no IPv6 loopback\n");
        skip();
    }
    assert_int_equal(r, 0);
    listener_name(fd, name);
    assert_memory_equal(name, "[::1]:", 6);
    close(fd);
}

static void test_addresses_that_others_can_reach_are_refused_with_the_reason(void **state)
{
    static const char *const table[] = {"0.0.0.0:7700", "192.168.1.5:7700", "8.8.8.8:1",
                                        "[::]:7700", "[2001:db8::1]:7700"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct error error;
        int fd = -1;
        assert_int_equal(listener_open(table[i], &fd, &error), -EPERM);
        assert_non_null(strstr(error.message, "neither tokens nor TLS"));
        assert_int_equal(fd, -1);
    }
}

static void test_malformed_addresses_are_refused(void **state)
{
    static const char *const table[] = {"",
                                        "7700",
                                        ":7700",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:x",
                                        "::1:1",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:65536",
                                        "[::1]",
                                        "[::1:1",
                                        "example.com:1",
                                        "127.0.0.1:77000000000000000000"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct error error;
        int fd = -1;
        assert_int_equal(listener_open(table[i], &fd, &error), -EINVAL);
        assert_true(error.message[0]);
    }
}

static void test_port_in_use_is_said_to_be(void **state)
{
    char name[LISTENER_NAME_SIZE];
    struct error error;
    int first = -1, second = -1;
    (void)state;
    assert_int_equal(listener_open("127.0.0.1:0", &first, &error), 0);
    listener_name(first, name);
    assert_int_equal(listener_open(name, &second, &error), -EADDRINUSE);
    assert_non_null(strstr(error.message, name));
    assert_non_null(strstr(error.message, "in use"));
    close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback_addresses_are_listened_on),
        cmocka_unit_test(test_ipv6_loopback_is_listened_on),
        cmocka_unit_test(test_addresses_that_others_can_reach_are_refused_with_the_reason),
        cmocka_unit_test(test_malformed_addresses_are_refused),
        cmocka_unit_test(test_port_in_use_is_said_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
