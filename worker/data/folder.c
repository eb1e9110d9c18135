#include "worker/data/folder.h"

#include "search/architecture.h"
#include "worker/data/listing.h"
#include "worker/data/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
    FOLDER_PATHS_BYTES_MAX = 1 << 30,
    FOLDER_NAMES_BYTES_MAX = 16 << 20,
    FOLDER_CAPACITY_FIRST = 4096,
    FOLDER_WRAPPERS_MAX = 4,
    FOLDER_CLASSES_MIN = 2,
};

/* A directory on the way down, for the check of links that lead back. */
struct way {
    const struct way *up;
    dev_t device;
    ino_t inode;
    int depth;
};

/* Where the images that are found belong. */
struct target {
    uint16_t label;
    bool test;
};

void folder_release(struct folder *folder)
{
    names_release(&folder->paths);
    names_release(&folder->class_names);
    free(folder->images);
    *folder = (struct folder){0};
}

int folder_image_path(const struct folder *folder, uint64_t index, char ret_path[FILE_PATH_SIZE],
                      struct error *error)
{
    return file_join(ret_path, folder->root, names_at(&folder->paths, folder->images[index].path),
                     "", error);
}

/* ---- names ---- */

static bool ends_with(const char *name, const char *const *suffixes)
{
    const char *dot = strrchr(name, '.');
    for (; dot && *suffixes; suffixes++)
        if (strcasecmp(dot, *suffixes) == 0)
            return true;
    return false;
}

static bool is_image(const char *name)
{
    static const char *const suffixes[] = {".jpg", ".jpeg", ".png", NULL};
    return ends_with(name, suffixes);
}

static bool is_unreadable_image(const char *name)
{
    static const char *const suffixes[] = {".gif", ".bmp",  ".tif",  ".tiff", ".webp", ".jp2",
                                           ".ppm", ".heic", ".avif", ".jxl",  NULL};
    return ends_with(name, suffixes);
}

static bool is_split(const char *name)
{
    static const char *const splits[] = {"train", "val", "valid", "validation", "test"};
    for (size_t i = 0; i < ARRAY_LENGTH(splits); i++)
        if (strcmp(name, splits[i]) == 0)
            return true;
    return false;
}

/* ---- one class ---- */

static int folder_add_image(struct folder *folder, const char *path, const struct target *target,
                            struct error *error)
{
    if (folder->count == FOLDER_IMAGES_MAX)
        return error_set(error, -E2BIG, "", "%.300s: more than %d images", folder->root,
                         FOLDER_IMAGES_MAX);
    if (folder->count == folder->capacity) {
        uint64_t capacity = folder->capacity ? 2 * folder->capacity : FOLDER_CAPACITY_FIRST;
        struct folder_image *images = realloc(folder->images, capacity * sizeof *images);
        if (!images)
            return file_error(error, -ENOMEM, folder->root);
        folder->images = images;
        folder->capacity = capacity;
    }
    struct folder_image image = {.label = target->label, .test = target->test};
    int r = names_add(&folder->paths, path + strlen(folder->root) + 1, &image.path);
    if (r < 0)
        return file_error(error, r, path);
    folder->images[folder->count++] = image;
    *(target->test ? &folder->test_count : &folder->train_count) += 1;
    return 0;
}

static void folder_ignore(struct folder *folder, const char *path)
{
    if (folder->ignored++ == 0)
        snprintf(folder->ignored_first, sizeof folder->ignored_first, "%s", path);
}

static int way_check(const struct way *way, const char *path, struct error *error)
{
    if (way->depth > FOLDER_DEPTH_MAX)
        return error_set(error, -EBADMSG, "", "%.300s: more than %d directories deep", path,
                         FOLDER_DEPTH_MAX);
    for (const struct way *above = way->up; above; above = above->up)
        if (above->device == way->device && above->inode == way->inode)
            return error_set(error, -ELOOP, "",
                             "%.300s: is a link back to a directory that it is in", path);
    return 0;
}

static int scan_class(struct folder *folder, const char *directory, const struct way *up,
                      const struct target *target, struct error *error);

