#include "search/dataset.h"

#include "search/architecture.h"

#include <errno.h>
#include <string.h>

static const struct dataset known[] = {
    {"cifar10", 32, 3, 10, 50000, 10000}, {"cifar100", 32, 3, 100, 50000, 10000},
    {"eurosat", 64, 3, 10, 24300, 2700},  {"fashion-mnist", 28, 1, 10, 60000, 10000},
    {"mnist", 28, 1, 10, 60000, 10000},
};

const struct dataset *dataset_known(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    }
    return NULL;
}

const struct dataset *dataset_known_at(size_t index)
{
    return index < ARRAY_LENGTH(known) ? &known[index] : NULL;
}

static bool name_letter_is_valid(char letter, bool first)
{
    if ((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9'))
        return true;
    return !first && (letter == '.' || letter == '_' || letter == '-');
}

bool dataset_name_is_valid(const char *name)
{
    size_t length = strnlen(name, DATASET_NAME_SIZE);
    if (length == 0 || length == DATASET_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!name_letter_is_valid(name[i], i == 0))
            return false;
    }
    return true;
}

bool dataset_facts_agree(const struct dataset *a, const struct dataset *b)
{
    return a->image_size == b->image_size && a->image_channels == b->image_channels &&
           a->classes == b->classes && a->train_images == b->train_images &&
           a->test_images == b->test_images;
}

int dataset_validate(const struct dataset *dataset, struct error *error)
{
    if (!dataset_name_is_valid(dataset->name))
        return error_set(error, -EINVAL, "/name",
                         "A data set's name has 1 to %d letters out of a-z, 0-9, '.', '_' and '-', "
                         "the first one a-z or 0-9.",
                         DATASET_NAME_SIZE - 1);
    struct problem problem = {dataset->image_size, dataset->image_channels, dataset->classes};
    int r = problem_validate(&problem, error);
    if (r < 0)
        return r;
    if (dataset->train_images < 1 || dataset->train_images > DATASET_IMAGES_MAX)
        return error_set(error, -EINVAL, "/train_images",
                         "A data set's training split holds 1 to %lld images.",
                         (long long)DATASET_IMAGES_MAX);
    if (dataset->test_images > DATASET_IMAGES_MAX)
        return error_set(error, -EINVAL, "/test_images",
                         "A data set's test split holds at most %lld images.",
                         (long long)DATASET_IMAGES_MAX);
    return 0;
}
