#include "tests/sim/oracle.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 6 }; /* two losses, a failure, an out of memory, and a last one */

void oracle_breach(const struct oracle *oracle, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "seed %llu, step %llu: ", (unsigned long long)oracle->seed,
            (unsigned long long)oracle->step);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            oracle_breach(oracle, __VA_ARGS__);                                                    \
    } while (0)

struct oracle_search *oracle_search(struct oracle *oracle, uint64_t id)
{
    for (size_t i = 0; i < oracle->search_count; i++)
        if (oracle->searches[i].id == id)
            return &oracle->searches[i];
    oracle_breach(oracle, "search %llu was never acknowledged", (unsigned long long)id);
}

/* I3: an epoch belongs to one attempt for good. I6: none after a cancel. */
void oracle_granted(struct oracle *oracle, const struct task *task)
{
    REQUIRE(oracle_search(oracle, task->search)->state != SEARCH_CANCELLED,
            "a lease after the cancel");
    REQUIRE(task->epoch != 0, "an epoch is 0");
    for (size_t i = 0; i < oracle->grant_count; i++) {
        const struct grant *grant = &oracle->grants[i];
        if (grant->epoch != task->epoch)
            continue;
        REQUIRE(grant->attempt == task->attempt && grant->search == task->search &&
                    grant->candidate == task->candidate,
                "an epoch was given twice");
        return;
    }
    REQUIRE(oracle->grant_count < ORACLE_EPOCHS_MAX, "too many leases for one run");
    oracle->grants[oracle->grant_count++] =
        (struct grant){task->epoch, task->attempt, task->search, task->candidate};
}

void oracle_accepted(struct oracle *oracle, const struct task *task, const struct result *result,
                     int answer)
{
    struct oracle_search *search = oracle_search(oracle, task->search);
    if (answer == RESULT_KEPT) {
        REQUIRE(search->state == SEARCH_CANCELLED,
                "a result was not counted although nobody cancelled");
        return;
    }
    if (result->outcome != OUTCOME_DONE && result->outcome != OUTCOME_DIVERGED)
        return;
    struct oracle_candidate *candidate = &search->candidates[task->candidate];
    REQUIRE(candidate->outcome == OUTCOME_NONE ||
                (candidate->outcome == result->outcome &&
                 (result->outcome != OUTCOME_DONE || candidate->accuracy == result->accuracy)),
            "two different results were accepted for one candidate");
    candidate->outcome = result->outcome;
    candidate->accuracy = result->accuracy;
}

/* ---- what is shown ---- */

struct shown {
    struct candidate_view candidates[ORACLE_CANDIDATES_MAX];
    size_t count;
};

static int collect(void *context, const struct candidate_view *view)
{
    struct shown *shown = context;
    if (shown->count < ORACLE_CANDIDATES_MAX)
        shown->candidates[shown->count] = *view;
    shown->count++;
    return 0;
}

static void look(const struct oracle *oracle, struct rig *rig, uint64_t id,
                 struct search_view *ret_search, struct shown *ret_shown)
{
    struct candidate_query query = {.limit = PAGE_ITEMS_MAX};
    struct candidate_cursor next;
    ret_shown->count = 0;
    int r = coordinator_search(rig->coordinator, id, ret_search);
    if (r == 0)
        r = coordinator_candidates(rig->coordinator, id, &query, collect, ret_shown, &next);
    REQUIRE(r == 0, "search %llu is gone (%d)", (unsigned long long)id, r);
    REQUIRE(ret_shown->count <= ORACLE_CANDIDATES_MAX, "more candidates than asked for");
}

/* ---- I1, I2, I7: each candidate ---- */

static void check_candidate(const struct oracle *oracle, const struct oracle_search *known,
                            const struct candidate_view *view, const struct rig *rig)
{
    const struct oracle_candidate *candidate = &known->candidates[view->number];
    unsigned long long number = view->number;
    REQUIRE(view->attempts <= ATTEMPTS_MAX, "candidate %llu had %u attempts", number,
            view->attempts);
    if (candidate->outcome == OUTCOME_DONE)
        REQUIRE(view->state == CANDIDATE_DONE &&
                    view->measures.value[OBJECTIVE_ACCURACY] == candidate->accuracy,
                "the acknowledged result of candidate %llu is gone", number);
    if (candidate->outcome == OUTCOME_DIVERGED)
        REQUIRE(view->state == CANDIDATE_FAILED && view->outcome == OUTCOME_DIVERGED,
                "the acknowledged divergence of candidate %llu is gone", number);
    if (view->state != CANDIDATE_LEASED)
        return;
    uint64_t renewed_ms =
        candidate->renewed_ms > oracle->rebuilt_ms ? candidate->renewed_ms : oracle->rebuilt_ms;
    REQUIRE(view->worker, "candidate %llu is leased to nobody", number);
    REQUIRE(oracle->unwell || rig->now.monotonic_ms < renewed_ms + RIG_LEASE_MS,
            "the lease of candidate %llu outlives its deadline", number);
}

/* ---- I4: sums ---- */

