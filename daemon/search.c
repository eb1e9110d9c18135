#include "daemon/search.h"

#include "search/window.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* ---- making and freeing ---- */

bool search_is_final(const struct search *search)
{
    return search->state != SEARCH_RUNNING && search->state != SEARCH_PAUSED;
}

static int search_allocate(const struct search_row *row, struct search **ret_search)
{
    struct search *search = calloc(1, sizeof(*search));
    char *text = malloc(row->length + 1);
    if (!search || !text) {
        free(search);
        free(text);
        return -ENOMEM;
    }
    memcpy(text, row->text, row->length);
    text[row->length] = '\0';
    search->id = row->id;
    search->state = row->state;
    search->hand_back = row->hand_back;
    search->text = text;
    search->length = row->length;
    search->priority = row->priority;
    search->created_us = row->created_us;
    search->finished_us = row->finished_us;
    *ret_search = search;
    return 0;
}

int search_new(const struct search_row *row, const struct spec_datasets *datasets,
               struct search **ret_search, struct error *error)
{
    struct search *search;
    if (search_allocate(row, &search) < 0)
        return error_set(error, -ENOMEM, "", "out of memory");
    const char *text = row->resolved ? row->resolved : search->text;
    size_t length = row->resolved ? strlen(row->resolved) : search->length;
    int r = spec_parse(text, length, datasets, &search->spec, error);
    if (r == 0 && !search_is_final(search))
        r = strategy_new(search->spec, &search->strategy, error);
    if (r < 0) {
        search_free(search);
        return r;
    }
    *ret_search = search;
    return 0;
}

int search_new_unreadable(const struct search_row *row, const char *problem,
                          struct search **ret_search)
{
    struct search *search;
    int r = search_allocate(row, &search);
    if (r < 0)
        return r;
    search_fail(search, problem);
    *ret_search = search;
    return 0;
}

static void drop_strategy(struct search *search)
{
    strategy_free(search->strategy);
    search->strategy = NULL;
}

void search_fail(struct search *search, const char *problem)
{
    search->state = SEARCH_FAILED;
    snprintf(search->problem, sizeof(search->problem), "%s", problem);
    drop_strategy(search);
    for (size_t i = 0; i < SEARCH_FRONTS_MAX; i++)
        pareto_free(search->fronts[i].pareto);
    memset(search->fronts, 0, sizeof(search->fronts));
    spec_free(search->spec);
    search->spec = NULL;
    free(search->candidates);
    free(search->accepted);
    search->candidates = NULL;
    search->accepted = NULL;
    search->count = search->capacity = search->accepted_count = 0;
    memset(search->state_count, 0, sizeof(search->state_count));
    search->spend = (struct spend){0};
    search->best_known = false;
}

void search_free(struct search *search)
{
    if (!search)
        return;
    search_fail(search, "");
    free(search->text);
    free(search);
}

/* JSON can write a name in another way only with an escape. */
bool search_names_dataset(const struct search *search, const char *name)
{
    if (search->spec)
        return strcmp(search->spec->dataset.name, name) == 0;
    char quoted[DATASET_NAME_SIZE + 2];
    snprintf(quoted, sizeof(quoted), "\"%s\"", name);
    return strstr(search->text, quoted) != NULL || strstr(search->text, "\\u") != NULL;
}

/* ---- candidates ---- */

static int reserve_candidate(struct search *search)
{
    if (search->count < search->capacity)
        return 0;
    uint64_t capacity = search->capacity ? 2 * search->capacity : 64;
    struct candidate *candidates = realloc(search->candidates, capacity * sizeof(candidates[0]));
    if (!candidates)
        return -ENOMEM;
    search->candidates = candidates;
    uint64_t *accepted = realloc(search->accepted, capacity * sizeof(accepted[0]));
    if (!accepted)
        return -ENOMEM;
    search->accepted = accepted;
    search->capacity = capacity;
    return 0;
}

static void append_candidate(struct search *search, const struct candidate_row *row)
{
    search->candidates[search->count++] = (struct candidate){
        .encoding = row->encoding,
        .hash = row->hash,
        .params = row->params,
        .macs = row->macs,
        .memory = row->memory,
        .seen = row->seen,
        .parent = row->parent,
        .position = RESULT_NOT_COUNTED,
        .created_us = row->created_us,
        .state = CANDIDATE_QUEUED,
        .step_time = {.median_s = NAN, .spread_s = NAN, .baseline_s = NAN},
        .accuracy = NAN,
        .loss = NAN,
        .reward = NAN,
    };
    search->state_count[CANDIDATE_QUEUED]++;
}

/* An encoding means what the space makes of it, and a preset that the spec names may have another space in another
 * version: only the hash tells that the network is still the one that was trained. */
