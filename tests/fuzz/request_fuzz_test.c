/* Thousands of spoilt requests against a real archscoutd: whatever comes, it answers below 500 or closes the connection, and
 * goes on serving. The same seed makes the same requests; FUZZ_SEED and FUZZ_ROUNDS change them. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/fake_worker.h"
#include "tests/e2e/search_spec.h"
#include "tests/fuzz/mutate.h"

enum {
    SEEDS_MAX = 64,
    ROUNDS = 5000,
    ROUNDS_AT_ONCE = 250,
    PATIENCE_MS = 250,
    ANSWER_SIZE = 1 << 16,
};

static struct bytes seeds[SEEDS_MAX];
static size_t seed_count;

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_seeds(void)
{
    char path[1024];
    struct dirent **entries = NULL;
    int count = scandir(SEEDS, &entries, NULL, compare_names);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", SEEDS, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && seed_count < SEEDS_MAX)
            bytes_read(&seeds[seed_count++], path);
        free(entries[i]);
    }
    free(entries);
    assert_true(seed_count > 0);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads until the daemon closes or, as on an event stream, says nothing before `until_ms`. True where the first answer is a
 * 5xx, 505 (an HTTP version that nobody knows) excepted. */
static bool failed(int fd, uint64_t until_ms)
{
    static char answer[ANSWER_SIZE];
    char status[16] = "";
    for (;;) {
        uint64_t at_ms = now_ms();
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        if (poll(&waiting, 1, at_ms < until_ms ? (int)(until_ms - at_ms) : 0) <= 0)
            break;
        ssize_t bytes = recv(fd, answer, sizeof answer, 0);
        if (bytes <= 0)
            break;
        if (!*status)
            snprintf(status, sizeof status, "%.*s", (int)bytes, answer);
    }
    return strncmp(status, "HTTP/1.1 5", 10) == 0 && strncmp(status, "HTTP/1.1 505", 12) != 0;
}

static void print_request(const struct bytes *request)
{
    for (size_t i = 0; i < request->length; i++) {
        char c = request->data[i];
        if (c >= ' ' && c <= '~' && c != '\\')
            print_message("%c", c);
        else
            print_message("\\x%02x", (unsigned char)c);
    }
    print_message("\n");
}

static uint64_t setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

/* The request of a round: always the same one. */
static void make_request(struct bytes *request, uint64_t round)
{
    struct random_stream random = random_stream_of(setting("FUZZ_SEED", 1), round, RANDOM_MUTATION);
    *request = seeds[random_below(&random, seed_count)];
    mutate(&random, request, &seeds[random_below(&random, seed_count)]);
}

/* Sends the requests of many rounds at once, each with nothing after it, then looks at the answers. */
static void try_rounds(const struct daemon_process *process, uint64_t first)
{
    static struct bytes request;
    int fds[ROUNDS_AT_ONCE];
    for (uint64_t i = 0; i < ROUNDS_AT_ONCE; i++) {
        make_request(&request, first + i);
        fds[i] = connection_open(process);
        connection_send(fds[i], request.data, request.length);
        shutdown(fds[i], SHUT_WR);
    }
    uint64_t until_ms = now_ms() + PATIENCE_MS;
    for (uint64_t i = 0; i < ROUNDS_AT_ONCE; i++) {
        if (failed(fds[i], until_ms)) {
            make_request(&request, first + i);
            print_request(&request);
            fail_msg("round %llu was answered with 5xx", (unsigned long long)(first + i));
        }
        close(fds[i]);
    }
}

static void test_daemon_survives_spoilt_requests(void **state)
{
    struct daemon_process *process = *state;
    uint64_t rounds = setting("FUZZ_ROUNDS", ROUNDS);
    for (uint64_t round = 0; round < rounds; round += ROUNDS_AT_ONCE) {
        try_rounds(process, round);
        struct answer answer = get(process, "/readyz");
        assert_int_equal(answer.status, 200);
        answer_release(&answer);
    }
}

/* The seeds themselves must be taken, or their mutations would try little. */
static void test_seeds_are_good_requests(void **state)
{
    struct daemon_process *process = *state;
    for (size_t i = 0; i < seed_count; i++) {
        struct answer answer;
        int fd = connection_open(process);
        assert_true(connection_send(fd, seeds[i].data, seeds[i].length));
        assert_true(connection_receive(fd, &answer));
        if (answer.status >= 400 && answer.status != 409 && answer.status != 404)
            fail_msg("seed %zu: %d %s", i, answer.status, answer.body);
        answer_release(&answer);
        close(fd);
    }
}

/* Something to ask for: search 1 with results, search 2 ended. */
static int set_up_searches(void **state)
{
    daemon_set_up(state);
    struct daemon_process *process = *state;
    int64_t first = search_submit(process, "one", 100);
    fake_worker_register(process, "w", 1);
    fake_worker_train(process, "w", 3);
    int64_t second = search_submit(process, "two", 4);
    assert_int_equal(search_steer(process, first, "pause"), 200);
    assert_int_equal(search_steer(process, second, "cancel"), 200);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_seeds_are_good_requests, set_up_searches,
                                        daemon_tear_down),
        cmocka_unit_test_setup_teardown(test_daemon_survives_spoilt_requests, set_up_searches,
                                        daemon_tear_down),
    };
    read_seeds();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
