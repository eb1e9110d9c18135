/* The disk under archscoutd's state fills up while a search runs, stays full, and has room again. While it is full whatever
 * would change something gets 503 and people can go on reading; nothing is acknowledged that is not stored; afterwards all
 * goes on without help.
 *
 * The state lies on a small tmpfs in a mount namespace of the test's own, which takes root or a user namespace. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fault/agent_process.h"
#include "tests/fault/search_watch.h"

enum {
    POLL_US = 10000,
    POLLS_MAX = 6000,
    FULL_POLLS = 150, /* how long the disk stays full */
    LEDGER_CANDIDATES = 1000,
    CANDIDATES = 40,
    CHUNK_BYTES = 4096,
};

#define DISK_SIZE "size=24m"

struct rig {
    struct daemon_process daemon;
    char state[DAEMON_PATH_SIZE + 8];
    bool mounted;
    int filler; /* a file that takes all room there is; -1 = none */
    struct agent_process agent;
    struct ledger_worker keeper;
    int64_t search, ledger_search;
    char *spec;
};

/* ---- the disk ---- */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return written;
}

/* Mounts of this process and its children are their own from here on. */
static bool leave_mounts(void)
{
    char map[64];
    uid_t user = geteuid();
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    snprintf(map, sizeof map, "%u %u 1", (unsigned)user, (unsigned)user);
    return write_text("/proc/self/uid_map", map);
}

static bool mount_disk(struct rig *rig)
{
    snprintf(rig->state, sizeof rig->state, "%s/state", rig->daemon.directory);
    assert_int_equal(mkdir(rig->state, 0700), 0);
    rig->mounted = leave_mounts() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount("tmpfs", rig->state, "tmpfs", 0, DISK_SIZE ",mode=0700") == 0;
    return rig->mounted;
}

/* Takes whatever room there is at the moment. */
static void fill_up(struct rig *rig)
{
    static const char chunk[CHUNK_BYTES];
    char path[DAEMON_PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/filler", rig->state);
    if (rig->filler < 0)
        rig->filler = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(rig->filler >= 0);
    while (write(rig->filler, chunk, sizeof chunk) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
}

static void make_room(struct rig *rig)
{
    assert_int_equal(ftruncate(rig->filler, 0), 0);
    close(rig->filler);
    rig->filler = -1;
}

/* ---- what people see ---- */

static struct answer try_to_submit(const struct rig *rig)
{
    return post(&rig->daemon, "/v1/searches", rig->spec);
}

static void assert_unavailable(struct answer *answer)
{
    assert_problem(answer, 503, "unavailable");
    const char *wait = answer_header(answer, "Retry-After");
    assert_non_null(wait);
    assert_true(strtol(wait, NULL, 10) >= 1);
    answer_release(answer);
}

static int status_of(const struct rig *rig, const char *path)
{
    struct answer answer = get(&rig->daemon, "%s", path);
    int status = answer.status;
    answer_release(&answer);
    return status;
}

static int64_t search_count(const struct rig *rig)
{
    struct answer answer = watch_get(&rig->daemon, "/v1/searches");
    int64_t count = (int64_t)json_array_size(member(&answer, "searches"));
    answer_release(&answer);
    return count;
}

/* A checkpoint is refused, and leaves nothing. */
static void assert_no_room_for_a_file(const struct rig *rig)
{
    static const char path[] = "/worker/v1/artifacts/"
                               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct answer answer =
        call(&rig->daemon,
             &(struct call){.method = "PUT", .path = path, .body = "abc", .body_bytes = 3});
    assert_true(answer.status == 507 || answer.status == 503);
    assert_non_null(answer_header(&answer, "Retry-After"));
    answer_release(&answer);
    assert_int_equal(status_of(rig, path), 404);
}

/* Fills the disk until the keeper of the ledger is refused, and then for a while more. */
static void keep_full(struct rig *rig)
{
    struct ledger *ledger = rig->keeper.ledger;
    for (int i = 0; i < POLLS_MAX && atomic_load(&ledger->unavailable) == 0; i++) {
        fill_up(rig);
        usleep(POLL_US);
    }
    assert_true(atomic_load(&ledger->unavailable) > 0);
    for (int i = 0; i < FULL_POLLS; i++) {
        struct answer answer;
        fill_up(rig);
        answer = watch_get(&rig->daemon, "/healthz");
        answer_release(&answer);
        assert_int_equal(status_of(rig, "/readyz"), 503);
        assert_no_room_for_a_file(rig);
        answer = try_to_submit(rig);
        assert_unavailable(&answer);
        assert_int_equal(search_count(rig), 2);
        watch_search(&rig->daemon, rig->search);
        watch_ledger(&rig->daemon, rig->ledger_search, ledger);
        usleep(POLL_US);
    }
}

static void await_ready(const struct rig *rig)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if (status_of(rig, "/readyz") == 200)
            return;
        usleep(POLL_US);
    }
    fail_msg("the daemon does not recover");
}

