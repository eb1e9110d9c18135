#include "cli/watch.h"

#include "cli/api.h"
#include "cli/candidate_table.h"
#include "cli/commands.h"
#include "cli/find_search.h"
#include "cli/format.h"
#include "cli/progress.h"
#include "cli/search_view.h"
#include "cli/sse.h"
#include "cli/waiting.h"
#include "proto/http_client.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The stream of events and the questions in between go over two connections: answers are asked for
 * while the stream's data are handed over. */
enum {
    ABSENCE_SECONDS_MAX = 120, /* a daemon that has been away for so long is given up */
    PATIENCE_SECONDS = 5,      /* a search that waits for so long from the start on is told of */
    SILENCE_SECONDS_MAX = 60,  /* of a stream; the daemon says something every 15 s */
    PAUSE_SECONDS = 2          /* between two tries, or two looks where there is no stream */
};

struct watch {
    struct cli *cli;
    const char *id;
    struct http_client *stream;
    struct sse sse;
    struct api_reply search; /* as last seen */
    uint64_t finished;       /* candidates told of */
    double best_reward;      /* of them; NaN before the first */
    time_t heard_s;          /* monotonic time of the stream's latest bytes */
    time_t looked_s;         /* and of the progress line */
    time_t begun_s;
    bool wait_looked_at; /* whether it waits for something that a person has to do */
    bool line_shown;     /* the progress line stands on the terminal */
    bool end_told;       /* the stream has said that the search ended */
};

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* ---- the progress line ---- */

static bool has_line(const struct watch *watch)
{
    return watch->cli->terminal.is_terminal && !watch->cli->json;
}

static void hide_line(struct watch *watch)
{
    if (watch->line_shown)
        printf("\r\033[K");
    watch->line_shown = false;
}

/* How far the running candidates are, in candidates. */
static double part_done(struct watch *watch)
{
    char path[API_PATH_SIZE];
    struct api_reply reply = {0};
    snprintf(path, sizeof path, "/v1/searches/%s/candidates?state=leased&page_size=1000",
             watch->id);
    if (api_try_json(watch->cli, path, &reply))
        return 0;
    double part = 0;
    size_t index;
    json_t *candidate;
    json_array_foreach(api_field(reply.json, "candidates"), index, candidate)
    {
        double total = api_number(candidate, "running.steps_total");
        double done = api_number(candidate, "running.steps_done");
        if (total > 0 && done <= total)
            part += done / total;
    }
    api_reply_release(&reply);
    return part;
}

static void show_line(struct watch *watch)
{
    if (!has_line(watch))
        return;
    struct search_view view = search_view_of(watch->search.json);
    struct progress progress = {.name = view.name,
                                .state = view.state,
                                .budget = view.budget,
                                .finished = view.finished,
                                .running = view.running,
                                .part_done = view.running ? part_done(watch) : 0,
                                .eta_s = view.eta_s,
                                .best_known = view.best};
    if (view.best) {
        progress.best = api_integer(view.best, "number");
        progress.best_accuracy = api_number(view.best, "accuracy");
    }
    char line[PROGRESS_SIZE];
    /* A line as wide as the terminal would make some of them begin a new one. */
    progress_line(&progress, watch->cli->terminal.width - 1, line);
    hide_line(watch);
    printf("%s", line);
    fflush(stdout);
    watch->line_shown = true;
}

/* ---- looking at the search ---- */

/* Takes the search's present state; a failure is left for the caller to tell of. 0, or a negative
 * errno. */
static int look(struct watch *watch)
{
    char path[API_PATH_SIZE];
    struct api_reply reply = {0};
    snprintf(path, sizeof path, "/v1/searches/%s", watch->id);
    int r = api_try_json(watch->cli, path, &reply);
    if (r)
        return r;
    api_reply_release(&watch->search);
    watch->search = reply;
    return 0;
}

/* ---- lines about candidates ---- */

