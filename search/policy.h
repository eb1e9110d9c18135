/* A policy over encodings: for each stage a softmax over its options, with a logit each, and the gradient of the PPO
 * objective in these logits (Schulman et al., "Proximal Policy Optimization Algorithms", 2017, equation 7).
 *
 * Stage by stage, options after which the limits cannot be met have no probability, so the distribution of a stage depends
 * on the choices before it. Everything is a function of the logits, in one order of additions. */
#ifndef SEARCH_POLICY_H
#define SEARCH_POLICY_H

#include "search/random.h"
#include "search/spec.h"

struct policy {
    const struct spec *spec; /* its space, pricing and constraints */
    uint32_t logit_count;
    uint32_t first[ARCHITECTURE_STAGES_MAX]; /* index of a stage's first logit */
    double *logits;                          /* (logit_count); owns what follows, too */
    double *means, *squares;                 /* (logit_count): Adam's moments */
    double *gradient;                        /* (logit_count) */
    double *probabilities;                   /* (most options of a stage): scratch */
    uint64_t steps;                          /* of Adam */
};

/* One architecture that was tried. */
struct policy_sample {
    struct encoding encoding;
    double log_probability; /* under the policy that proposed it */
    double advantage;
};

struct policy_batch {
    const struct policy_sample *samples;
    size_t count;
    double clip;    /* ratios of probabilities count from 1 - clip to 1 + clip */
    double entropy; /* weight of the stages' summed entropy, in nats */
};

/* All logits are 0: every option that can be taken is equally likely. `spec` must outlive the policy. -ENOMEM. */
int policy_init(struct policy *policy, const struct spec *spec) MUST_USE;
void policy_release(struct policy *policy);

/* Draws an encoding with the logits divided by `temperature`. False where limits that can be met one by one cannot be met
 * together on the way taken. */
bool policy_draw(struct policy *policy, double temperature, struct random_stream *random,
                 struct encoding *ret_encoding);
/* Of an encoding that meets the limits. */
double policy_log_probability(struct policy *policy, const struct encoding *encoding);

/* The mean over the batch of the clipped surrogate plus the weighted entropy; more is better. */
double policy_objective(struct policy *policy, const struct policy_batch *batch);
/* The objective's gradient in the logits, into policy->gradient. */
void policy_differentiate(struct policy *policy, const struct policy_batch *batch);
/* One step of Adam (decays 0.9 and 0.999, epsilon 1e-8) up policy->gradient. */
void policy_ascend(struct policy *policy, double learning_rate);

#endif
