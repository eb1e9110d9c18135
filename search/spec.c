#include "search/spec.h"

#include <stdlib.h>

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
