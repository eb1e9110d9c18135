#include "worker/agent_process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_programs_are_found_by_path_or_by_name(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct error error;
    assert_int_equal(process_find("/bin/sh", path, &error), 0);
    assert_string_equal(path, "/bin/sh");
    assert_int_equal(process_find("sh", path, &error), 0);
    assert_non_null(strstr(path, "/sh"));
    assert_int_equal(process_find("no-such-program-anywhere", path, &error), -ENOENT);
    assert_int_equal(process_find("/no/such/program", path, &error), -ENOENT);
    assert_int_equal(process_find("", path, &error), -ENOENT);
    assert_int_equal(process_find("/etc/passwd", path, &error), -EACCES);
    assert_int_equal(process_find("/bin/", path, &error), -EACCES);
}

static int run_to_end(const char *path, char *const *environment, char *ret_output, size_t size)
{
    struct process process;
    struct error error;
    assert_int_equal(process_spawn(path, NULL, environment, &process, &error), 0);
    close(process.in_fd);
    size_t used = 0;
    ssize_t count;
    while ((count = read(process.out_fd, ret_output + used, size - 1 - used)) > 0)
        used += (size_t)count;
    ret_output[used] = '\0';
    int status = 0;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    close(process.out_fd);
    close(process.err_fd);
    return status;
}

static void test_a_program_runs_with_its_environment_and_pipes(void **state)
{
    (void)state;
    char *const environment[] = {"A=1", "B=two words", NULL};
    char output[256];
    assert_int_equal(run_to_end("/usr/bin/env", environment, output, sizeof output), 0);
    assert_string_equal(output, "A=1\nB=two words\n");
}

static void test_a_file_that_cannot_be_run_is_an_error_at_once(void **state)
{
    (void)state;
    char path[] = "/tmp/archscout-process-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\1\2\3 no program\n", 15), 15);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    struct process process;
    struct error error;
    assert_int_equal(process_spawn(path, NULL, environ, &process, &error), -ENOEXEC);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(process_spawn("/no/such/program", NULL, environ, &process, &error), -ENOENT);
    unlink(path);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void test_killing_ends_the_whole_group(void **state)
{
    (void)state;
    struct process process;
    struct error error;
    static const char script[] = "#!/bin/sh\nsleep 1000 &\necho $!\nwait\n";
    char path[] = "/tmp/archscout-process-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, sizeof script - 1), sizeof script - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    assert_int_equal(process_spawn(path, NULL, environ, &process, &error), 0);
    char line[32] = "";
    assert_true(read(process.out_fd, line, sizeof line - 1) > 0);
    process_kill(process.pid);
    int status = 0;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    /* the pipe ends when the last of the group that holds it has */
    assert_int_equal(read(process.out_fd, line, sizeof line), 0);
    close(process.in_fd);
    close(process.out_fd);
    close(process.err_fd);
    unlink(path);
}

static void test_what_an_ended_process_leaves_behind_is_killed(void **state)
{
    (void)state;
    struct process process;
    struct error error;
    static const char script[] = "#!/bin/sh\nread line\nsleep 1000 &\nexit 3\n";
    char path[] = "/tmp/archscout-process-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, sizeof script - 1), sizeof script - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    assert_int_equal(process_spawn(path, NULL, environ, &process, &error), 0);
    int status = -1;
    assert_int_equal(process_reap(process.pid, &status), 0);
    assert_int_equal(write(process.in_fd, "\n", 1), 1);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)process.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_reap(process.pid, &status), 1);
    assert_int_equal(WEXITSTATUS(status), 3);
    char rest[8];
    assert_int_equal(read(process.out_fd, rest, sizeof rest), 0); /* as above */
    close(process.in_fd);
    close(process.out_fd);
    close(process.err_fd);
    unlink(path);
}

static void test_ends_are_described(void **state)
{
    (void)state;
    char text[64];
    process_describe(SIGSEGV, text, sizeof text);
    assert_string_equal(text, "was killed by signal 11 (Segmentation fault)");
    process_describe(3 << 8, text, sizeof text);
    assert_string_equal(text, "exited with status 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs_are_found_by_path_or_by_name),
        cmocka_unit_test(test_a_program_runs_with_its_environment_and_pipes),
        cmocka_unit_test(test_a_file_that_cannot_be_run_is_an_error_at_once),
        cmocka_unit_test(test_killing_ends_the_whole_group),
        cmocka_unit_test(test_what_an_ended_process_leaves_behind_is_killed),
        cmocka_unit_test(test_ends_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
