/* The frontiers of a search: a few are kept and fed with the results that came since they were last asked for. */
#include "daemon/search.h"

#include <errno.h>
#include <math.h>

static bool is_over(const struct front *front, const enum objective *objectives, size_t count)
{
    return front->pareto && front->objective_count == count &&
           memcmp(front->objectives, objectives, count * sizeof(objectives[0])) == 0;
}

/* The front over these objectives, or the one to replace: unused or least recently asked for. */
static struct front *find_front(struct search *search, const enum objective *objectives,
                                size_t count)
{
    struct front *oldest = &search->fronts[0];
    for (size_t i = 0; i < SEARCH_FRONTS_MAX; i++) {
        struct front *front = &search->fronts[i];
        if (is_over(front, objectives, count))
            return front;
        if (front->used < oldest->used)
            oldest = front;
    }
    return oldest;
}

static int feed(struct search *search, struct front *front)
{
    for (; front->fed < search->accepted_count; front->fed++) {
        uint64_t number = search->accepted[front->fed];
        const struct candidate *candidate = &search->candidates[number];
        if (candidate->state != CANDIDATE_DONE)
            continue;
        struct pareto_point point = {.candidate = number};
        bool measured = true; /* a step time may be missing */
        for (size_t i = 0; i < front->objective_count; i++) {
            point.value[i] = candidate_objective(candidate, front->objectives[i]);
            measured = measured && !isnan(point.value[i]);
        }
        int r = measured ? pareto_add(front->pareto, &point) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int search_front(struct search *search, const enum objective *objectives, size_t count,
                 struct front **ret_front)
{
    struct front *front = find_front(search, objectives, count);
    if (!is_over(front, objectives, count)) {
        struct pareto *pareto;
        int r = pareto_new(objectives, count, &pareto);
        if (r < 0)
            return r;
        pareto_free(front->pareto);
        *front = (struct front){.objective_count = count, .pareto = pareto};
        memcpy(front->objectives, objectives, count * sizeof(objectives[0]));
    }
    front->used = ++search->front_uses;
    int r = feed(search, front);
    if (r < 0)
        return r;
    *ret_front = front;
    return 0;
}

void search_reference(const struct search *search, const struct front *front,
                      double ret_reference[PARETO_OBJECTIVES_MAX])
{
    for (size_t i = 0; i < front->objective_count; i++)
        ret_reference[i] = spec_reference(search->spec, front->objectives[i]);
}