/* One entry of a class's directory. */
static int scan_entry(struct folder *folder, const char *directory, const char *name,
                      const struct way *way, const struct target *target, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, directory, name, "", error);
    if (r < 0)
        return r;
    struct stat status;
    if (stat(path, &status) < 0)
        return file_error(error, -errno, path);
    if (S_ISDIR(status.st_mode))
        return scan_class(folder, path, way, target, error);
    if (S_ISREG(status.st_mode) && is_image(name))
        return folder_add_image(folder, path, target, error);
    if (is_unreadable_image(name))
        return error_set(error, -EBADMSG, "", "%.300s: only JPEG and PNG images can be read", path);
    folder_ignore(folder, path);
    return 0;
}

static int scan_class(struct folder *folder, const char *directory, const struct way *up,
                      const struct target *target, struct error *error)
{
    struct stat status;
    if (stat(directory, &status) < 0)
        return file_error(error, -errno, directory);
    const struct way way = {up, status.st_dev, status.st_ino, up ? up->depth + 1 : 0};
    int r = way_check(&way, directory, error);
    if (r < 0)
        return r;
    CLEANUP(listing_release) struct listing listing = {0};
    r = listing_read(directory, &listing, error);
    for (uint32_t i = 0; i < listing.count && r == 0; i++)
        r = scan_entry(folder, directory, listing.names[i], &way, target, error);
    return r;
}

/* ---- one split ---- */

/* The class's label; new ones are only known to the first split, whose directories come sorted. */
static int label_of(struct folder *folder, const char *name, const char *path, bool first_split,
                    struct error *error, uint16_t *ret_label)
{
    size_t offset = 0;
    for (uint32_t label = 0; label < folder->class_names.count; label++) {
        const char *known = names_at(&folder->class_names, offset);
        if (strcmp(known, name) == 0) {
            *ret_label = (uint16_t)label;
            return 0;
        }
        offset += strlen(known) + 1;
    }
    if (!first_split)
        return error_set(error, -EBADMSG, "", "%.300s: no such class in the training images", path);
    if (folder->class_names.count == CLASSES_MAX)
        return error_set(error, -E2BIG, "", "%.300s: more than %d classes", folder->root,
                         CLASSES_MAX);
    *ret_label = (uint16_t)folder->class_names.count;
    int r = names_add(&folder->class_names, name, NULL);
    return r < 0 ? file_error(error, r, path) : 0;
}

static int scan_class_directory(struct folder *folder, const char *path, const char *name,
                                bool first_split, bool test, struct error *error)
{
    struct target target = {.test = test};
    int r = label_of(folder, name, path, first_split, error, &target.label);
    if (r < 0)
        return r;
    uint64_t before = folder->count;
    struct stat status;
    if (stat(folder->root, &status) < 0)
        return file_error(error, -errno, folder->root);
    const struct way root = {NULL, status.st_dev, status.st_ino, 0};
    r = scan_class(folder, path, &root, &target, error);
    if (r == 0 && folder->count == before)
        return error_set(error, -EBADMSG, "", "%.300s: a class directory without images", path);
    return r;
}

/* All classes below a directory, in the order of their names. Files beside the classes must not be images. */
static int scan_split(struct folder *folder, const char *directory, bool first_split, bool test,
                      struct error *error)
{
    CLEANUP(listing_release) struct listing listing = {0};
    int r = listing_read(directory, &listing, error);
    for (uint32_t i = 0; i < listing.count && r == 0; i++) {
        const char *name = listing.names[i];
        char path[FILE_PATH_SIZE];
        struct stat status;
        r = file_join(path, directory, name, "", error);
        if (r == 0 && stat(path, &status) < 0)
            r = file_error(error, -errno, path);
        if (r < 0)
            return r;
        if (S_ISDIR(status.st_mode))
            r = scan_class_directory(folder, path, name, first_split, test, error);
        else if (is_image(name))
            r = error_set(error, -EBADMSG, "",
                          "%.300s: an image outside a class directory; "
                          "there must be a directory for each class, with its images in it",
                          path);
        else
            folder_ignore(folder, path);
    }
    return r;
}

/* ---- the whole folder ---- */

