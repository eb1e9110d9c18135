/* archscoutd is killed with SIGKILL at random instants, also while it starts and recovers, while real agents with a fake
 * trainer work on a deterministic search and two keepers of ledgers work on another one. After each restart nothing that
 * was acknowledged may be missing or counted twice, and in the end the deterministic search must have the candidates of a
 * search that nothing disturbed.
 *
 * ARCHSCOUT_KILLS says how many kills, ARCHSCOUT_SEED which instants. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "search/attributes.h"
#include "search/random.h"
#include "tests/fault/agent_process.h"
#include "tests/fault/search_watch.h"

enum {
    AGENTS_MAX = 2,
    LEDGERS = 2,
    CANDIDATES = 24,
    LEDGER_CANDIDATES = 400,
    PARALLEL_MAX = 4,
    PORT_FIRST = 12000, /* below the range from which the kernel takes ports for connections */
    PORT_COUNT = 20000,
    LIFE_SHORT_US = 60000,
    LIFE_LONG_US = 600000,
    US = 1000000,
};

struct layout {
    const char *name;
    int agents;
    const char *slots; /* of each */
};

struct rig {
    struct daemon_process daemon;
    struct random_stream random;
    char address[32];
    struct agent_process agents[AGENTS_MAX];
    struct ledger_worker ledgers[LEDGERS];
    int64_t search, ledger_search;
    int64_t start_us; /* what a start takes, from exec to listening, measured */
    uint64_t kills, early_kills, restarts, checked, searches;
    char *expected;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * US + now.tv_nsec / 1000;
}

static uint64_t number_of(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text && *text ? strtoull(text, NULL, 10) : fallback;
}

/* ---- the daemon's lives ---- */

static int free_port(struct rig *rig)
{
    for (int i = 0; i < PORT_COUNT; i++) {
        int port = PORT_FIRST + (int)(random_u64(&rig->random) % PORT_COUNT);
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = bind(fd, (struct sockaddr *)&address, sizeof address);
        close(fd);
        if (r == 0)
            return port;
    }
    fail_msg("no port is free");
    return 0;
}

/* All lives listen on one port, so that workers find the next one. */
static void start(struct rig *rig)
{
    const char *const words[] = {"--listen", rig->address, NULL};
    int64_t before_us = now_us();
    daemon_start(&rig->daemon, words);
    if (rig->start_us == 0)
        rig->start_us = now_us() - before_us;
    rig->restarts++;
}

static void kill_daemon(struct rig *rig)
{
    daemon_kill(&rig->daemon);
    rig->kills++;
}

/* Killed somewhere between exec and a while after the time at which it would listen. */
static void live_too_short(struct rig *rig)
{
    const char *const words[] = {"--listen", rig->address, NULL};
    daemon_spawn(&rig->daemon, words);
    usleep((useconds_t)(random_u64(&rig->random) % (uint64_t)(rig->start_us + rig->start_us / 2)));
    kill_daemon(rig);
    rig->early_kills++;
}

static void check_ledgers(struct rig *rig)
{
    for (int i = 0; i < LEDGERS; i++) {
        const struct ledger *ledger = rig->ledgers[i].ledger;
        if (atomic_load(&ledger->wrong))
            fail_msg("keeper %d: %s", i, ledger->text);
        rig->checked += watch_ledger(&rig->daemon, rig->ledger_search, ledger);
    }
}

static int64_t submit_ledger_search(const struct rig *rig)
{
    return watch_submit(&rig->daemon, &(struct watched_spec){.dataset = LEDGER_DATASET,
                                                             .candidates = LEDGER_CANDIDATES,
                                                             .parallel_max = 2 * LEDGERS});
}

static int64_t submit_search(const struct rig *rig)
{
    return watch_submit(&rig->daemon, &(struct watched_spec){.dataset = "fashion-mnist",
                                                             .candidates = CANDIDATES,
                                                             .parallel_max = PARALLEL_MAX,
                                                             .deterministic = true});
}

static void assert_same_candidates(struct rig *rig)
{
    char *list = watch_list(&rig->daemon, rig->search);
    if (strcmp(list, rig->expected) != 0)
        fail_msg("the list differs from that of an undisturbed search:\n%s\ninstead of\n%s", list,
                 rig->expected);
    free(list);
    rig->searches++;
}

/* What the fake trainer says that a candidate has cost: half a second. */
static void check_search(struct rig *rig)
{
    struct watch_progress progress = watch_search(&rig->daemon, rig->search);
    assert_int_equal(progress.failed, 0);
    assert_true(progress.seconds == 0.5 * (double)progress.results);
    if (!progress.done)
        return;
    assert_same_candidates(rig);
    rig->search = submit_search(rig);
}

/* What the ledgers' results have cost, to the last bit. */
static void check_ledger_spend(const struct rig *rig, const struct watch_progress *progress)
{
    double seconds = 0;
    for (int i = 0; i < LEDGERS; i++) {
        const struct ledger *ledger = rig->ledgers[i].ledger;
        for (uint_fast32_t k = 0; k < atomic_load(&ledger->count); k++)
            if (ledger->entries[k].search == (uint64_t)rig->ledger_search)
                seconds += ledger->entries[k].seconds;
    }
    assert_true(seconds == progress->seconds);
}

static void check_ledger_search(struct rig *rig)
{
    struct watch_progress progress = watch_search(&rig->daemon, rig->ledger_search);
    assert_int_equal(progress.failed, 0);
    if (!progress.done)
        return;
    check_ledger_spend(rig, &progress);
    rig->ledger_search = submit_ledger_search(rig);
}

static void check(struct rig *rig)
{
    check_ledgers(rig);
    check_search(rig);
    check_ledger_search(rig);
}

