#include "tests/fault/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOSSES_MAX = 3, REFUSALS_MAX = 2, SHORTAGES_MAX = 2 };

struct course {
    int losses, refusals, shortages;
    int parts; /* of the next attempt's batch */
    bool over;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is(const char *outcome, const char *name)
{
    return strcmp(outcome, name) == 0;
}

/* One attempt more. */
static void follow(struct course *course, const json_t *attempt, const char *place)
{
    const char *outcome = text_of(attempt, "outcome");
    if (course->over)
        fail_msg("%s: an attempt after the end", place);
    if (json_integer_value(json_object_get(attempt, "micro_batches")) != course->parts)
        fail_msg("%s: the batch is not in %d parts", place, course->parts);
    if (is(outcome, "lost")) {
        course->over = ++course->losses == LOSSES_MAX;
    } else if (is(outcome, "failed")) {
        course->over = ++course->refusals == REFUSALS_MAX;
    } else if (is(outcome, "out_of_memory")) {
        course->over = ++course->shortages == SHORTAGES_MAX;
        course->parts *= 2;
    } else if (is(outcome, "done") || is(outcome, "diverged")) {
        course->over = true;
    } else {
        fail_msg("%s: ended as '%s'", place, outcome);
    }
}

static void count(struct policy_tally *tally, const struct course *course, const char *outcome)
{
    tally->candidates++;
    tally->losses += course->losses;
    tally->done += is(outcome, "done");
    tally->diverged += is(outcome, "diverged");
    tally->out_of_memory += is(outcome, "out_of_memory");
    tally->lost += is(outcome, "lost");
    tally->failed += is(outcome, "failed");
    tally->halved += is(outcome, "done") && course->shortages == 1;
}

static struct answer get_candidate(const struct daemon_process *process, int64_t search,
                                   int64_t candidate)
{
    struct answer answer =
        get(process, "/v1/searches/%" PRId64 "/candidates/%" PRId64, search, candidate);
    assert_int_equal(answer.status, 200);
    return answer;
}

static void check_candidate(const struct daemon_process *process, int64_t search, int64_t candidate,
                            struct policy_tally *tally)
{
    struct course course = {.parts = 1};
    const char *last = "", *worker = "";
    const json_t *attempt;
    size_t index;
    char place[64];
    struct answer answer = get_candidate(process, search, candidate);
    snprintf(place, sizeof place, "search %" PRId64 " candidate %" PRId64, search, candidate);
    json_array_foreach(member(&answer, "attempts"), index, attempt)
    {
        bool elsewhere = is(last, "lost") || is(last, "failed");
        tally->stayed += elsewhere && is(worker, text_of(attempt, "worker"));
        follow(&course, attempt, place);
        worker = text_of(attempt, "worker");
        last = text_of(attempt, "outcome");
        tally->attempts++;
    }
    if (!course.over || strcmp(text_at(&answer, "outcome"), last) != 0 ||
        strcmp(text_at(&answer, "state"), is(last, "done") ? "done" : "failed") != 0)
        fail_msg("%s does not end as its attempts say: %s", place, answer.body);
    count(tally, &course, last);
    answer_release(&answer);
}

struct policy_tally policy_check(const struct daemon_process *process, int64_t search)
{
    struct policy_tally tally = {.candidates = 0};
    struct answer answer = get(process, "/v1/searches/%" PRId64, search);
    assert_string_equal(text_at(&answer, "state"), "done");
    int64_t created = integer_at(&answer, "progress.created");
    for (int64_t i = 0; i < created; i++)
        check_candidate(process, search, i, &tally);
    assert_int_equal(integer_at(&answer, "progress.done"), tally.done);
    assert_int_equal(integer_at(&answer, "progress.failed"), tally.candidates - tally.done);
    assert_int_equal(integer_at(&answer, "spend.results"), tally.candidates);
    answer_release(&answer);
    return tally;
}

void policy_outcome_is(const struct daemon_process *process, int64_t search, int candidate,
                       int index, const char *outcome)
{
    struct answer answer = get_candidate(process, search, candidate);
    const json_t *attempt = json_array_get(member(&answer, "attempts"), (size_t)index);
    assert_string_equal(text_of(attempt, "outcome"), outcome);
    answer_release(&answer);
}