/* 1 where root/name is a directory, 0 where it is not there. */
static int has_directory(const char *root, const char *name)
{
    char path[FILE_PATH_SIZE];
    struct stat status;
    return file_join(path, root, name, "", NULL) == 0 && stat(path, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

static const char *validation_directory(const char *root)
{
    static const char *const names[] = {"val", "valid", "validation"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (has_directory(root, names[i]))
            return names[i];
    return NULL;
}

static int scan_part(struct folder *folder, const char *name, bool test, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = file_join(path, folder->root, name, "", error);
    return r < 0 ? r : scan_split(folder, path, strcmp(name, "train") == 0, test, error);
}

/* What lies beside the splits. */
static int ignore_others(struct folder *folder, struct error *error)
{
    CLEANUP(listing_release) struct listing listing = {0};
    int r = listing_read(folder->root, &listing, error);
    for (uint32_t i = 0; i < listing.count && r == 0; i++) {
        char path[FILE_PATH_SIZE];
        r = file_join(path, folder->root, listing.names[i], "", error);
        if (r == 0 && !is_split(listing.names[i]))
            folder_ignore(folder, path);
    }
    return r;
}

static int scan_parts(struct folder *folder, struct error *error)
{
    const char *validation = validation_directory(folder->root);
    bool has_test = has_directory(folder->root, "test");
    folder->has_test = has_test || validation;
    folder->val_is_training = has_test && validation;
    int r = scan_part(folder, "train", false, error);
    if (r == 0 && validation)
        r = scan_part(folder, validation, !has_test, error);
    if (r == 0 && has_test)
        r = scan_part(folder, "test", true, error);
    return r < 0 ? r : ignore_others(folder, error);
}

int folder_scan(const char *root, struct folder *folder, struct error *error)
{
    struct folder made = {0};
    names_init(&made.paths, FOLDER_PATHS_BYTES_MAX);
    names_init(&made.class_names, FOLDER_NAMES_BYTES_MAX);
    snprintf(made.root, sizeof made.root, "%s", root);
    int r = has_directory(root, "train") ? scan_parts(&made, error)
                                         : scan_split(&made, root, true, false, error);
    if (r == 0 && made.class_names.count < FOLDER_CLASSES_MIN)
        r = error_set(error, -EBADMSG, "",
                      "%.300s: no data set: neither files of IDX or CIFAR nor two or more "
                      "directories of images, one a class",
                      root);
    if (r < 0) {
        folder_release(&made);
        return r;
    }
    *folder = made;
    return 0;
}

/* ---- the directory around it ---- */

static bool holds_known_format(const char *directory)
{
    struct source source;
    struct error ignored;
    return source_detect(directory, "any", &source, &ignored) != SOURCE_NONE ||
           has_directory(directory, "train");
}

/* Writes the name of the only directory, where there is one, and how many there are and whether images lie beside. */
struct contents {
    uint32_t directories, images;
    char only[NAME_MAX + 1];
};

static int contents_of(const char *directory, struct contents *ret_contents, struct error *error)
{
    struct contents contents = {0};
    CLEANUP(listing_release) struct listing listing = {0};
    int r = listing_read(directory, &listing, error);
    for (uint32_t i = 0; i < listing.count && r == 0; i++) {
        bool is_directory = has_directory(directory, listing.names[i]);
        if (is_directory)
            snprintf(contents.only, sizeof contents.only, "%s", listing.names[i]);
        contents.directories += is_directory;
        contents.images += is_image(listing.names[i]);
    }
    if (r == 0)
        *ret_contents = contents;
    return r;
}

int folder_find_root(const char *directory, char ret_root[FILE_PATH_SIZE], struct error *error)
{
    char root[FILE_PATH_SIZE];
    if (!realpath(directory, root))
        return file_error(error, -errno, directory);
    for (int depth = 0; depth < FOLDER_WRAPPERS_MAX && !holds_known_format(root); depth++) {
        struct contents contents, below;
        int r = contents_of(root, &contents, error);
        if (r < 0)
            return r;
        if (contents.directories != 1 || contents.images > 0)
            break;
        char inner[FILE_PATH_SIZE];
        r = file_join(inner, root, contents.only, "", error);
        if (r == 0)
            r = contents_of(inner, &below, error);
        if (r < 0)
            return r;
        if (below.images > 0 || (below.directories == 0 && !holds_known_format(inner)))
            break;
        memcpy(root, inner, sizeof root);
    }
    memcpy(ret_root, root, sizeof root);
    return 0;
}
