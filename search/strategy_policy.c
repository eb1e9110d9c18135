/* Reinforcement learning with PPO, as MnasNet (Tan et al., 2019) and EfficientNetV2 (Tan and Le, 2021) search: the policy is
 * changed so that what earned more than usual, by an average of the rewards before, becomes more likely.
 *
 * Their controller is an LSTM of 100 units that sees a few thousand architectures. Here each stage has logits of its own:
 * with budgets of hundreds there is not enough to learn dependences between the stages from, and the state stays small and
 * its replay quick. */
#include "search/policy.h"
#include "search/strategy_kind.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    DRAWS_MAX = 16, /* from the policy before one by chance */
    PASSES = 4,     /* over a minibatch */
    CAPACITY_MIN = 64
};

struct controller {
    struct policy policy;
    double *log_probabilities; /* of each candidate, under the policy that proposed it */
    uint64_t capacity;
    bool has_baseline;
    double baseline; /* average of the rewards so far, weighted towards the latest */
    uint32_t size, used;
    struct policy_sample minibatch[];
};

static void controller_free(void *state)
{
    struct controller *controller = state;
    policy_release(&controller->policy);
    free(controller->log_probabilities);
    free(controller);
}

static int controller_new(const struct spec *spec, void **ret_state)
{
    uint32_t size = spec->strategy.minibatch;
    struct controller *controller =
        calloc(1, sizeof *controller + size * sizeof controller->minibatch[0]);
    if (!controller)
        return -ENOMEM;
    controller->size = size;
    if (policy_init(&controller->policy, spec) < 0) {
        controller_free(controller);
        return -ENOMEM;
    }
    *ret_state = controller;
    return 0;
}

/* The more draws were in vain, because what the policy likes was proposed already, the flatter it is drawn from. */
static int propose(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding)
{
    struct controller *controller = strategy->state;
    struct random_stream random = random_stream_of(strategy->spec->seed, k, RANDOM_POLICY);
    for (int i = 0; i < DRAWS_MAX; i++) {
        double temperature = 1 + (double)i / 4;
        if (policy_draw(&controller->policy, temperature, &random, ret_encoding) &&
            proposals_allow(&strategy->proposals, ret_encoding))
            return 0;
    }
    random = random_stream_of(strategy->spec->seed, k, RANDOM_PROPOSAL);
    return proposals_draw(&strategy->proposals, &random, ret_encoding);
}

static int reserve(struct strategy *strategy, uint64_t k)
{
    struct controller *controller = strategy->state;
    if (k < controller->capacity)
        return 0;
    uint64_t capacity = controller->capacity > 0 ? controller->capacity * 2 : CAPACITY_MIN;
    double *grown = realloc(controller->log_probabilities, capacity * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    controller->log_probabilities = grown;
    controller->capacity = capacity;
    return 0;
}

static void added(struct strategy *strategy, uint64_t k)
{
    struct controller *controller = strategy->state;
    struct encoding encoding;
    proposals_get(&strategy->proposals, k, &encoding);
    controller->log_probabilities[k] = policy_log_probability(&controller->policy, &encoding);
}

/* Rewards may lie close together, so that advantages are measured in their own root mean square. */
static void scale_advantages(struct controller *controller)
{
    double squares = 0;
    for (uint32_t i = 0; i < controller->used; i++)
        squares += controller->minibatch[i].advantage * controller->minibatch[i].advantage;
    double scale = sqrt(squares / controller->used);
    for (uint32_t i = 0; i < controller->used && scale > 0; i++)
        controller->minibatch[i].advantage /= scale;
}

static int learn(struct strategy *strategy, const struct observation *observation)
{
    static const double baseline_decay = 0.95, clip = 0.2; /* MnasNet's; Schulman et al.'s */
    struct controller *controller = strategy->state;
    const struct strategy_options *options = &strategy->spec->strategy;
    if (!observation->usable || !isfinite(observation->reward))
        return 0;
    if (!controller->has_baseline)
        controller->baseline = observation->reward;
    controller->has_baseline = true;
    struct policy_sample *sample = &controller->minibatch[controller->used++];
    proposals_get(&strategy->proposals, observation->candidate, &sample->encoding);
    sample->log_probability = controller->log_probabilities[observation->candidate];
    sample->advantage = observation->reward - controller->baseline;
    controller->baseline += (1 - baseline_decay) * sample->advantage;
    if (controller->used < controller->size)
        return 0;
    scale_advantages(controller);
    const struct policy_batch batch = {controller->minibatch, controller->used, clip,
                                       options->entropy};
    for (int i = 0; i < PASSES; i++) {
        policy_differentiate(&controller->policy, &batch);
        policy_ascend(&controller->policy, options->learning_rate);
    }
    controller->used = 0;
    return 0;
}

const struct strategy_kind strategy_policy = {.name = "policy",
                                              .state_new = controller_new,
                                              .state_free = controller_free,
                                              .propose = propose,
                                              .reserve = reserve,
                                              .added = added,
                                              .learn = learn};
