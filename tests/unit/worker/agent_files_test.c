/* The agent's directory: there as long as the agent, and swept by the next one when its agent was killed. */
#include "worker/agent_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = PATH_MAX + 64 };

static int set_up(void **state)
{
    char *root = strdup("/tmp/archscout_work_XXXXXX");
    assert_non_null(root);
    assert_non_null(mkdtemp(root));
    *state = root;
    return 0;
}

static int tear_down(void **state)
{
    rmdir(*state);
    free(*state);
    return 0;
}

static bool exists(const char *directory, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void touch(const char *directory, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void open_files(const char *root, const char *name, struct agent_files *ret_files)
{
    struct error error;
    if (agent_files_open(root, name, ret_files, &error) < 0)
        fail_msg("%s", error.message);
}

static void test_slots_have_directories_that_go_with_the_agent(void **state)
{
    struct agent_files files;
    char slot[PATH_MAX];
    open_files(*state, "w-1", &files);
    assert_int_equal(agent_files_slot(&files, 7, slot), 0);
    touch(slot, "a.safetensors");
    assert_true(exists(slot, "a.safetensors"));
    agent_files_clear(slot);
    assert_false(exists(slot, "a.safetensors"));
    assert_true(exists(slot, "."));
    touch(slot, "b.safetensors");
    agent_files_close(&files);
    assert_false(exists(*state, "agent-w-1"));
    assert_int_equal(agent_files_slot(&files, 7, slot), -ENOENT);
    agent_files_close(&files);
}

static void test_what_a_killed_agent_has_left_goes_and_a_living_ones_stays(void **state)
{
    struct agent_files living, killed, next;
    char slot[PATH_MAX];
    open_files(*state, "living", &living);
    open_files(*state, "killed", &killed);
    assert_int_equal(agent_files_slot(&killed, 0, slot), 0);
    touch(slot, "a.safetensors");
    close(killed.lock_fd); /* as its end does */
    open_files(*state, "next", &next);
    assert_false(exists(*state, "agent-killed"));
    assert_true(exists(*state, "agent-living"));
    agent_files_close(&next);
    agent_files_close(&living);
}

static void test_foreign_files_stay(void **state)
{
    struct agent_files files;
    char path[PATH_SIZE];
    touch(*state, "notes");
    open_files(*state, "w", &files);
    agent_files_close(&files);
    assert_true(exists(*state, "notes"));
    snprintf(path, sizeof path, "%s/notes", (const char *)*state);
    unlink(path);
}

static void test_a_place_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct agent_files files;
    struct error error;
    assert_true(agent_files_open("/proc/nowhere", "w", &files, &error) < 0);
    assert_non_null(strstr(error.message, "/proc/nowhere"));
    agent_files_close(&files);
}

#define WORK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORK_TEST(test_slots_have_directories_that_go_with_the_agent),
        WORK_TEST(test_what_a_killed_agent_has_left_goes_and_a_living_ones_stays),
        WORK_TEST(test_foreign_files_stay),
        WORK_TEST(test_a_place_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
