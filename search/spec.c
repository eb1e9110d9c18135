#include "search/spec.h"

#include <math.h>
#include <stdlib.h>

/* Where the spec sets no limit, the reference is this many times the baseline: what is worse adds no volume. */
static const double REFERENCE_FACTOR = 4;

void spec_free(struct spec *spec)
{
    if (!spec)
        return;
    pricing_free(spec->pricing);
    space_free(spec->space);
    free(spec->space_text);
    free(spec->strategy.architectures);
    free(spec);
}

bool spec_feasible(const struct spec *spec, const struct cost *cost)
{
    return constraints_met(&spec->constraints, cost);
}

bool spec_has_objective(const struct spec *spec, enum objective objective)
{
    for (size_t i = 0; i < spec->objective_count; i++) {
        if (spec->objectives[i] == objective)
            return true;
    }
    return false;
}

struct measures spec_baseline_measures(const struct spec *spec)
{
    struct measures measures;
    measures.value[OBJECTIVE_ACCURACY] = 1;
    measures.value[OBJECTIVE_STEP_TIME] = 1;
    measures.value[OBJECTIVE_PARAMS] = (double)spec->baseline_cost.params;
    measures.value[OBJECTIVE_MACS] = (double)spec->baseline_cost.macs;
    measures.value[OBJECTIVE_MEMORY] = (double)spec->baseline_cost.activation_bytes;
    measures.value[OBJECTIVE_LOSS] = 1;
    return measures;
}

double spec_reference(const struct spec *spec, enum objective objective)
{
    const struct constraints *limits = &spec->constraints;
    if (spec->has_reference && spec_has_objective(spec, objective))
        return spec->reference.value[objective];
    double baseline = spec_baseline_measures(spec).value[objective];
    switch (objective) {
    case OBJECTIVE_ACCURACY:
        return 0;
    case OBJECTIVE_LOSS:
        return log(spec->dataset.classes); /* of guessing */
    case OBJECTIVE_PARAMS:
        return limits->params_max ? (double)limits->params_max : REFERENCE_FACTOR * baseline;
    case OBJECTIVE_MACS:
        return limits->macs_max ? (double)limits->macs_max : REFERENCE_FACTOR * baseline;
    case OBJECTIVE_MEMORY:
        return limits->memory_max ? (double)limits->memory_max : REFERENCE_FACTOR * baseline;
    default:
        return REFERENCE_FACTOR * baseline;
    }
}
