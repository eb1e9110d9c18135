#include "worker/data/split.h"

#include "search/random.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The k-th image of a class of n stands at (2k + 1) / 2n of the merged order. */
struct place {
    uint64_t numerator, class_images;
    uint32_t label, image;
};

struct split_work {
    uint32_t *class_start; /* (classes + 1) into `members` */
    uint32_t *members;     /* (images) grouped by class */
    struct place *places;  /* (images) */
};

static void split_work_release(struct split_work *work)
{
    free(work->class_start);
    free(work->members);
    free(work->places);
}

static int place_compare(const void *a_pointer, const void *b_pointer)
{
    const struct place *a = a_pointer, *b = b_pointer;
    uint64_t left = a->numerator * b->class_images, right = b->numerator * a->class_images;
    if (left != right)
        return left < right ? -1 : 1;
    if (a->label != b->label)
        return a->label < b->label ? -1 : 1;
    return 0;
}

static int split_check(const struct split_request *request, struct error *error)
{
    if (request->train_images == 0 || request->validation_images == 0)
        return error_set(error, -EINVAL, "", "training and held-out images must be at least 1");
    if (request->images > UINT32_MAX || request->train_images > request->images ||
        request->validation_images > request->images - request->train_images)
        return error_set(error, -EINVAL, "",
                         "%" PRIu64 " training and %" PRIu64
                         " held-out images are more than the %" PRIu64 " of the training split",
                         request->train_images, request->validation_images, request->images);
    return 0;
}

/* Groups the images by class, in their own order. */
static void group_by_class(const struct split_request *request, struct split_work *work)
{
    uint32_t *start = work->class_start;
    for (uint64_t i = 0; i < request->images; i++) {
        assert(request->labels[i] < request->classes);
        start[request->labels[i] + 1]++;
    }
    for (uint32_t c = 0; c < request->classes; c++)
        start[c + 1] += start[c];
    /* start[c] moves to the end of class c while it is filled, and back afterwards. */
    for (uint64_t i = 0; i < request->images; i++)
        work->members[start[request->labels[i]]++] = (uint32_t)i;
    memmove(start + 1, start, request->classes * sizeof *start);
    start[0] = 0;
}

/* Shuffles each class and gives every image its place. */
static void place_images(const struct split_request *request, struct split_work *work)
{
    for (uint32_t c = 0; c < request->classes; c++) {
        uint32_t *members = work->members + work->class_start[c];
        struct place *places = work->places + work->class_start[c];
        uint32_t count = work->class_start[c + 1] - work->class_start[c];
        struct random_stream stream = random_stream_of(request->seed, c, RANDOM_SPLIT);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t other = k + (uint32_t)random_below(&stream, count - k);
            uint32_t image = members[other];
            members[other] = members[k];
            members[k] = image;
            places[k] = (struct place){2 * (uint64_t)k + 1, count, c, image};
        }
    }
}

int split_init(struct split *split, const struct split_request *request, struct error *error)
{
    int r = split_check(request, error);
    if (r < 0)
        return r;
    CLEANUP(split_work_release)
    struct split_work work = {
        .class_start = calloc((size_t)request->classes + 1, sizeof *work.class_start),
        .members = calloc(request->images, sizeof *work.members),
        .places = calloc(request->images, sizeof *work.places),
    };
    struct split made = {
        .train = calloc(request->train_images, sizeof *made.train),
        .validation = calloc(request->validation_images, sizeof *made.validation),
        .train_images = request->train_images,
        .validation_images = request->validation_images,
    };
    if (!work.class_start || !work.members || !work.places || !made.train || !made.validation) {
        split_release(&made);
        return error_set(error, -ENOMEM, "", "out of memory");
    }
    group_by_class(request, &work);
    place_images(request, &work);
    qsort(work.places, request->images, sizeof *work.places, place_compare);
    for (uint64_t i = 0; i < made.validation_images; i++)
        made.validation[i] = work.places[i].image;
    for (uint64_t i = 0; i < made.train_images; i++)
        made.train[i] = work.places[made.validation_images + i].image;
    *split = made;
    return 0;
}

void split_release(struct split *split)
{
    free(split->train);
    free(split->validation);
    *split = (struct split){0};
}
