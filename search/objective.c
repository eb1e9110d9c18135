#include "search/objective.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

struct objective_facts {
    const char *name;
    int sign;
};

static const struct objective_facts facts[OBJECTIVE_COUNT] = {
    [OBJECTIVE_ACCURACY] = {"accuracy", +1}, [OBJECTIVE_STEP_TIME] = {"step_time", -1},
    [OBJECTIVE_PARAMS] = {"params", -1},     [OBJECTIVE_MACS] = {"macs", -1},
    [OBJECTIVE_MEMORY] = {"memory", -1},     [OBJECTIVE_LOSS] = {"loss", -1},
};

const char *objective_name(enum objective objective)
{
    assert(objective < OBJECTIVE_COUNT);
    return facts[objective].name;
}

int objective_from_name(const char *name, enum objective *ret_objective)
{
    for (size_t i = 0; i < OBJECTIVE_COUNT; i++) {
        if (strcmp(name, facts[i].name) == 0) {
            *ret_objective = (enum objective)i;
            return 0;
        }
    }
    return -EINVAL;
}

int objective_sign(enum objective objective)
{
    assert(objective < OBJECTIVE_COUNT);
    return facts[objective].sign;
}

double reward_of(const struct reward *reward, const struct measures *measures,
                 const struct measures *baseline)
{
    double product = 1;
    for (size_t i = 0; i < OBJECTIVE_COUNT; i++) {
        double exponent = reward->exponent[i];
        if (exponent == 0)
            continue;
        double base = measures->value[i];
        if (i != OBJECTIVE_ACCURACY)
            base /= baseline->value[i];
        product *= pow(base, exponent);
    }
    return isfinite(product) ? product : 0;
}