static bool is_same_architecture(const struct search *search, const struct candidate_row *row)
{
    if (row->stage_count != space_stage_count(search->spec->space) ||
        !space_contains(search->spec->space, &row->encoding))
        return false;
    struct architecture architecture;
    space_architecture(search->spec->space, &row->encoding, &architecture);
    return architecture_hash(&architecture) == row->hash;
}

int search_restore_candidate(struct search *search, const struct candidate_row *row)
{
    if (row->number != search->count || !is_same_architecture(search, row))
        return -EINVAL;
    int r = reserve_candidate(search);
    if (r < 0)
        return r;
    append_candidate(search, row);
    if (search->state == SEARCH_CANCELLED)
        search_set_candidate_state(search, row->number, CANDIDATE_CANCELLED);
    return 0;
}

void search_set_candidate_state(struct search *search, uint64_t candidate,
                                enum candidate_state state)
{
    assert(candidate < search->count);
    search->state_count[search->candidates[candidate].state]--;
    search->state_count[state]++;
    search->candidates[candidate].state = state;
}

void search_cancel(struct search *search, int64_t wall_us)
{
    for (uint64_t i = 0; i < search->count; i++) {
        enum candidate_state state = search->candidates[i].state;
        if (state == CANDIDATE_QUEUED || state == CANDIDATE_LEASED)
            search_set_candidate_state(search, i, CANDIDATE_CANCELLED);
    }
    search->state = SEARCH_CANCELLED;
    search->finished_us = wall_us;
    drop_strategy(search);
}

void search_finish(struct search *search, int64_t wall_us)
{
    search->state = SEARCH_DONE;
    search->finished_us = wall_us;
    drop_strategy(search);
}

/* ---- the strategy ---- */

static int tell_up_to(struct search *search, uint64_t target)
{
    while (search->told < target) {
        uint64_t number = window_candidate(search->spec, search->accepted, search->told);
        const struct candidate *candidate = &search->candidates[number];
        struct observation observation = {.candidate = number,
                                          .usable = candidate->state == CANDIDATE_DONE};
        if (observation.usable) {
            observation.reward = candidate->reward;
            observation.measures = candidate_measures(candidate);
        }
        int r = strategy_tell(search->strategy, &observation);
        if (r < 0)
            return r;
        search->told++;
    }
    return 0;
}

static bool can_be_told(const struct search *search, uint64_t target)
{
    if (!search->spec->deterministic)
        return target <= search->accepted_count;
    for (uint64_t i = search->told; i < target; i++)
        if (search->candidates[i].outcome == OUTCOME_NONE)
            return false;
    return true;
}

int search_replay(struct search *search)
{
    for (uint64_t i = 0; i < search->accepted_count; i++)
        if (search->accepted[i] == UINT64_MAX)
            return -EINVAL;
    if (!search->strategy)
        return 0;
    for (uint64_t k = 0; k < search->count; k++) {
        uint64_t seen = search->candidates[k].seen;
        if (seen < search->told || seen > k || !can_be_told(search, seen))
            return -EINVAL;
        int r = tell_up_to(search, seen);
        if (r == 0)
            r = strategy_replay(search->strategy, k, &search->candidates[k].encoding);
        if (r < 0)
            return r;
    }
    return 0;
}

int search_propose(struct search *search, int64_t wall_us, struct candidate_row *ret_row)
{
    uint64_t k = search->count;
    uint64_t target = window_size(search->spec, k, search->accepted_count);
    assert(search->strategy && k < search->spec->candidates_max && can_be_told(search, target));
    int r = reserve_candidate(search);
    if (r == 0)
        r = tell_up_to(search, target);
    struct encoding encoding;
    if (r == 0)
        r = strategy_ask(search->strategy, k, &encoding);
    if (r == STRATEGY_EXHAUSTED)
        search->exhausted = true;
    if (r != 0)
        return r;
    struct architecture architecture;
    space_architecture(search->spec->space, &encoding, &architecture);
    struct cost cost = pricing_cost(search->spec->pricing, &encoding);
    *ret_row = (struct candidate_row){.search = search->id,
                                      .number = k,
                                      .encoding = encoding,
                                      .stage_count = space_stage_count(search->spec->space),
                                      .hash = architecture_hash(&architecture),
                                      .params = cost.params,
                                      .macs = cost.macs,
                                      .memory = cost.activation_bytes,
                                      .seen = target,
                                      .parent = strategy_parent(search->strategy),
                                      .created_us = wall_us};
    append_candidate(search, ret_row);
    return 0;
}

/* ---- results ---- */

double candidate_objective(const struct candidate *candidate, enum objective objective)
{
    switch (objective) {
    case OBJECTIVE_ACCURACY:
        return candidate->accuracy;
    case OBJECTIVE_STEP_TIME:
        return candidate->step_time.median_s / candidate->step_time.baseline_s;
    case OBJECTIVE_PARAMS:
        return (double)candidate->params;
    case OBJECTIVE_MACS:
        return (double)candidate->macs;
    case OBJECTIVE_MEMORY:
        return (double)candidate->memory;
    case OBJECTIVE_LOSS:
        return candidate->loss;
    default:
        return NAN;
    }
}

