/* Bayesian optimisation (Jones et al. 1998; for several objectives Emmerich et al. 2006): what was measured is modelled by
 * Gaussian processes over the features of architectures (search/surrogate.h), and the architecture of the largest expected
 * improvement that climbs find is proposed. With one objective it is the reward that improves; with more, the hypervolume:
 * parameters, multiply-adds and memory are known exactly, everything else is modelled.
 *
 * What is being trained counts as measured with the model's mean, so that proposals made at the same time differ (Ginsbourger
 * et al. 2010).
 *
 * The work of a proposal is bounded, whatever was observed: a model is made of at most MODEL_POINTS results, its weights are
 * those that at most FIT_POINTS of the first m results make likely, m growing by an eighth at a time, and at most
 * EVALUATIONS architectures are looked at. Everything is a function of the observations and of what is being trained;
 * what the state keeps beyond them saves time only, so replaying gives the same proposals. */
#include "search/acquisition.h"
#include "search/climb.h"
#include "search/model_results.h"
#include "search/strategy_kind.h"
#include "search/surrogate.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    INITIAL = 10,         /* random proposals before the model's */
    OBSERVED_MIN = 4,     /* usable observations that a model needs */
    FIT_EVERY = 40,       /* up to so many observations each has its own fit */
    FIT_POINTS = 80,      /* results that weights are fitted to */
    FIT_POINTS_WIDE = 64, /* where there are more than SLOTS_WIDE slots */
    SLOTS_WIDE = 16,
    MODEL_POINTS = 208,
    RECENT_POINTS = 16, /* of them are added one by one before the rest is chosen anew */
    PENDING_MAX = SURROGATE_POINTS_MAX - MODEL_POINTS,
    PENDING_LOOKED_AT =
        8 * PENDING_MAX, /* latest proposals among which it is looked for what is being trained */
    RANDOM_STARTS = 24,
    CLIMBS = 8,
    EVALUATIONS = 256, /* architectures looked at, divided by the modelled quantities */
    TOURNAMENT = 32,
    RECOMMEND_POINTS = SURROGATE_FIT_POINTS_MAX,
};

/* A quantity that is modelled or known. */
struct quantity {
    bool modelled;
    enum objective objective;    /* OBJECTIVE_COUNT: the reward */
    struct surrogate *surrogate; /* NULL unless modelled */
    struct warp warp;
    uint32_t fitted;               /* results that its weights come from */
    struct model_selection loaded; /* results that its surrogate holds, with those weights */
};

struct model {
    struct features features;
    struct quantity quantities[GOODNESS_MAX];
    uint32_t quantity_count; /* 1: the reward */
    uint32_t modelled_count;
    struct model_selection
        chosen; /* of more than MODEL_POINTS, from the first chosen_of; 0: not yet */
    uint32_t chosen_of;
    struct model_results results;
    struct pareto *pareto; /* of the results, over spec->objectives; NULL with one quantity */
    double worst[GOODNESS_MAX], finest[GOODNESS_MAX]; /* of the first INITIAL results */
    struct front front;
    double best; /* one quantity: the largest mean at a measured point */
    struct climb climb;
};

static void model_free(void *state)
{
    struct model *model = state;
    if (!model)
        return;
    for (uint32_t i = 0; i < model->quantity_count; i++)
        surrogate_free(model->quantities[i].surrogate);
    model_results_release(&model->results);
    pareto_free(model->pareto);
    free(model);
}

static bool is_exact(enum objective objective)
{
    return objective == OBJECTIVE_PARAMS || objective == OBJECTIVE_MACS ||
           objective == OBJECTIVE_MEMORY;
}

/* Modelled quantities come first. */
static void quantities_choose(struct model *model, const struct spec *spec)
{
    if (spec->objective_count == 1) {
        model->quantities[0] = (struct quantity){.modelled = true, .objective = OBJECTIVE_COUNT};
        model->quantity_count = 1;
        return;
    }
    for (int exact = 0; exact <= 1; exact++)
        for (size_t i = 0; i < spec->objective_count; i++)
            if (is_exact(spec->objectives[i]) == (exact == 1))
                model->quantities[model->quantity_count++] =
                    (struct quantity){.modelled = !exact, .objective = spec->objectives[i]};
}

