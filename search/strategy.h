/* Strategies: what proposes the next architecture. ask / tell, without clock, files or random state of their own.
 *
 * Legal order: strategy_new; then, for k = 0, 1, 2, ...: strategy_ask(k) or, on replay, strategy_replay(k); between them
 * any number of strategy_tell in the order in which the observations were accepted. The state is a fold over that
 * sequence, so replaying the stored sequence rebuilds it exactly. strategy_ask is a function of (seed, k, the calls before
 * it). Every proposal meets the spec's constraints and is a different architecture from all before it (told apart by
 * architecture_hash).
 *
 * "list" proposes the spec's architectures in their order, each one once. "grid" steps through all encodings so that any
 * number of steps spreads evenly over them; it learns nothing. Both are the same for every seed.
 *
 * "model" models what was measured and proposes what is expected to improve it most (strategy_model.c).
 *
 * "random" draws encodings uniformly from those that are feasible and new. "evolution" is regularized evolution (Real et
 * al., 2019): the population is the last `population` usable observations, a parent is the best of `sample` drawn from
 * it, its child differs in one stage; the first `population` proposals are random.
 *
 * "local" is local search (White et al., 2020): climbs from random architectures over one-stage neighbours, the first better
 * one being the next centre.
 *
 * "nsga2" is NSGA-II (Deb et al., 2002), one child at a time, over the spec's objectives.
 *
 * "policy" is policy gradient (PPO) over the options of each stage, after MnasNet (Tan et al., 2019).
 *
 * A draw that is not feasible or not new is repeated a bounded number of times; then the first feasible new architecture
 * in the order of encodings is proposed, so that a space of few encodings, or of few that are feasible, is searched to its
 * last architecture. */
#ifndef SEARCH_STRATEGY_H
#define SEARCH_STRATEGY_H

#include "search/spec.h"

struct observation {
    uint64_t candidate;
    bool usable; /* false: infeasible, failed or quarantined; the values below are not set */
    double reward;
    struct measures measures;
};

struct strategy;

const char *strategy_name(size_t index); /* sorted; NULL past the end */

/* `spec` must outlive the strategy. -EINVAL for an unknown name, -ENOMEM. */
int strategy_new(const struct spec *spec, struct strategy **ret_strategy,
                 struct error *error) MUST_USE;
void strategy_free(struct strategy *strategy);

enum { STRATEGY_EXHAUSTED = 1 };
/* Proposes candidate k. 0, STRATEGY_EXHAUSTED when no feasible architecture is left that was not proposed, -EINVAL where
 * k is not the number of proposals so far, -ENOMEM. In a space of more than four million encodings of which more than
 * 65,536 may be feasible, STRATEGY_EXHAUSTED may also mean that random draws and four million steps of an enumeration found
 * nothing new. */
int strategy_ask(struct strategy *strategy, uint64_t k, struct encoding *ret_encoding) MUST_USE;
/* Records that k was proposed earlier as `encoding`. 0, -EINVAL where the encoding is not of the space or k is not the
 * number of proposals so far, -ENOMEM. */
int strategy_replay(struct strategy *strategy, uint64_t k,
                    const struct encoding *encoding) MUST_USE;
/* 0; -EINVAL where the candidate was never proposed; -ENOMEM. An observation that is not usable, or whose reward is not
 * finite, is accepted and teaches nothing: the candidate stays proposed and never becomes a parent. -ENOMEM changes
 * nothing. */
int strategy_tell(struct strategy *strategy, const struct observation *observation) MUST_USE;

/* The candidate to take when no more is trained: of those that were observed, the one that a strategy which models the
 * reward expects the most of, noise taken off; else, and where several objectives are modelled, the one with the largest
 * reward. Changes no later proposal. Takes up to some 100 ms. 0, -ENOENT where nothing usable was observed, -ENOMEM. */
int strategy_recommend(struct strategy *strategy, uint64_t *ret_candidate) MUST_USE;

#define STRATEGY_NO_PARENT UINT64_MAX
/* The candidate that the latest strategy_ask mutated; STRATEGY_NO_PARENT where it drew afresh. */
uint64_t strategy_parent(const struct strategy *strategy);

#endif