struct measures candidate_measures(const struct candidate *candidate)
{
    struct measures measures;
    for (int i = 0; i < OBJECTIVE_COUNT; i++)
        measures.value[i] = candidate_objective(candidate, (enum objective)i);
    return measures;
}

static void set_measured(struct candidate *candidate, const struct result_row *row)
{
    candidate->step_time = row->step_time;
    candidate->accuracy = row->accuracy;
    candidate->loss = row->loss;
    candidate->reward = row->reward;
}

struct result_row search_result_row(const struct search *search, uint64_t candidate,
                                    const struct result *result, bool counted)
{
    struct result_row row = {.search = search->id,
                             .candidate = candidate,
                             .position = counted ? search->accepted_count : RESULT_NOT_COUNTED,
                             .outcome = result->outcome,
                             .accuracy = NAN,
                             .loss = NAN,
                             .step_time = {.median_s = NAN, .spread_s = NAN, .baseline_s = NAN},
                             .reward = NAN,
                             .seconds = result->seconds,
                             .images = result->images};
    if (result->outcome != OUTCOME_DONE)
        return row;
    row.accuracy = result->accuracy;
    row.loss = result->loss;
    row.step_time = result->step_time;
    struct candidate measured = search->candidates[candidate];
    set_measured(&measured, &row);
    struct measures measures = candidate_measures(&measured),
                    baseline = spec_baseline_measures(search->spec);
    double reward = reward_of(&search->spec->reward, &measures, &baseline);
    /* Exponents that make an accuracy of 0 infinitely good reward nothing. */
    row.reward = isfinite(reward) ? reward : 0;
    return row;
}

static void note_best(struct search *search, uint64_t number)
{
    double reward = search->candidates[number].reward;
    double best = search->best_known ? search->candidates[search->best].reward : 0;
    if (search->best_known && (reward < best || (reward == best && number > search->best)))
        return;
    search->best_known = true;
    search->best = number;
}

/* Everything that follows from a counted result, but for search->accepted. */
static void count_result(struct search *search, const struct result_row *row)
{
    struct candidate *candidate = &search->candidates[row->candidate];
    bool done = row->outcome == OUTCOME_DONE;
    candidate->outcome = row->outcome;
    candidate->position = row->position;
    candidate->attempts = row->attempts;
    candidate->finished_us = row->accepted_us;
    search_set_candidate_state(search, row->candidate, done ? CANDIDATE_DONE : CANDIDATE_FAILED);
    search->spend.results++;
    search->spend.seconds += row->seconds;
    search->spend.images += row->images;
    if (!done)
        return;
    set_measured(candidate, row);
    search->done_seconds += row->seconds;
    note_best(search, row->candidate);
}

bool search_needs_step_time(const struct search *search)
{
    const struct spec *spec = search->spec;
    bool needed = !spec || spec->reward.exponent[OBJECTIVE_STEP_TIME] != 0;
    for (size_t i = 0; spec && i < spec->objective_count; i++)
        needed = needed || spec->objectives[i] == OBJECTIVE_STEP_TIME;
    return needed;
}

static bool is_complete(const struct search *search, const struct result_row *row)
{
    const struct step_time *time = &row->step_time;
    const bool absent = isnan(time->median_s) && isnan(time->baseline_s);
    if (row->outcome != OUTCOME_DONE)
        return true;
    if (absent ? search_needs_step_time(search) : !isfinite(time->median_s / time->baseline_s))
        return false;
    return isfinite(row->accuracy) && isfinite(row->loss) && isfinite(row->reward);
}

/* Results are restored by candidate, so their places in the order of acceptance come in any order. */
int search_restore_result(struct search *search, const struct result_row *row)
{
    if (row->candidate >= search->count ||
        search->candidates[row->candidate].outcome != OUTCOME_NONE || !is_complete(search, row))
        return -EINVAL;
    if (row->position == RESULT_NOT_COUNTED)
        return search->state == SEARCH_CANCELLED ? 0 : -EINVAL;
    if (row->position >= search->count)
        return -EINVAL;
    for (; search->accepted_count <= row->position; search->accepted_count++)
        search->accepted[search->accepted_count] = UINT64_MAX;
    if (search->accepted[row->position] != UINT64_MAX)
        return -EINVAL;
    search->accepted[row->position] = row->candidate;
    count_result(search, row);
    return 0;
}

void search_accept(struct search *search, const struct result_row *row)
{
    assert(row->position == search->accepted_count && row->candidate < search->count);
    assert(search->candidates[row->candidate].outcome == OUTCOME_NONE);
    search->accepted[search->accepted_count++] = row->candidate;
    count_result(search, row);
}