static int model_new(const struct spec *spec, void **ret_state)
{
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return -ENOMEM;
    features_init(&model->features, spec->space, spec->pricing);
    quantities_choose(model, spec);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < model->quantity_count; i++) {
        model->worst[i] = INFINITY;
        model->finest[i] = -INFINITY;
        if (!model->quantities[i].modelled)
            continue;
        model->modelled_count++;
        r = surrogate_new(&model->features, &model->quantities[i].surrogate);
    }
    if (r == 0 && model->quantity_count > 1)
        r = pareto_new(spec->objectives, spec->objective_count, &model->pareto);
    if (r < 0) {
        model_free(model);
        return r;
    }
    *ret_state = model;
    return 0;
}

/* ---- observations ---- */

static double goodness_of_measures(enum objective objective, const struct measures *measures)
{
    return objective_sign(objective) * measures->value[objective];
}

static struct pareto_point point_of(const struct spec *spec, const struct observation *observation)
{
    struct pareto_point point = {.candidate = observation->candidate};
    for (size_t i = 0; i < spec->objective_count; i++)
        point.value[i] = observation->measures.value[spec->objectives[i]];
    return point;
}

static bool is_finite(const struct model *model, const double *goodness)
{
    bool finite = true;
    for (uint32_t i = 0; i < model->quantity_count; i++)
        finite = finite && isfinite(goodness[i]);
    return finite;
}

static void note_first(struct model *model, const double *goodness)
{
    for (uint32_t i = 0; i < model->quantity_count; i++) {
        model->worst[i] = fmin(model->worst[i], goodness[i]);
        model->finest[i] = fmax(model->finest[i], goodness[i]);
    }
}

static int learn(struct strategy *strategy, const struct observation *observation)
{
    struct model *model = strategy->state;
    double goodness[GOODNESS_MAX] = {observation->reward};
    for (uint32_t i = 0; i < model->quantity_count && model->quantity_count > 1; i++)
        goodness[i] = goodness_of_measures(model->quantities[i].objective, &observation->measures);
    const bool usable =
        observation->usable && isfinite(observation->reward) && is_finite(model, goodness);
    int r = model_results_reserve(&model->results, observation->candidate);
    if (r == 0 && usable && model->pareto) {
        const struct pareto_point point = point_of(strategy->spec, observation);
        r = pareto_add(model->pareto, &point);
    }
    if (r < 0)
        return r;
    if (usable && model->results.count < INITIAL)
        note_first(model, goodness);
    model_results_add(&model->results, observation->candidate, usable ? goodness : NULL);
    return 0;
}

/* ---- models ---- */

static void vector_of(const struct strategy *strategy, uint64_t candidate,
                      struct feature_vector *ret_vector)
{
    const struct model *model = strategy->state;
    struct encoding encoding;
    proposals_get(&strategy->proposals, candidate, &encoding);
    features_of(&model->features, &encoding, ret_vector);
}

/* Has the surrogate hold the selected results; those at its beginning that it has stay. */
static void load(const struct strategy *strategy, struct quantity *quantity,
                 const struct model_selection *selection)
{
    const struct model *model = strategy->state;
    uint32_t same = 0;
    while (same < quantity->loaded.count && same < selection->count &&
           quantity->loaded.items[same] == selection->items[same])
        same++;
    surrogate_truncate(quantity->surrogate, same);
    for (uint32_t i = same; i < selection->count; i++) {
        struct feature_vector vector;
        vector_of(strategy, model->results.items[selection->items[i]].candidate, &vector);
        surrogate_add(quantity->surrogate, &vector);
    }
    quantity->loaded = *selection;
}

/* The loaded results in the model's scale, which they decide. */
static void warped_values(struct model *model, uint32_t index, double *ret_values)
{
    struct quantity *quantity = &model->quantities[index];
    double goodness[SURROGATE_POINTS_MAX];
    for (uint32_t i = 0; i < quantity->loaded.count; i++)
        goodness[i] = model->results.items[quantity->loaded.items[i]].goodness[index];
    quantity->warp = warp_of(goodness, quantity->loaded.count,
                             quantity->objective == OBJECTIVE_STEP_TIME, ret_values);
    for (uint32_t i = 0; i < quantity->loaded.count; i++)
        ret_values[i] = warp_forward(&quantity->warp, goodness[i]);
}

/* The last number of results up to `count` whose weights are in use. */
static uint32_t fit_count(uint32_t count)
{
    uint32_t at = FIT_EVERY;
    if (count <= FIT_EVERY)
        return count;
    while (at + at / 8 <= count)
        at += at / 8;
    return at;
}