static void check_sums(const struct oracle *oracle, const struct search_view *search,
                       const struct shown *shown)
{
    uint64_t count[CANDIDATE_STATE_COUNT] = {0}, sum = 0;
    uint64_t results = 0;
    for (size_t i = 0; i < shown->count; i++) {
        count[shown->candidates[i].state]++;
        results += shown->candidates[i].outcome != OUTCOME_NONE;
    }
    for (int i = 0; i < CANDIDATE_STATE_COUNT; i++) {
        REQUIRE(count[i] == search->progress.count[i], "the count of %s candidates is wrong",
                candidate_state_name((enum candidate_state)i));
        sum += count[i];
    }
    REQUIRE(sum == search->progress.created && sum == shown->count, "candidates do not add up");
    REQUIRE(results == search->spend.results, "the spend counts %llu results of %llu",
            (unsigned long long)search->spend.results, (unsigned long long)results);
    REQUIRE(results == count[CANDIDATE_DONE] + count[CANDIDATE_FAILED],
            "results and states disagree");
    REQUIRE(sum <= search->progress.budget, "more candidates than the budget");
}

/* ---- I8: the front and the best ---- */

static bool dominates(const struct candidate_view *a, const struct candidate_view *b,
                      const struct frontier_view *front)
{
    bool better = false;
    for (size_t i = 0; i < front->objective_count; i++) {
        enum objective objective = front->objectives[i];
        double difference = objective_sign(objective) *
                            (a->measures.value[objective] - b->measures.value[objective]);
        if (difference < 0)
            return false;
        better |= difference > 0;
    }
    return better;
}

static bool is_on_front(const struct frontier_view *front, uint64_t number)
{
    for (size_t i = 0; i < front->point_count; i++)
        if (front->points[i].candidate == number)
            return true;
    return false;
}

static void check_front(const struct oracle *oracle, struct rig *rig, uint64_t id,
                        const struct shown *shown)
{
    struct frontier_view front;
    struct error error;
    REQUIRE(coordinator_frontier(rig->coordinator, id, NULL, 0, &front, &error) == 0,
            "no frontier");
    size_t expected = 0;
    for (size_t i = 0; i < shown->count; i++) {
        const struct candidate_view *a = &shown->candidates[i];
        bool dominated = a->state != CANDIDATE_DONE;
        for (size_t j = 0; j < shown->count && !dominated; j++)
            dominated = shown->candidates[j].state == CANDIDATE_DONE &&
                        dominates(&shown->candidates[j], a, &front);
        REQUIRE(is_on_front(&front, a->number) == !dominated, "candidate %llu is %s the front",
                (unsigned long long)a->number, dominated ? "wrongly on" : "missing from");
        expected += !dominated;
    }
    REQUIRE(front.point_count == expected, "the front has a point twice");
}

static void check_best(const struct oracle *oracle, const struct search_view *search,
                       const struct shown *shown)
{
    bool known = false;
    uint64_t best = 0;
    for (size_t i = 0; i < shown->count; i++) {
        const struct candidate_view *view = &shown->candidates[i];
        if (view->state != CANDIDATE_DONE ||
            (known && view->reward <= shown->candidates[best].reward))
            continue;
        known = true;
        best = i;
    }
    REQUIRE(known == search->best_known && (!known || best == search->best),
            "the best candidate is wrong");
}

/* ---- all of it ---- */

static void check_state(const struct oracle *oracle, struct oracle_search *known,
                        const struct search_view *search)
{
    if (known->maybe && search->state == known->maybe)
        known->state = known->maybe;
    known->maybe = 0;
    bool agrees = search->state == known->state ||
                  (known->state == SEARCH_RUNNING && search->state == SEARCH_DONE) ||
                  (known->state == SEARCH_PAUSED && search->state == SEARCH_DONE);
    REQUIRE(agrees, "search %llu is %s, acknowledged was %s", (unsigned long long)known->id,
            search_state_name(search->state), search_state_name(known->state));
    if (search->state == SEARCH_CANCELLED) {
        if (known->counted_at_cancel == UINT64_MAX)
            known->counted_at_cancel = search->spend.results;
        REQUIRE(search->spend.results == known->counted_at_cancel,
                "a result was counted after the cancel");
        REQUIRE(search->progress.count[CANDIDATE_LEASED] +
                        search->progress.count[CANDIDATE_QUEUED] ==
                    0,
                "unfinished candidates in a cancelled search");
    }
}

void oracle_check(struct oracle *oracle, struct rig *rig)
{
    for (size_t i = 0; i < oracle->search_count; i++) {
        struct oracle_search *known = &oracle->searches[i];
        struct search_view search;
        struct shown shown;
        look(oracle, rig, known->id, &search, &shown);
        check_state(oracle, known, &search);
        check_sums(oracle, &search, &shown);
        check_best(oracle, &search, &shown);
        check_front(oracle, rig, known->id, &shown);
        for (size_t j = 0; j < shown.count; j++)
            check_candidate(oracle, known, &shown.candidates[j], rig);
    }
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * 0x9e3779b97f4a7c15u;
    return digest ^ digest >> 29;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return isnan(value) ? 1 : bits;
}

uint64_t oracle_digest(const struct oracle *oracle, struct rig *rig)
{
    uint64_t digest = 1;
    for (size_t i = 0; i < oracle->search_count; i++) {
        struct search_view search;
        struct shown shown;
        look(oracle, rig, oracle->searches[i].id, &search, &shown);
        digest = mix(mix(digest, search.state), bits_of(search.spend.seconds));
        digest = mix(mix(digest, search.spend.images), search.best_known ? search.best : 0);
        for (size_t j = 0; j < shown.count; j++) {
            const struct candidate_view *view = &shown.candidates[j];
            digest = mix(mix(mix(digest, view->hash), view->state), view->outcome);
            digest = mix(mix(mix(digest, view->seen), view->parent), view->attempts);
            digest = mix(mix(digest, bits_of(view->reward)),
                         bits_of(view->measures.value[OBJECTIVE_LOSS]));
        }
    }
    return digest;
}
