#include "search/policy.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

int policy_init(struct policy *policy, const struct spec *spec)
{
    uint32_t most = 0, stages = space_stage_count(spec->space);
    *policy = (struct policy){.spec = spec};
    for (uint32_t i = 0; i < stages; i++) {
        uint32_t options = space_option_count(spec->space, i);
        policy->first[i] = policy->logit_count;
        policy->logit_count += options;
        most = options > most ? options : most;
    }
    size_t count = policy->logit_count;
    policy->logits = calloc(4 * count + most, sizeof *policy->logits);
    if (!policy->logits)
        return -ENOMEM;
    policy->means = policy->logits + count;
    policy->squares = policy->means + count;
    policy->gradient = policy->squares + count;
    policy->probabilities = policy->gradient + count;
    return 0;
}

void policy_release(struct policy *policy)
{
    free(policy->logits);
    policy->logits = NULL;
}

/* The next stage's distribution, into policy->probabilities: a softmax over the options after which the limits can still be
 * met. False where there are none. */
static bool distribute(struct policy *policy, const struct walk *walk, double temperature)
{
    const struct spec *spec = policy->spec;
    const double *logits = policy->logits + policy->first[walk->stage];
    double *probabilities = policy->probabilities, largest = -INFINITY, sum = 0;
    uint32_t options = space_option_count(spec->space, walk->stage);
    for (uint32_t i = 0; i < options; i++) {
        bool possible = walk_may_choose(spec->pricing, walk, i, &spec->constraints);
        probabilities[i] = possible ? logits[i] / temperature : -INFINITY;
        largest = fmax(largest, probabilities[i]);
    }
    if (!isfinite(largest))
        return false;
    for (uint32_t i = 0; i < options; i++) {
        probabilities[i] = exp(probabilities[i] - largest);
        sum += probabilities[i];
    }
    for (uint32_t i = 0; i < options; i++)
        probabilities[i] /= sum;
    return true;
}

bool policy_draw(struct policy *policy, double temperature, struct random_stream *random,
                 struct encoding *ret_encoding)
{
    const struct spec *spec = policy->spec;
    struct walk walk = walk_start(spec->pricing);
    *ret_encoding = (struct encoding){{0}};
    while (walk.stage < space_stage_count(spec->space)) {
        if (!distribute(policy, &walk, temperature))
            return false;
        double left = random_unit(random);
        uint32_t chosen = UINT32_MAX;
        for (uint32_t i = 0; i < space_option_count(spec->space, walk.stage); i++) {
            if (policy->probabilities[i] <= 0)
                continue;
            chosen = i; /* the last possible one where rounding leaves some of the unit */
            left -= policy->probabilities[i];
            if (left < 0)
                break;
        }
        ret_encoding->choices[walk.stage] = (uint16_t)chosen;
        walk_choose(spec->pricing, &walk, chosen);
    }
    return true;
}

double policy_log_probability(struct policy *policy, const struct encoding *encoding)
{
    const struct spec *spec = policy->spec;
    struct walk walk = walk_start(spec->pricing);
    double log_probability = 0;
    while (walk.stage < space_stage_count(spec->space)) {
        bool possible = distribute(policy, &walk, 1);
        assert(possible);
        log_probability += log(policy->probabilities[encoding->choices[walk.stage]]);
        walk_choose(spec->pricing, &walk, encoding->choices[walk.stage]);
    }
    return log_probability;
}

/* Of the distribution in policy->probabilities. */
static double stage_entropy(const struct policy *policy, uint32_t options)
{
    double entropy = 0;
    for (uint32_t i = 0; i < options; i++) {
        double probability = policy->probabilities[i];
        if (probability > 0)
            entropy -= probability * log(probability);
    }
    return entropy;
}

/* Of the stages on the way of an encoding. */
static double way_entropy(struct policy *policy, const struct encoding *encoding)
{
    const struct spec *spec = policy->spec;
    struct walk walk = walk_start(spec->pricing);
    double entropy = 0;
    while (walk.stage < space_stage_count(spec->space)) {
        bool possible = distribute(policy, &walk, 1);
        assert(possible);
        entropy += stage_entropy(policy, space_option_count(spec->space, walk.stage));
        walk_choose(spec->pricing, &walk, encoding->choices[walk.stage]);
    }
    return entropy;
}

/* The surrogate of one sample, and its slope in the log probability. */
static double surrogate(const struct policy_batch *batch, const struct policy_sample *sample,
                        double log_probability, double *ret_slope)
{
    double ratio = exp(log_probability - sample->log_probability);
    double clipped = fmin(fmax(ratio, 1 - batch->clip), 1 + batch->clip);
    double plain = ratio * sample->advantage, limited = clipped * sample->advantage;
    *ret_slope = plain <= limited ? plain : 0;
    return fmin(plain, limited);
}

double policy_objective(struct policy *policy, const struct policy_batch *batch)
{
    double sum = 0, slope;
    for (size_t i = 0; i < batch->count; i++) {
        const struct policy_sample *sample = &batch->samples[i];
        double log_probability = policy_log_probability(policy, &sample->encoding);
        sum += surrogate(batch, sample, log_probability, &slope);
        sum += batch->entropy * way_entropy(policy, &sample->encoding);
    }
    return sum / (double)batch->count;
}

/* Adds the gradient of slope x log p(choice) + weight x entropy in one stage's logits, from policy->probabilities. */
static void stage_differentiate(struct policy *policy, uint32_t stage, uint32_t choice,
                                double slope, double weight)
{
    uint32_t options = space_option_count(policy->spec->space, stage);
    double *gradient = policy->gradient + policy->first[stage];
    double entropy = stage_entropy(policy, options);
    for (uint32_t i = 0; i < options; i++) {
        double probability = policy->probabilities[i];
        gradient[i] += slope * ((i == choice ? 1 : 0) - probability);
        if (probability > 0)
            gradient[i] -= weight * probability * (log(probability) + entropy);
    }
}

void policy_differentiate(struct policy *policy, const struct policy_batch *batch)
{
    const struct spec *spec = policy->spec;
    const double share = 1 / (double)batch->count;
    for (uint32_t i = 0; i < policy->logit_count; i++)
        policy->gradient[i] = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct policy_sample *sample = &batch->samples[i];
        struct walk walk = walk_start(spec->pricing);
        double slope, log_probability = policy_log_probability(policy, &sample->encoding);
        (void)surrogate(batch, sample, log_probability, &slope);
        while (walk.stage < space_stage_count(spec->space)) {
            uint16_t choice = sample->encoding.choices[walk.stage];
            bool possible = distribute(policy, &walk, 1);
            assert(possible);
            stage_differentiate(policy, walk.stage, choice, share * slope, share * batch->entropy);
            walk_choose(spec->pricing, &walk, choice);
        }
    }
}

void policy_ascend(struct policy *policy, double learning_rate)
{
    static const double decay_mean = 0.9, decay_square = 0.999, epsilon = 1e-8;
    policy->steps++;
    double mean_share = 1 - pow(decay_mean, (double)policy->steps);
    double square_share = 1 - pow(decay_square, (double)policy->steps);
    for (uint32_t i = 0; i < policy->logit_count; i++) {
        double slope = policy->gradient[i];
        policy->means[i] = decay_mean * policy->means[i] + (1 - decay_mean) * slope;
        policy->squares[i] = decay_square * policy->squares[i] + (1 - decay_square) * slope * slope;
        policy->logits[i] += learning_rate * (policy->means[i] / mean_share) /
                             (sqrt(policy->squares[i] / square_share) + epsilon);
    }
}