/* Quantities are fitted at different counts, so that no proposal waits for more than one large fit. */
static int fit_when_due(struct strategy *strategy, uint32_t index)
{
    struct model *model = strategy->state;
    struct quantity *quantity = &model->quantities[index];
    struct model_selection selection;
    double values[SURROGATE_POINTS_MAX];
    const uint32_t points = model->features.slot_count > SLOTS_WIDE ? FIT_POINTS_WIDE : FIT_POINTS;
    const uint32_t due = fit_count(model->results.count - index);
    if (quantity->fitted == due)
        return 0;
    int r = model_results_select(&model->results, due, model->quantity_count, points, &selection);
    if (r < 0)
        return r;
    load(strategy, quantity, &selection);
    warped_values(model, index, values);
    surrogate_fit(quantity->surrogate, values);
    quantity->fitted = due;
    return 0;
}

/* What is being trained, the latest PENDING_MAX. */
static uint32_t find_pending(const struct strategy *strategy, uint64_t *ret_candidates)
{
    const struct model *model = strategy->state;
    const uint64_t asked = strategy->proposals.count;
    uint32_t count = 0;
    for (uint64_t i = 1; i <= asked && i <= PENDING_LOOKED_AT && count < PENDING_MAX; i++)
        if (!model_results_told(&model->results, asked - i))
            ret_candidates[count++] = asked - i;
    return count;
}

/* Models a quantity by the selected results, and returns the largest mean at a measured or expected point. */
static double quantity_condition(const struct strategy *strategy, uint32_t index,
                                 const struct model_selection *selection)
{
    struct model *model = strategy->state;
    struct quantity *quantity = &model->quantities[index];
    uint64_t pending[PENDING_MAX];
    struct feature_vector vector;
    double values[SURROGATE_POINTS_MAX], best = -INFINITY, mean, deviation;
    load(strategy, quantity, selection);
    warped_values(model, index, values);
    surrogate_condition(quantity->surrogate, values, selection->count);
    for (uint32_t i = 0; i < selection->count; i++)
        best = fmax(best, surrogate_smoothed(quantity->surrogate, i));
    const uint32_t count = find_pending(strategy, pending);
    for (uint32_t i = 0; i < count; i++) {
        vector_of(strategy, pending[i], &vector);
        surrogate_predict(quantity->surrogate, &vector, &mean, &deviation);
        best = fmax(best, mean);
    }
    for (uint32_t i = 0; i < count; i++) {
        vector_of(strategy, pending[i], &vector);
        surrogate_add(quantity->surrogate, &vector);
    }
    surrogate_condition(quantity->surrogate, values, selection->count);
    return best;
}

/* All results; of more than MODEL_POINTS a choice among the first, renewed every RECENT_POINTS, and all after them. */
static int select_results(struct model *model, struct model_selection *ret_selection)
{
    const uint32_t count = model->results.count;
    const uint32_t first = count - count % RECENT_POINTS;
    if (count <= MODEL_POINTS)
        return model_results_select(&model->results, count, model->quantity_count, MODEL_POINTS,
                                    ret_selection);
    if (model->chosen_of != first) {
        int r = model_results_select(&model->results, first, model->quantity_count,
                                     MODEL_POINTS - RECENT_POINTS, &model->chosen);
        if (r < 0)
            return r;
        model->chosen_of = first;
    }
    *ret_selection = model->chosen;
    for (uint32_t i = first; i < count; i++)
        ret_selection->items[ret_selection->count++] = i;
    return 0;
}

/* Without one of the spec's own: what is worse than the first results by a quarter of their range. */
static double reference_of(const struct strategy *strategy, uint32_t index)
{
    const struct model *model = strategy->state;
    const enum objective objective = model->quantities[index].objective;
    if (strategy->spec->has_reference)
        return goodness_of_measures(objective, &strategy->spec->reference);
    return model->worst[index] - (model->finest[index] - model->worst[index]) / 4;
}