static void tell_done(struct watch *watch, const json_t *candidate)
{
    static const enum candidate_column columns[] = {
        CANDIDATE_ACCURACY, CANDIDATE_STEP, CANDIDATE_RELATIVE, CANDIDATE_PARAMS, CANDIDATE_STAGES};
    char cells[ARRAY_LENGTH(columns)][CANDIDATE_CELL_SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
        candidate_cell(candidate, columns[i], cells[i]);
    double reward = api_number(candidate, "reward");
    bool is_best = !isnan(reward) && !(reward <= watch->best_reward);
    if (is_best)
        watch->best_reward = reward;
    printf("accuracy %s, step %s (%s), %s params%s%s%s\n", cells[0], cells[1], cells[2], cells[3],
           is_best ? terminal_begin(&watch->cli->terminal, COLOUR_GREEN) : "",
           is_best ? ", best reward so far" : "",
           is_best ? terminal_end(&watch->cli->terminal, COLOUR_GREEN) : "");
}

static void tell_finished(struct watch *watch, const json_t *event)
{
    struct api_reply reply = {0};
    uint64_t number = api_integer(event, "candidate");
    char path[API_PATH_SIZE];
    snprintf(path, sizeof path, "/v1/searches/%s/candidates/%llu", watch->id,
             (unsigned long long)number);
    hide_line(watch);
    watch->finished++;
    printf("%3llu/%llu  #%-4llu ", (unsigned long long)watch->finished,
           (unsigned long long)search_view_of(watch->search.json).budget,
           (unsigned long long)number);
    const char *outcome = api_text(event, "outcome");
    if (strcmp(outcome, "done") != 0)
        printf("%s\n", outcome);
    else if (api_try_json(watch->cli, path, &reply) == 0)
        tell_done(watch, reply.json);
    else
        printf("accuracy %.4f\n", api_number(event, "accuracy"));
    api_reply_release(&reply);
    fflush(stdout);
}

static int on_event(void *context, const struct sse_event *event)
{
    struct watch *watch = context;
    watch->end_told = watch->end_told || strcmp(event->type, "search.done") == 0 ||
                      strcmp(event->type, "search.cancelled") == 0;
    if (watch->cli->json) {
        printf("%s\n", event->data);
        fflush(stdout);
        return 0;
    }
    json_t *data = json_loads(event->data, 0, NULL);
    if (strcmp(event->type, "candidate.finished") == 0) {
        tell_finished(watch, data);
    } else if (strcmp(event->type, "candidate.retried") == 0) {
        hide_line(watch);
        printf("         #%-4llu %s, trying again\n",
               (unsigned long long)api_integer(data, "candidate"), api_text(data, "outcome"));
    } else if (strncmp(event->type, "search.", 7) == 0 &&
               strcmp(event->type, "search.created") != 0) {
        hide_line(watch);
        printf("search %s: %s\n", watch->id, event->type + 7);
    }
    fflush(stdout);
    json_decref(data);
    return 0;
}

/* ---- the stream ---- */

static int on_data(void *context, const char *bytes, size_t length)
{
    struct watch *watch = context;
    watch->heard_s = now_s();
    return sse_feed(&watch->sse, bytes, length);
}

/* Once, and not at once: workers that were started together with the daemon take a moment. */
static void tell_waiting(struct watch *watch)
{
    char reason[WAITING_SIZE];
    if (watch->wait_looked_at || now_s() - watch->begun_s < PATIENCE_SECONDS)
        return;
    watch->wait_looked_at = true;
    if (look(watch) || !waiting_reason(watch->cli, watch->search.json, reason))
        return;
    hide_line(watch);
    problem_say(watch->cli, EXIT_CODE_OK, "search %s waits: %s", watch->id, reason);
}

static int on_tick(void *context)
{
    struct watch *watch = context;
    if (now_s() - watch->heard_s > SILENCE_SECONDS_MAX)
        return -ETIMEDOUT;
    tell_waiting(watch);
    bool is_due = now_s() != watch->looked_s;
    watch->looked_s = now_s();
    if (is_due && has_line(watch) && look(watch) == 0)
        show_line(watch);
    return 0;
}

/* Reads events until the stream ends. The HTTP status, or a negative errno. */
static long follow(struct watch *watch)
{
    char path[API_PATH_SIZE], last[sizeof "Last-Event-ID: " + SSE_ID_SIZE];
    snprintf(path, sizeof path, "/v1/searches/%s/events", watch->id);
    snprintf(last, sizeof last, "Last-Event-ID: %s", watch->sse.last_id);
    const char *headers[] = {"Accept: text/event-stream", watch->sse.last_id[0] ? last : NULL,
                             NULL};
    struct http_request request = {.method = "GET",
                                   .path = path,
                                   .headers = headers,
                                   .on_data = on_data,
                                   .on_tick = on_tick,
                                   .context = watch};
    struct http_response response = {0};
    sse_restart(&watch->sse);
    watch->heard_s = now_s();
    int r = http_client_perform(watch->stream, &request, &response, NULL);
    long status = response.status;
    http_response_release(&response);
    return r ? r : status;
}

/* ---- the whole ---- */

static enum exit_code tell_end(struct watch *watch)
{
    struct search_view view = search_view_of(watch->search.json);
    hide_line(watch);
    bool is_done = strcmp(view.state, "done") == 0;
    if (!watch->cli->json) {
        printf("%s%s is %s%s: %llu candidates done, %llu failed",
               terminal_begin(&watch->cli->terminal, is_done ? COLOUR_GREEN : COLOUR_RED),
               view.name, view.state,
               terminal_end(&watch->cli->terminal, is_done ? COLOUR_GREEN : COLOUR_RED),
               (unsigned long long)view.done, (unsigned long long)view.failed);
        if (view.best) {
            char accuracy[FORMAT_SIZE];
            format_percent(api_number(view.best, "accuracy"), accuracy);
            printf(", best by reward #%llu with accuracy %s",
                   (unsigned long long)api_integer(view.best, "number"), accuracy);
        }
        printf("\n");
    }
    return is_done ? EXIT_CODE_OK : EXIT_CODE_SEARCH_LOST;
}

/* Waits a little; false where the daemon has been away for too long. */
static bool bear_absence(struct watch *watch, time_t *away_since_s)
{
    if (*away_since_s == 0) {
        *away_since_s = now_s();
        hide_line(watch);
        problem_say(watch->cli, EXIT_CODE_UNREACHABLE,
                    "the daemon does not answer; waiting for it");
    }
    sleep(PAUSE_SECONDS);
    return now_s() - *away_since_s <= ABSENCE_SECONDS_MAX;
}

/* Until the search has ended and the stream, where there is one, has told everything: a connection
 * that broke near the end is made once more. Without a stream (something in between that does not
 * let it through) the search is looked at now and then. */
static enum exit_code watch_until_end(struct watch *watch)
{
    time_t away_since_s = 0;
    bool was_final = false;
    for (;;) {
        long status = follow(watch);
        int r = look(watch);
        if (r == 0)
            away_since_s = 0;
        else if (!bear_absence(watch, &away_since_s))
            return problem_tell_unreachable(watch->cli, r, "gave up waiting");
        if (r != 0)
            continue;
        bool is_final = search_view_of(watch->search.json).is_final;
        if (is_final && (watch->end_told || was_final))
            return tell_end(watch);
        was_final = is_final;
        if (is_final)
            continue;
        show_line(watch);
        if (status != 200)
            sleep(PAUSE_SECONDS);
    }
}

enum exit_code watch_search(struct cli *cli, const char *id)
{
    struct watch watch = {.cli = cli, .id = id, .best_reward = NAN, .begun_s = now_s()};
    char path[API_PATH_SIZE];
    struct error error = {0};
    snprintf(path, sizeof path, "/v1/searches/%s", id);
    enum exit_code code = api_get_json(cli, path, &watch.search);
    if (code)
        return code;
    int r = http_client_new(cli->server, &watch.stream, &error);
    if (r == 0)
        r = sse_init(&watch.sse, on_event, &watch);
    if (r)
        code = problem_say(cli, EXIT_CODE_FAILED, "out of memory");
    else if (!cli->json && search_view_of(watch.search.json).is_final)
        code = tell_end(&watch);
    else
        code = watch_until_end(&watch);
    api_reply_release(&watch.search);
    sse_release(&watch.sse);
    http_client_free(watch.stream);
    return code;
}

static enum exit_code run_watch(struct cli *cli, const struct arguments *arguments)
{
    char id[API_ID_SIZE];
    enum exit_code code = find_search(cli, arguments->operands[0], id);
    return code ? code : watch_search(cli, id);
}

const struct command command_watch = {
    "watch",
    "ID",
    "follow a search until it has ended",
    "On a terminal with a progress bar; with --json the events, one a line. Interrupting it does "
    "not "
    "touch the\nsearch. Ends with 0 when the search is done and with 6 when it was cancelled or "
    "failed.",
    {{0}},
    run_watch,
};
