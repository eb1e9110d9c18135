/* A Gaussian process over features: the model that the "model" strategy has of a measured quantity.
 *
 * Covariance: a constant, a linear part in the trends (logarithms of the exact costs), and Matern 5/2 over the features with
 * a weight for each slot (Rasmussen and Williams 2006, sections 2.7, 4.2 and 5.4). The scale is the most likely one given the
 * weights; weights and noise are the most likely ones under log-normal priors, found by a fixed number of Rprop steps from
 * the priors' middle, so that they are a function of the points alone.
 *
 * Order: surrogate_add some points; surrogate_fit; then, any number of times: surrogate_truncate and surrogate_add,
 * surrogate_condition, surrogate_predict. All numbers depend on points, values and their order only, not on whether they
 * were added at once or one by one. The time of surrogate_fit grows with the cube of the points, that of
 * surrogate_predict and of a point added with their square. */
#ifndef SEARCH_SURROGATE_H
#define SEARCH_SURROGATE_H

#include "search/features.h"

enum {
    SURROGATE_POINTS_MAX = 256,
    SURROGATE_FIT_POINTS_MAX = 208,
    SURROGATE_WEIGHTS_MAX = ARCHITECTURE_STAGES_MAX + 1
};

struct surrogate;

/* `features` must outlive the surrogate. -ENOMEM. */
int surrogate_new(const struct features *features, struct surrogate **ret_surrogate) MUST_USE;
void surrogate_free(struct surrogate *surrogate);

/* Forgets all points but the first `count`; keeps weights and noise. */
void surrogate_truncate(struct surrogate *surrogate, uint32_t count);
/* At most SURROGATE_POINTS_MAX points. */
void surrogate_add(struct surrogate *surrogate, const struct feature_vector *x);
uint32_t surrogate_count(const struct surrogate *surrogate);

/* Weights and noise from the points, at most SURROGATE_FIT_POINTS_MAX, and one finite value each, of the order of 1. */
void surrogate_fit(struct surrogate *surrogate, const double *values);

/* Makes predictions from the first `known` points, which were measured as `values`, with noise. The points after them are
 * expected to be measured, without noise, as what the model says, so that they narrow deviations only. */
void surrogate_condition(struct surrogate *surrogate, const double *values, uint32_t known);
/* Mean and standard deviation at x, without noise. */
void surrogate_predict(const struct surrogate *surrogate, const struct feature_vector *x,
                       double *ret_mean, double *ret_deviation);
/* The mean at measured point i. */
double surrogate_smoothed(const struct surrogate *surrogate, uint32_t i);

/* What surrogate_fit makes small: minus the logarithm of the values' likelihood, less constants, and of the prior; and its
 * gradient in the logarithms of the slots' weights and the noise (features.slot_count + 1 of them). */
double surrogate_loss(struct surrogate *surrogate, const double *values, const double *log_weights,
                      double *ret_gradient);

#endif
