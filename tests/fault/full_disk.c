/* Promise I9 on a real file system that is really full: a small tmpfs. Needs the right to mount. */
#include "tests/sim/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLOTS = 4, SPEC_SIZE = 2048, PATH_SIZE = 128, SKIPPED = 77, BLOCK = 4096 };

static char mount_point[64] = "/tmp/archscout_full_XXXXXX";

/* Takes all that is left of the disk. */
static void fill(const char *path)
{
    static const char block[BLOCK];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static int deliver(struct rig *rig, const struct task *task)
{
    struct result result = rig_result(task);
    return coordinator_result(rig->coordinator, "w", task->attempt, task->epoch, &result);
}

static uint64_t finished(struct rig *rig, uint64_t search)
{
    struct search_view view;
    assert_int_equal(coordinator_search(rig->coordinator, search, &view), 0);
    return view.spend.results;
}

/* Delivers until the daemon takes it: the first tries may meet the full disk and make it give up its reserve. */
static unsigned deliver_all(struct rig *rig, const struct task *tasks)
{
    unsigned failed_ticks = 0;
    for (int i = 0; i < SLOTS; i++) {
        for (int attempt = 0;; attempt++) {
            assert_true(attempt < 10);
            rig_begin(rig, 300);
            int r = rig_register(rig, "w", SLOTS);
            if (r == 0)
                r = deliver(rig, &tasks[i]);
            int commit = rig_commit(rig);
            failed_ticks += commit < 0;
            if (r == 0 && commit == 0)
                break;
            assert_true(commit == -ENOSPC || r == -ENOSPC);
        }
    }
    return failed_ticks;
}

/* One attempt in each slot. */
static void lease_all(struct rig *rig, struct task tasks[SLOTS])
{
    for (uint32_t i = 0; i < SLOTS; i++)
        assert_int_equal(coordinator_lease(rig->coordinator, "w", i, &tasks[i]), 0);
}

static void test_full_disk_refuses_new_work_and_finishes_what_runs(void **state)
{
    struct rig rig;
    struct task tasks[SLOTS], none;
    char text[SPEC_SIZE], filler[PATH_SIZE];
    (void)state;
    rig_init_on_disk(&rig, mount_point);
    assert_int_equal(rig_start(&rig), 0);
    rig_begin(&rig, 0);
    rig_spec(text, sizeof(text), 12, SLOTS, "");
    uint64_t search = rig_submit(&rig, text);
    assert_int_equal(rig_register(&rig, "w", SLOTS), 0);
    lease_all(&rig, tasks);
    assert_int_equal(rig_commit(&rig), 0);
    snprintf(filler, sizeof(filler), "%s/filler", mount_point);
    fill(filler);

    assert_true(deliver_all(&rig, tasks) > 0);
    assert_int_equal(finished(&rig, search), SLOTS);
    assert_int_equal(coordinator_ready(rig.coordinator), -ENOSPC);
    rig_begin(&rig, 1);
    struct submission submission = {.text = text, .length = strlen(text)};
    struct error error;
    assert_int_equal(coordinator_lease(rig.coordinator, "w", 0, &none), -ENOSPC);
    assert_int_equal(coordinator_submit(rig.coordinator, &submission, &search, &error), -ENOSPC);
    assert_int_equal(rig_commit(&rig), 0);

    unlink(filler);
    rig_begin(&rig, 2000);
    assert_true(coordinator_take_work(rig.coordinator));
    assert_int_equal(coordinator_ready(rig.coordinator), 0);
    assert_int_equal(coordinator_lease(rig.coordinator, "w", 0, &none), 0);
    assert_int_equal(rig_commit(&rig), 0);
    rig_kill(&rig);
    assert_int_equal(rig_start(&rig), 0);
    assert_int_equal(finished(&rig, search), SLOTS);
    rig_release(&rig);
}

int main(void)
{
    if (!mkdtemp(mount_point))
        return EXIT_FAILURE;
    if (mount("tmpfs", mount_point, "tmpfs", 0, "size=16m") < 0) {
        printf("SKIP: a small tmpfs is needed and cannot be mounted: %s\n", strerror(errno));
        rmdir(mount_point);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk_refuses_new_work_and_finishes_what_runs)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    umount2(mount_point, MNT_DETACH);
    rmdir(mount_point);
    return failed;
}