static void find_front(const struct strategy *strategy, uint64_t k)
{
    struct model *model = strategy->state;
    const struct spec *spec = strategy->spec;
    const struct pareto_point *points = pareto_points(model->pareto);
    const uint32_t all = (uint32_t)pareto_count(model->pareto);
    const uint32_t step = (all + ACQUISITION_FRONT_MAX - 1) / ACQUISITION_FRONT_MAX;
    double goodness[ACQUISITION_FRONT_MAX][GOODNESS_MAX] = {{0}}, reference[GOODNESS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < all; i += step, count++) {
        struct measures measures = {{0}};
        for (size_t j = 0; j < spec->objective_count; j++)
            measures.value[spec->objectives[j]] = points[i].value[j];
        for (uint32_t q = 0; q < model->quantity_count; q++)
            goodness[count][q] = goodness_of_measures(model->quantities[q].objective, &measures);
    }
    for (uint32_t q = 0; q < model->quantity_count; q++)
        reference[q] = reference_of(strategy, q);
    front_init(&model->front, (const double(*)[GOODNESS_MAX])goodness, count, reference,
               model->quantity_count, spec->seed ^ k << 32);
}

/* What acquisition needs. */
static int prepare(struct strategy *strategy, uint64_t k)
{
    struct model *model = strategy->state;
    struct model_selection selection;
    int r = select_results(model, &selection);
    for (uint32_t i = 0; r == 0 && i < model->quantity_count; i++) {
        if (!model->quantities[i].modelled)
            continue;
        r = fit_when_due(strategy, i);
        if (r == 0)
            model->best = quantity_condition(strategy, i, &selection);
    }
    if (r == 0 && model->quantity_count > 1)
        find_front(strategy, k);
    return r;
}

/* ---- acquisition ---- */

static void outlook_of(const struct strategy *strategy, const struct encoding *encoding,
                       struct outlook *ret_outlook)
{
    const struct model *model = strategy->state;
    const struct cost cost = pricing_cost(strategy->spec->pricing, encoding);
    const struct measures costs = {.value = {[OBJECTIVE_PARAMS] = (double)cost.params,
                                             [OBJECTIVE_MACS] = (double)cost.macs,
                                             [OBJECTIVE_MEMORY] = (double)cost.activation_bytes}};
    struct feature_vector vector;
    features_of(&model->features, encoding, &vector);
    for (uint32_t i = 0; i < model->quantity_count; i++) {
        const struct quantity *quantity = &model->quantities[i];
        ret_outlook->mean[i] = ret_outlook->deviation[i] = 0;
        if (quantity->modelled)
            surrogate_predict(quantity->surrogate, &vector, &ret_outlook->mean[i],
                              &ret_outlook->deviation[i]);
        else
            ret_outlook->mean[i] = goodness_of_measures(quantity->objective, &costs);
    }
}

static double acquisition(void *context, const struct encoding *encoding)
{
    const struct strategy *strategy = context;
    const struct model *model = strategy->state;
    struct outlook outlook;
    struct warp warps[GOODNESS_MAX];
    outlook_of(strategy, encoding, &outlook);
    if (model->quantity_count == 1)
        return improvement_expected(outlook.mean[0], outlook.deviation[0], model->best);
    for (uint32_t i = 0; i < model->quantity_count; i++)
        warps[i] = model->quantities[i].warp;
    return front_improvement(&model->front, warps, &outlook);
}

/* ---- choosing ---- */

static int by_value(const void *a, const void *b)
{
    const double x = ((const struct climb_place *)a)->value;
    const double y = ((const struct climb_place *)b)->value;
    return (x < y) - (x > y);
}

/* The best of some results by goodnesses weighed at random. */
static uint64_t good_candidate(const struct model *model, struct random_stream *random)
{
    double weights[GOODNESS_MAX] = {1}, most = -INFINITY;
    uint64_t candidate = model->results.items[0].candidate;
    for (uint32_t q = 0; q < model->quantity_count && model->quantity_count > 1; q++)
        weights[q] = random_unit(random) / model->front.range[q];
    for (int i = 0; i < TOURNAMENT; i++) {
        const struct model_result *result =
            &model->results.items[random_below(random, model->results.count)];
        double sum = 0;
        for (uint32_t q = 0; q < model->quantity_count; q++)
            sum += weights[q] * result->goodness[q];
        if (sum > most) {
            most = sum;
            candidate = result->candidate;
        }
    }
    return candidate;
}

/* Random places, the best first; how many. Where chance finds nothing new, drawing ends. -ENOMEM. */
static int draw_places(struct strategy *strategy, struct climb *climb,
                       struct climb_place *ret_places)
{
    int count = 0;
    for (; count < RANDOM_STARTS; count++) {
        struct climb_place *place = &ret_places[count];
        int r = proposals_draw(&strategy->proposals, climb->random, &place->encoding);
        if (r < 0)
            return r;
        if (r > 0)
            break;
        if (count > 0 && memcmp(&place->encoding, &place[-1].encoding, sizeof place->encoding) == 0)
            break;
        place->value = climb_value(climb, &place->encoding);
    }
    qsort(ret_places, (size_t)count, sizeof *ret_places, by_value);
    return count;
}

