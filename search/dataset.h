/* Data sets that a spec can name: what the daemon must know of one to price a candidate. The images
 * live at workers. */
#ifndef SEARCH_DATASET_H
#define SEARCH_DATASET_H

#include "search/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATASET_NAME_SIZE = 64, DATASET_IMAGES_MAX = 1 << 30 };

struct dataset {
    char name[DATASET_NAME_SIZE]; /* [a-z0-9][a-z0-9._-]* */
    uint32_t image_size;          /* pixels, square */
    uint32_t image_channels;      /* 1 or 3 */
    uint32_t classes;
    uint64_t train_images; /* of the training split, from which validation images are held out */
    uint64_t test_images;
};

/* The well-known ones: "fashion-mnist", "mnist", "cifar10", "cifar100", "eurosat" (as
 * `archscout dataset add` makes it). NULL where unknown. */
const struct dataset *dataset_known(const char *name);
const struct dataset *dataset_known_at(size_t index); /* sorted by name; NULL past the end */

bool dataset_name_is_valid(const char *name);

/* True where all but the names agree. */
bool dataset_facts_agree(const struct dataset *a, const struct dataset *b);

/* Checks every field, "/train_images" and so on. -EINVAL. */
int dataset_validate(const struct dataset *dataset, struct error *error) MUST_USE;

#endif
