/* Import: a directory or archive becomes a pack in the home of data sets, or nothing.
 *
 * IDX and CIFAR files are taken as they are. The images of a folder (folder.h) are made square and one size: the shorter side
 * becomes `image_size` and the rest is cut off at both ends alike. They are decoded on all processors, straight into
 * the mapped file, so that memory does not grow with the data set. A folder in which all images are grey has one channel; where any
 * is in colour, grey ones become RGB. The first file that is damaged ends the import, with its name in the error. */
#ifndef WORKER_DATA_IMPORT_H
#define WORKER_DATA_IMPORT_H

#include "search/dataset.h"
#include "worker/data/file.h"

#include <stdbool.h>
#include <stdint.h>

enum { IMPORT_IMAGE_SIZE_DEFAULT_MAX = 256 };
#define IMPORT_TEST_SHARE_DEFAULT 0.1

enum import_phase { IMPORT_UNPACKING, IMPORT_LOOKING, IMPORT_DECODING };

struct import_request {
    const char *name;
    const char *path;   /* a directory or an archive (archive.h) */
    const char *origin; /* what the pack says it was made from; NULL: the resolved path */
    uint32_t
        image_size; /* of folders; 0: the median of the shorter sides, at most IMPORT_IMAGE_SIZE_DEFAULT_MAX */
    double
        test_share; /* 0 <= share < 1, of folders that have no test split; negative: IMPORT_TEST_SHARE_DEFAULT */
    uint64_t seed;                  /* which images these are */
    const char *const *class_names; /* for IDX, which has none; NULL at the end; may be NULL */
    /* Now and then; not 0 ends the import with -ECANCELED. `total` is 0 where it is not known. May be NULL. */
    int (*on_progress)(void *context, enum import_phase phase, uint64_t done, uint64_t total);
    void *context;
};

struct import_report {
    struct dataset dataset;
    bool test_drawn;      /* the test split was drawn */
    bool val_is_training; /* the folder has val and test: val went to the training images */
    uint64_t grey_converted;
    uint64_t ignored; /* files and directories that are no images */
    char ignored_first[FILE_PATH_SIZE];
};

/* What can be said before there is anything at `path`, which is not looked at: name, numbers, and whether the name is taken. */
int import_check(const struct import_request *request, const char *home,
                 struct error *error) MUST_USE;

/* -EEXIST where there is a data set of that name, -EINVAL for a name or number that cannot be, -EBADMSG for damaged files,
 * -ENOSPC, -ENOMEM, -ECANCELED, other errno values. `home` is made where it is not there. */
int import_run(const struct import_request *request, const char *home,
               struct import_report *ret_report, struct error *error) MUST_USE;

#endif
