/* What people see of candidates: one, and pages of them filtered and sorted. */
#include "daemon/coordinator_internal.h"

#include <errno.h>
#include <math.h>

/* ---- one ---- */

static void show_running(const struct coordinator *coordinator, const struct job *job,
                         struct candidate_view *view)
{
    const struct worker *worker = &coordinator->workers.items[job->worker];
    view->worker = worker->name;
    view->slot = job->slot;
    view->steps_done = worker->slots[job->slot].steps_done;
    view->steps_total = worker->slots[job->slot].steps_total;
}

static struct candidate_view view_of(const struct coordinator *coordinator,
                                     const struct search *search, uint64_t number)
{
    const struct candidate *candidate = &search->candidates[number];
    struct candidate_view view = {.search = search->id,
                                  .number = number,
                                  .state = candidate->state,
                                  .outcome = candidate->outcome,
                                  .hash = candidate->hash,
                                  .reward = candidate->reward,
                                  .measures = candidate_measures(candidate),
                                  .step_time = candidate->step_time,
                                  .attempts = candidate->attempts,
                                  .encoding = candidate->encoding,
                                  .stage_count = space_stage_count(search->spec->space),
                                  .position = candidate->position,
                                  .seen = candidate->seen,
                                  .parent = candidate->parent,
                                  .created_us = candidate->created_us,
                                  .finished_us = candidate->finished_us};
    space_architecture(search->spec->space, &candidate->encoding, &view.architecture);
    view.cost = pricing_cost(search->spec->pricing, &candidate->encoding);
    view.cost.params = candidate->params;
    view.cost.macs = candidate->macs;
    view.cost.activation_bytes = candidate->memory;
    struct job job;
    bool unfinished = candidate->state == CANDIDATE_QUEUED || candidate->state == CANDIDATE_LEASED;
    if (unfinished && scheduler_find_job(coordinator->scheduler, search->id, number, &job)) {
        view.attempts = job.attempts;
        if (job.running)
            show_running(coordinator, &job, &view);
    }
    return view;
}

int coordinator_candidate(struct coordinator *coordinator, uint64_t id, uint64_t number,
                          struct candidate_view *ret_view)
{
    if (!coordinator->readable)
        return coordinator->failure;
    const struct search *search = coordinator_find_search(coordinator, id);
    if (!search || number >= search->count)
        return -ENOENT;
    *ret_view = view_of(coordinator, search, number);
    return 0;
}

/* ---- pages ----
 *
 * A page is the first `limit` candidates after the cursor in the order asked for. One pass over all candidates keeps the
 * best limit + 1 of them in a heap whose root is the last of them; the extra one only tells that more follow. */

struct entry {
    double value; /* as measured */
    double key;   /* higher goes first */
    uint64_t number;
};

struct page {
    struct entry *heap; /* the root goes last */
    uint32_t count, capacity;
};

static bool goes_before(const struct entry *a, const struct entry *b)
{
    if (a->key != b->key)
        return a->key > b->key;
    return a->number < b->number;
}