/* The best place that climbs from random places and from good results find; -INFINITY where there is none. -ENOMEM. */
static int find_place(struct strategy *strategy, struct random_stream *random,
                      struct climb_place *ret_best)
{
    struct model *model = strategy->state;
    struct climb *climb = &model->climb;
    struct climb_place drawn[RANDOM_STARTS], best = {.value = -INFINITY};
    memset(climb->hashes, 0, sizeof climb->hashes);
    climb->proposals = &strategy->proposals;
    climb->random = random;
    climb->value = acquisition;
    climb->context = strategy;
    climb->evaluations_left = EVALUATIONS / model->modelled_count;
    const int drawn_count = draw_places(strategy, climb, drawn);
    if (drawn_count < 0)
        return drawn_count;
    for (int i = 0; i < CLIMBS; i++) {
        struct climb_place place = {.value = -INFINITY};
        if (i % 2 == 0 && i / 2 < drawn_count)
            place = drawn[i / 2];
        else
            proposals_get(&strategy->proposals, good_candidate(model, random), &place.encoding);
        climb_from(climb, &place);
        if (place.value > best.value)
            best = place;
    }
    *ret_best = best;
    return 0;
}

static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    const struct model *model = strategy->state;
    struct random_stream draws = random_stream_of(strategy->spec->seed, k, RANDOM_PROPOSAL);
    struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_CLIMB);
    if (k < INITIAL || model->results.count < OBSERVED_MIN)
        return proposals_draw(&strategy->proposals, &draws, ret_encoding);
    int r = prepare(strategy, k);
    if (r < 0)
        return r;
    struct climb_place best;
    r = find_place(strategy, &random, &best);
    if (r < 0)
        return r;
    if (!(best.value > 0))
        return proposals_draw(&strategy->proposals, &draws, ret_encoding);
    *ret_encoding = best.encoding;
    return 0;
}

static void standardized_values(const struct model *model, const struct model_selection *selection,
                                double *ret_values)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < selection->count; i++)
        sum += model->results.items[selection->items[i]].goodness[0];
    const double middle = sum / selection->count;
    for (uint32_t i = 0; i < selection->count; i++) {
        ret_values[i] = model->results.items[selection->items[i]].goodness[0] - middle;
        squares += ret_values[i] * ret_values[i];
    }
    for (uint32_t i = 0; i < selection->count && squares > 0; i++)
        ret_values[i] /= sqrt(squares / selection->count);
}

/* Of the best results, by a model of them in their own scale. What the model does not explain is noise or a merit that the
 * features do not show; without repeated trainings nothing tells which, so half of it is believed. */
static int recommend(struct strategy *strategy, uint64_t *ret_candidate)
{
    const struct model *model = strategy->state;
    struct model_selection selection;
    struct surrogate *surrogate = NULL;
    double values[SURROGATE_POINTS_MAX], most = -INFINITY;
    uint64_t candidate = strategy->best;
    if (model->quantity_count > 1 || model->results.count < OBSERVED_MIN) {
        *ret_candidate = candidate;
        return 0;
    }
    int r = model_results_best(&model->results, RECOMMEND_POINTS, &selection);
    if (r == 0)
        r = surrogate_new(&model->features, &surrogate);
    if (r < 0)
        return r;
    standardized_values(model, &selection, values);
    for (uint32_t i = 0; i < selection.count; i++) {
        struct feature_vector vector;
        vector_of(strategy, model->results.items[selection.items[i]].candidate, &vector);
        surrogate_add(surrogate, &vector);
    }
    surrogate_fit(surrogate, values);
    surrogate_condition(surrogate, values, selection.count);
    for (uint32_t i = 0; i < selection.count; i++) {
        const double expected = (values[i] + surrogate_smoothed(surrogate, i)) / 2;
        if (expected > most) {
            most = expected;
            candidate = model->results.items[selection.items[i]].candidate;
        }
    }
    surrogate_free(surrogate);
    *ret_candidate = candidate;
    return 0;
}

const struct strategy_kind strategy_model = {.name = "model",
                                             .state_new = model_new,
                                             .state_free = model_free,
                                             .propose = propose,
                                             .learn = learn,
                                             .recommend = recommend};
