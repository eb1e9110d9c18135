/* Random-resized crops (Szegedy et al. 2015): which part of an image is shown. */
#ifndef WORKER_DATA_CROP_H
#define WORKER_DATA_CROP_H

#include "search/random.h"
#include "search/transform.h"

enum { CROP_TRIES = 10 };

struct crop crop_whole(uint32_t size);

/* Its area is uniform over area_min (> 0) .. 1 of the image's, the logarithm of width / height uniform over
 * 3/4 .. 4/3, its place uniform. What does not fit is drawn again; after CROP_TRIES the whole image. */
struct crop crop_draw(struct random_stream *stream, double area_min, uint32_t size);

#endif