static void swap(struct entry *a, struct entry *b)
{
    struct entry kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(struct page *page, uint32_t i)
{
    while (i > 0 && goes_before(&page->heap[(i - 1) / 2], &page->heap[i])) {
        swap(&page->heap[(i - 1) / 2], &page->heap[i]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct page *page)
{
    for (uint32_t i = 0;;) {
        uint32_t last = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < page->count; child++)
            if (goes_before(&page->heap[last], &page->heap[child]))
                last = child;
        if (last == i)
            return;
        swap(&page->heap[i], &page->heap[last]);
        i = last;
    }
}

static void page_add(struct page *page, const struct entry *entry)
{
    if (page->count < page->capacity) {
        page->heap[page->count] = *entry;
        sift_up(page, page->count++);
    } else if (goes_before(entry, &page->heap[0])) {
        page->heap[0] = *entry;
        sift_down(page);
    }
}

static int compare_entries(const void *a, const void *b)
{
    return goes_before(a, b) ? -1 : 1;
}

static double value_of(const struct search *search, uint64_t number,
                       const struct candidate_query *query)
{
    const struct candidate *candidate = &search->candidates[number];
    if (query->sort == CANDIDATE_SORT_NUMBER)
        return (double)number;
    if (query->sort == CANDIDATE_SORT_OBJECTIVE)
        return candidate_objective(candidate, query->objective);
    if (!query->reward || candidate->state != CANDIDATE_DONE)
        return candidate->reward;
    struct measures measures = candidate_measures(candidate),
                    baseline = spec_baseline_measures(search->spec);
    if (query->reward->exponent[OBJECTIVE_STEP_TIME] != 0 &&
        isnan(measures.value[OBJECTIVE_STEP_TIME]))
        return NAN;
    return reward_of(query->reward, &measures, &baseline);
}

/* +1 where a higher value goes first. */
static int direction_of(const struct candidate_query *query)
{
    int best_first = query->sort == CANDIDATE_SORT_NUMBER      ? -1
                     : query->sort == CANDIDATE_SORT_OBJECTIVE ? objective_sign(query->objective)
                                                               : 1;
    return query->worst_first ? -best_first : best_first;
}

static void collect(const struct search *search, const struct candidate_query *query,
                    struct page *page)
{
    int direction = direction_of(query);
    struct entry after = {.key = direction * query->after.value, .number = query->after.number};
    for (uint64_t i = 0; i < search->count; i++) {
        if (query->states && !(query->states >> search->candidates[i].state & 1))
            continue;
        double value = value_of(search, i, query);
        struct entry entry = {.value = value, .key = direction * value, .number = i};
        if (isnan(value) || (query->after.set && !goes_before(&after, &entry)))
            continue;
        page_add(page, &entry);
    }
    qsort(page->heap, page->count, sizeof(page->heap[0]), compare_entries);
}

static int show_page(const struct coordinator *coordinator, const struct search *search,
                     const struct candidate_query *query, const struct page *page,
                     coordinator_visit_candidate *visit, void *context)
{
    for (uint32_t i = 0; i < page->count && i < query->limit; i++) {
        struct candidate_view view = view_of(coordinator, search, page->heap[i].number);
        if (query->reward && view.state == CANDIDATE_DONE)
            view.reward = page->heap[i].value;
        int r = visit(context, &view);
        if (r != 0)
            return r;
    }
    return 0;
}

static bool is_valid(const struct candidate_query *query)
{
    return query->limit >= 1 && query->limit <= PAGE_ITEMS_MAX &&
           (query->sort != CANDIDATE_SORT_OBJECTIVE ||
            (unsigned)query->objective < OBJECTIVE_COUNT) &&
           (!query->reward || query->sort == CANDIDATE_SORT_REWARD) &&
           !(query->after.set && isnan(query->after.value));
}

int coordinator_candidates(struct coordinator *coordinator, uint64_t id,
                           const struct candidate_query *query, coordinator_visit_candidate *visit,
                           void *context, struct candidate_cursor *ret_next)
{
    if (!coordinator->readable)
        return coordinator->failure;
    const struct search *search = coordinator_find_search(coordinator, id);
    if (!search)
        return -ENOENT;
    if (!is_valid(query))
        return -EINVAL;
    struct page page = {.capacity = query->limit + 1};
    page.heap = malloc(page.capacity * sizeof(page.heap[0]));
    if (!page.heap)
        return coordinator_check(coordinator, -ENOMEM);
    collect(search, query, &page);
    struct candidate_cursor next = {.set = page.count > query->limit};
    if (next.set) {
        next.value = page.heap[query->limit - 1].value;
        next.number = page.heap[query->limit - 1].number;
    }
    int r = show_page(coordinator, search, query, &page, visit, context);
    free(page.heap);
    if (r == 0)
        *ret_next = next;
    return r;
}