static void live(struct rig *rig)
{
    uint64_t kind = random_u64(&rig->random) % 8;
    if (kind < 2) {
        live_too_short(rig);
        return;
    }
    start(rig);
    check(rig);
    useconds_t max_us = kind < 6 ? LIFE_SHORT_US : LIFE_LONG_US;
    usleep((useconds_t)(random_u64(&rig->random) % max_us));
    kill_daemon(rig);
}

/* ---- the test ---- */

static void start_agents(struct rig *rig, const struct layout *layout)
{
    for (int i = 0; i < layout->agents; i++) {
        const char *const arguments[] = {"--slots", layout->slots, NULL};
        agent_process_start(&rig->agents[i], rig->daemon.port, FAKE_TRAINER_PROGRAM, "ok",
                            arguments);
    }
}

static void end_agents(struct rig *rig)
{
    for (int i = 0; i < AGENTS_MAX; i++) {
        if (rig->agents[i].pid > 0)
            assert_int_equal(agent_process_end(&rig->agents[i], SIGTERM), 0);
        agent_process_release(&rig->agents[i]);
    }
}

/* What a search comes to that nothing disturbs, with one worker. */
static void find_expected(struct rig *rig)
{
    start_agents(rig, &(struct layout){.agents = 1, .slots = "1"});
    rig->search = submit_search(rig);
    watch_until_done(&rig->daemon, rig->search);
    rig->expected = watch_list(&rig->daemon, rig->search);
    end_agents(rig);
}

static void start_ledgers(struct rig *rig)
{
    for (int i = 0; i < LEDGERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "keeper-%d", i);
        ledger_worker_start(&rig->ledgers[i], rig->daemon.port, name);
        ledger_worker_await(&rig->ledgers[i]);
    }
    rig->ledger_search = submit_ledger_search(rig);
}

static void print_summary(const struct rig *rig, const struct layout *layout)
{
    uint64_t acknowledged = 0, repeated = 0, stale = 0;
    for (int i = 0; i < LEDGERS; i++) {
        acknowledged += atomic_load(&rig->ledgers[i].ledger->acknowledged);
        repeated += atomic_load(&rig->ledgers[i].ledger->repeated);
        stale += atomic_load(&rig->ledgers[i].ledger->stale);
    }
    print_message("%s: %" PRIu64 " kills (%" PRIu64 " while starting), %" PRIu64
                  " restarts, %" PRIu64
                  " deterministic searches all with the same candidates, %" PRIu64
                  " acknowledged results, looked up %" PRIu64 " times; %" PRIu64
                  " handed in twice, %" PRIu64 " refused as stale\n",
                  layout->name, rig->kills, rig->early_kills, rig->restarts, rig->searches,
                  acknowledged, rig->checked, repeated, stale);
    assert_true(acknowledged > 0 && repeated > 0 && stale > 0);
}

static void complete(struct rig *rig)
{
    start(rig);
    check(rig);
    watch_until_done(&rig->daemon, rig->search);
    assert_same_candidates(rig);
    watch_until_done(&rig->daemon, rig->ledger_search);
    for (int i = 0; i < LEDGERS; i++)
        ledger_worker_stop(&rig->ledgers[i]);
    check_ledgers(rig);
    struct watch_progress progress = watch_search(&rig->daemon, rig->ledger_search);
    check_ledger_spend(rig, &progress);
    end_agents(rig);
    daemon_stop(&rig->daemon);
}

static void kill_again_and_again(struct rig *rig, const struct layout *layout)
{
    uint64_t share = (number_of("ARCHSCOUT_KILLS", FAULT_KILLS) + 2) / 3;
    uint64_t seed = number_of("ARCHSCOUT_SEED", 1);
    rig->random = random_stream_of(seed, strlen(layout->name), RANDOM_CANDIDATE);
    start(rig);
    find_expected(rig);
    start_agents(rig, layout);
    start_ledgers(rig);
    rig->search = submit_search(rig);
    kill_daemon(rig);
    while (rig->kills < share)
        live(rig);
    complete(rig);
    int64_t attempts = watch_store(&rig->daemon);
    for (int i = 0; i < LEDGERS; i++)
        watch_store_ledger(&rig->daemon, rig->ledgers[i].ledger);
    print_summary(rig, layout);
    print_message("%s: the store is sound, %" PRId64 " attempts with as many fencing numbers\n",
                  layout->name, attempts);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->random = random_stream_of((uint64_t)now_us(), (uint64_t)getpid(), RANDOM_CANDIDATE);
    daemon_prepare(&rig->daemon);
    snprintf(rig->address, sizeof rig->address, "127.0.0.1:%d", free_port(rig));
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < LEDGERS; i++)
        ledger_worker_release(&rig->ledgers[i]);
    for (int i = 0; i < AGENTS_MAX; i++)
        agent_process_release(&rig->agents[i]);
    daemon_remove(&rig->daemon);
    free(rig->expected);
    free(rig);
    return 0;
}

static void test_killed_daemon_loses_nothing_with_one_worker(void **state)
{
    kill_again_and_again(*state, &(struct layout){"1 worker", 1, "1"});
}

static void test_killed_daemon_loses_nothing_with_two_workers(void **state)
{
    kill_again_and_again(*state, &(struct layout){"2 workers", 2, "1"});
}

static void test_killed_daemon_loses_nothing_with_four_slots(void **state)
{
    kill_again_and_again(*state, &(struct layout){"2 workers of 2 slots", 2, "2"});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_killed_daemon_loses_nothing_with_one_worker),
        TEST(test_killed_daemon_loses_nothing_with_two_workers),
        TEST(test_killed_daemon_loses_nothing_with_four_slots),
    };
    setenv("FAKE_TRAINER_STEPS", "2", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
