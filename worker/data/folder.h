/* An image folder: which images there are, of which classes, in which split.
 *
 * Two layouts:
 *   ROOT/train/CLASS/..., with ROOT/test/CLASS/... or ROOT/val/CLASS/... (or valid, validation) or both. With a test
 *   directory, that is the test split and the images of val are training images as well (what is held out to compare
 *   candidates is drawn from the training images, split.h); without one, val is the test split.
 *   ROOT/CLASS/...: one split; the test split is drawn from it when it is imported.
 *
 * The images of a class may lie in directories below the class's own. Images are files called *.jpg, *.jpeg or *.png,
 * in any case. Names that start with a dot and __MACOSX are passed over; other files and directories are counted as
 * ignored. Links are followed.
 *
 * Classes are the training directories' names in the order of their bytes. Refused, naming the path (-EBADMSG): a class
 * directory without images, images outside a class directory, a class of the test split that has no training images, fewer
 * than two classes, links that lead back to where they came from, images in formats that cannot be read (GIF, TIFF,
 * WebP, ...), too many images or too deep directories. */
#ifndef WORKER_DATA_FOLDER_H
#define WORKER_DATA_FOLDER_H

#include "worker/data/file.h"
#include "worker/data/names.h"

#include <stdbool.h>
#include <stdint.h>

enum { FOLDER_IMAGES_MAX = 1 << 24, FOLDER_DEPTH_MAX = 16 };

struct folder_image {
    size_t path; /* offset in `paths`, relative to the root */
    uint16_t label;
    bool test;
};

struct folder {
    char root[FILE_PATH_SIZE];
    struct names paths, class_names;
    struct folder_image *images; /* by split (training, val, test), class, path */
    uint64_t count, capacity;
    uint64_t train_count, test_count;
    bool has_test;        /* the folder has a test split */
    bool val_is_training; /* it has val as well */
    uint64_t ignored;
    char ignored_first[FILE_PATH_SIZE];
};

/* Whether the directory, or the only directory in it, and so on, looks like the root of an image folder or of another
 * format's files: archives tend to have a directory around everything. Writes that directory. -ENOTDIR, other errno values.
 */
int folder_find_root(const char *directory, char ret_root[FILE_PATH_SIZE],
                     struct error *error) MUST_USE;

int folder_scan(const char *root, struct folder *folder, struct error *error) MUST_USE;
void folder_release(struct folder *folder); /* legal on a zeroed struct and twice */

/* The full path of an image. */
int folder_image_path(const struct folder *folder, uint64_t index, char ret_path[FILE_PATH_SIZE],
                      struct error *error) MUST_USE;

#endif
