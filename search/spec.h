/* The spec: the JSON text that describes one search, read and resolved. Immutable once parsed.
 *
 * Every field but "dataset" and "space" has a default; docs/spec.md lists them. */
#ifndef SEARCH_SPEC_H
#define SEARCH_SPEC_H

#include "search/dataset.h"
#include "search/objective.h"
#include "search/pareto.h"
#include "search/pricing.h"
#include "search/recipe.h"
#include "search/text.h"

enum {
    SPEC_TEXT_MAX = 1 << 20, /* bytes */
    SPEC_NAME_SIZE = 128,
    SPEC_CANDIDATES_MAX = 1000000,
    SPEC_PARALLEL_MAX = 4096,
    SPEC_PRIORITY_MAX = 1000, /* and as much below 0 */
    SPEC_POPULATION_MAX = 10000,
    SPEC_RANKED_POPULATION_MAX = 500,
    SPEC_MINIBATCH_MAX = 1000,
    STRATEGY_NAME_SIZE = 32
};

struct strategy_options {
    char name[STRATEGY_NAME_SIZE];  /* one of strategy_name */
    uint32_t population;            /* evolution, nsga2 */
    uint32_t sample;                /* evolution: tournament size, at most the population */
    double learning_rate, entropy;  /* policy */
    uint32_t minibatch;             /* policy: results that the policy is changed by at once */
    struct encoding *architectures; /* list: in the order of their training */
    uint32_t architecture_count;
};

struct spec {
    char name[SPEC_NAME_SIZE];
    struct dataset dataset;
    uint64_t train_images, validation_images; /* both taken from the training split */
    struct space *space;
    struct pricing *pricing; /* of the space on the problem */
    char *space_text;        /* the space as JSON, a preset written out */
    enum objective objectives[PARETO_OBJECTIVES_MAX];
    size_t objective_count;
    bool has_reference;
    struct measures
        reference; /* that hypervolumes are measured against: one value an objective of the search */
    struct reward reward;
    struct constraints constraints;
    struct strategy_options strategy;
    uint32_t candidates_max; /* budget */
    uint32_t epochs;         /* a candidate */
    struct recipe recipe;    /* preset and overrides resolved; image_size set */
    struct problem problem;
    struct architecture baseline;
    struct cost baseline_cost;
    uint32_t parallel_max;
    int32_t priority;
    uint64_t seed;
    bool deterministic;
};

/* Finds a data set by name for spec_parse; NULL where unknown. */
struct spec_datasets {
    const struct dataset *(*find)(void *context, const char *name);
    /* One by one, NULL behind the last, so that a refusal can list them. */
    const struct dataset *(*at)(void *context, size_t index);
    void *context;
};

/* Reads and checks the whole text. Refuses unknown and duplicate keys, NaN, too deep nesting, sizes that do not fit the
 * data set, an empty space, and a space in which nothing meets the constraints (naming the limits that bind and the
 * nearest values that would work). `datasets` may be NULL: the well-known ones. -EINVAL with a pointer into the text,
 * -E2BIG, -ENOMEM. In the library archscout_search_json. */
int spec_parse(const char *json, size_t json_length, const struct spec_datasets *datasets,
               struct spec **ret_spec, struct error *error) MUST_USE;
void spec_free(struct spec *spec);

/* Appends the spec with every default resolved, as JSON that spec_parse reads back to the same spec. -ENOMEM, -E2BIG. In
 * the library archscout_search_json. */
int spec_to_json(const struct spec *spec, struct text *text) MUST_USE;

/* True where the costs are within the limits. */
bool spec_feasible(const struct spec *spec, const struct cost *cost);

bool spec_has_objective(const struct spec *spec, enum objective objective);

/* What reward_of divides by: the baseline's costs, and 1 for accuracy, step time and loss. */
struct measures spec_baseline_measures(const struct spec *spec);

/* What hypervolumes are measured against: the spec's reference where it has one for the objective, else its limit, else
 * what is far worse than the baseline. */
double spec_reference(const struct spec *spec, enum objective objective);

#endif