/* ---- the tests ---- */

static void start_work(struct rig *rig)
{
    static const char *const arguments[] = {"--slots", "2", NULL};
    ledger_worker_start(&rig->keeper, rig->daemon.port, "keeper");
    agent_process_start(&rig->agent, rig->daemon.port, FAKE_TRAINER_PROGRAM, "ok", arguments);
    ledger_worker_await(&rig->keeper);
    rig->search = watch_submit(&rig->daemon, &(struct watched_spec){.dataset = "fashion-mnist",
                                                                    .candidates = CANDIDATES,
                                                                    .parallel_max = 4});
    struct answer answer = get(&rig->daemon, "/v1/searches/%" PRId64, rig->search);
    rig->spec = json_dumps(member(&answer, "spec"), 0);
    assert_non_null(rig->spec);
    answer_release(&answer);
    rig->ledger_search =
        watch_submit(&rig->daemon, &(struct watched_spec){.dataset = LEDGER_DATASET,
                                                          .candidates = LEDGER_CANDIDATES,
                                                          .parallel_max = 2});
    while (atomic_load(&rig->keeper.ledger->acknowledged) < 10)
        usleep(POLL_US);
}

static void complete(struct rig *rig)
{
    struct ledger *ledger = rig->keeper.ledger;
    struct answer accepted = try_to_submit(rig);
    assert_int_equal(accepted.status, 201);
    answer_release(&accepted);
    assert_int_equal(search_count(rig), 3);
    watch_until_done(&rig->daemon, rig->search);
    watch_until_done(&rig->daemon, rig->ledger_search);
    ledger_worker_stop(&rig->keeper);
    uint64_t checked = watch_ledger(&rig->daemon, rig->ledger_search, ledger);
    assert_int_equal(agent_process_end(&rig->agent, SIGTERM), 0);
    daemon_stop(&rig->daemon);
    watch_store(&rig->daemon);
    watch_store_ledger(&rig->daemon, ledger);
    if (atomic_load(&ledger->wrong))
        fail_msg("%s", ledger->text);
    print_message("%" PRIu64 " acknowledged results checked, %u answers 503\n", checked,
                  (unsigned)atomic_load(&ledger->unavailable));
}

static void test_search_goes_on_when_there_is_room_again(void **state)
{
    struct rig *rig = *state;
    if (!rig->mounted) {
        print_message("SKIP: a tmpfs can't be mounted here (%s)\n", strerror(errno));
        skip();
    }
    daemon_start(&rig->daemon, NULL);
    start_work(rig);
    keep_full(rig);
    make_room(rig);
    await_ready(rig);
    complete(rig);
}

static void test_daemon_killed_on_a_full_disk_has_all_that_it_acknowledged(void **state)
{
    struct rig *rig = *state;
    if (!rig->mounted) {
        print_message("SKIP: a tmpfs can't be mounted here (%s)\n", strerror(errno));
        skip();
    }
    char address[32];
    daemon_start(&rig->daemon, NULL);
    snprintf(address, sizeof address, "127.0.0.1:%d", rig->daemon.port);
    start_work(rig);
    keep_full(rig);
    daemon_kill(&rig->daemon);
    make_room(rig);
    daemon_start(&rig->daemon, (const char *const[]){"--listen", address, NULL});
    watch_ledger(&rig->daemon, rig->ledger_search, rig->keeper.ledger);
    await_ready(rig);
    complete(rig);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->filler = -1;
    daemon_prepare(&rig->daemon);
    mount_disk(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    ledger_worker_release(&rig->keeper);
    agent_process_release(&rig->agent);
    if (rig->filler >= 0)
        close(rig->filler);
    if (rig->daemon.pid > 0)
        daemon_kill(&rig->daemon);
    if (rig->mounted)
        umount(rig->state);
    daemon_remove(&rig->daemon);
    free(rig->spec);
    free(rig);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_search_goes_on_when_there_is_room_again),
        TEST(test_daemon_killed_on_a_full_disk_has_all_that_it_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
