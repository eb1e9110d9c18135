/* What a candidate is worth before it is trained: expected improvement (Jones et al. 1998) of one goodness, or of the
 * hypervolume of two or three (Emmerich et al. 2006). A goodness is better the larger it is; some are known exactly
 * beforehand, others are normal in a model's own scale (struct warp). */
#ifndef SEARCH_ACQUISITION_H
#define SEARCH_ACQUISITION_H

#include <stdbool.h>
#include <stdint.h>

enum { GOODNESS_MAX = 3, ACQUISITION_FRONT_MAX = 256, ACQUISITION_DIRECTIONS = 128 };

/* Between a goodness and the scale in which a model sees it. Both ways are monotone. */
struct warp {
    bool is_log; /* the goodness is minus a positive quantity; the model sees its logarithm */
    double top,
        spread; /* else minus the logarithm of the distance to the best, which spreads the best out */
    double middle, width;
};

/* From `count` > 0 finite goodnesses; scratch has room for as many. */
struct warp warp_of(const double *goodness, uint32_t count, bool is_log, double *scratch);
double warp_forward(const struct warp *warp, double goodness);
double warp_back(const struct warp *warp, double value);

/* A candidate's goodnesses: normal in the warped scale, or exact, and not warped, where deviation is 0. Those that are not
 * exact come first. */
struct outlook {
    double mean[GOODNESS_MAX], deviation[GOODNESS_MAX];
};

/* Over `best`, of a normal. */
double improvement_expected(double mean, double deviation, double best);

/* Points that a hypervolume is made of. */
struct front {
    uint32_t objectives, count; /* 2 or 3 */
    double reference[GOODNESS_MAX], range[GOODNESS_MAX];
    double points[ACQUISITION_FRONT_MAX][GOODNESS_MAX]; /* by the second goodness, descending */
    /* Three objectives: directions from the reference, as what a distance along each axis is multiplied by, and the cube
     * of how far the points reach along each. */
    double inverse[GOODNESS_MAX][ACQUISITION_DIRECTIONS];
    double reached[ACQUISITION_DIRECTIONS];
};

/* Of `count` points; those that are not above the reference add nothing. Of more than ACQUISITION_FRONT_MAX an even choice
 * is looked at. The seed draws directions. */
void front_init(struct front *front, const double (*points)[GOODNESS_MAX], uint32_t count,
                const double *reference, uint32_t objectives, uint64_t seed);
/* In units of the product of ranges: exact for two objectives, but for the quadrature over what is uncertain; of three an
 * estimate from the directions (Zhang and Golovin 2020). warps[i] is not read where deviation[i] is 0. */
double front_improvement(const struct front *front, const struct warp *warps,
                         const struct outlook *outlook);

#endif
