#include "worker/data/import.h"

#include "search/architecture.h"
#include "worker/data/archive.h"
#include "worker/data/folder.h"
#include "worker/data/home.h"
#include "worker/data/image_file.h"
#include "worker/data/import_folder.h"
#include "worker/data/pack_writer.h"
#include "worker/data/source.h"
#include "worker/data/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CLASS_NAMES_BYTES_MAX = 1 << 20,
    PACK_FILE_NAME_SIZE = DATASET_NAME_SIZE + sizeof SOURCE_PACK_SUFFIX,
};

static int check_request(const struct import_request *request, struct error *error)
{
    if (!dataset_home_name_is_valid(request->name))
        return error_set(error, -EINVAL, "",
                         "a data set's name has 1 to %d letters out of a-z, 0-9, - and _, the "
                         "first one a-z or 0-9",
                         DATASET_NAME_SIZE - 1);
    if (request->image_size &&
        (request->image_size < IMAGE_SIDE_MIN || request->image_size > IMAGE_SIZE_MAX))
        return error_set(error, -EINVAL, "", "the image size must be %d to %d pixels, not %u",
                         IMAGE_SIDE_MIN, IMAGE_SIZE_MAX, request->image_size);
    if (!(request->test_share < 1))
        return error_set(error, -EINVAL, "", "the share of the test images must be below 1");
    return 0;
}

/* ---- IDX and CIFAR ---- */

static int names_given(const struct import_request *request, uint32_t classes, struct names *names,
                       struct error *error)
{
    uint32_t count = 0;
    while (request->class_names && request->class_names[count])
        count++;
    for (uint32_t i = 0; count == classes && i < count; i++) {
        int r = names_add(names, request->class_names[i], NULL);
        if (r < 0)
            return file_error(error, r, request->name);
    }
    return 0;
}

static int import_source(const struct import_request *request, const struct source *source,
                         const struct import_target *target, struct error *error)
{
    if (request->image_size || request->test_share >= 0)
        return error_set(error, -EINVAL, "",
                         "%.300s: is %s, which has a size and a test split of its own",
                         source->directory, source_format_name(source->format));
    CLEANUP(names_release) struct names class_names;
    names_init(&class_names, CLASS_NAMES_BYTES_MAX);
    struct pack_content content = {.class_names = &class_names,
                                   .format = source_format_name(source->format),
                                   .origin = target->origin};
    int r = source_scan(source, &content.dataset, error);
    if (r == 0)
        r = names_given(request, content.dataset.classes, &class_names, error);
    if (r == 0 && class_names.count == 0)
        r = source_class_names(source, content.dataset.classes, &class_names, error);
    return r < 0 ? r : pack_write_source(target->fd, target->path, source, &content, error);
}

/* ---- the directory that is imported ---- */

static int on_unpack_progress(void *context, uint64_t done, uint64_t total)
{
    const struct import_request *request = context;
    return request->on_progress
               ? request->on_progress(request->context, IMPORT_UNPACKING, done, total)
               : 0;
}

/* The directory itself, or what the archive holds. */
static int find_directory(const struct import_request *request, const char *home,
                          struct temporary *unpacked, const char **ret_directory,
                          struct error *error)
{
    struct stat status;
    if (stat(request->path, &status) < 0)
        return file_error(error, -errno, request->path);
    if (S_ISDIR(status.st_mode)) {
        *ret_directory = request->path;
        return 0;
    }
    int r = temporary_directory(home, unpacked, error);
    if (r < 0)
        return r;
    const struct archive_request archive = {.path = request->path,
                                            .directory = unpacked->path,
                                            .on_progress = on_unpack_progress,
                                            .context = (void *)(uintptr_t)request};
    *ret_directory = unpacked->path;
    return archive_unpack(&archive, error);
}

static int import_directory(const struct import_request *request, const char *directory,
                            const struct import_target *target, struct import_report *report,
                            struct error *error)
{
    char root[FILE_PATH_SIZE];
    struct source source;
    int r = folder_find_root(directory, root, error);
    if (r < 0)
        return r;
    r = source_detect(root, request->name, &source, error);
    if (r < 0)
        return r;
    if (r == SOURCE_NONE)
        return import_folder(request, root, target, report, error);
    return import_source(request, &source, target, error);
}

/* What was unpacked goes away again: texts that name its paths shall say where in the archive that was. Without a
 * directory only the archive's own name is replaced, by what it was got from. */
static void show_origin(char *text, size_t size, const struct import_request *request,
                        const char *directory)
{
    const char *origin = request->origin ? request->origin : request->path;
    char resolved[FILE_PATH_SIZE], inside[FILE_PATH_SIZE + 4], shown[FILE_PATH_SIZE + 4];
    if (directory[0] && realpath(directory, resolved)) {
        snprintf(inside, sizeof inside, "%s/", resolved);
        snprintf(shown, sizeof shown, "%s: ", origin);
        file_show_as(text, size, inside, shown);
        file_show_as(text, size, resolved, origin);
    }
    file_show_as(text, size, request->path, origin);
}

/* ---- the pack ---- */

static int import_found(const struct import_request *request, const char *home,
                        struct temporary *unpacked, const struct import_target *target,
                        struct import_report *report, struct error *error)
{
    const char *directory;
    int r = find_directory(request, home, unpacked, &directory, error);
    return r < 0 ? r : import_directory(request, directory, target, report, error);
}

static int import_into(const struct import_request *request, const char *home,
                       struct temporary *pack, struct import_report *report, struct error *error)
{
    CLEANUP(temporary_release) struct temporary unpacked = {0};
    char origin[FILE_PATH_SIZE];
    struct error problem = {0};
    if (!realpath(request->path, origin))
        return file_error(error, -errno, request->path);
    const struct import_target target = {
        .fd = pack->fd, .path = pack->path, .origin = request->origin ? request->origin : origin};
    int r = import_found(request, home, &unpacked, &target, report, &problem);
    show_origin(problem.message, sizeof problem.message, request, unpacked.path);
    show_origin(report->ignored_first, sizeof report->ignored_first, request, unpacked.path);
    if (r < 0 && error)
        *error = problem;
    if (r < 0)
        return r;
    struct pack_summary summary;
    r = pack_look(pack->fd, pack->path, &summary, error);
    if (r == 0)
        report->dataset = summary.dataset;
    return r;
}

static int pack_name(const struct import_request *request, const char *home,
                     char ret_name[PACK_FILE_NAME_SIZE], struct error *error)
{
    char path[FILE_PATH_SIZE];
    snprintf(ret_name, PACK_FILE_NAME_SIZE, "%s%s", request->name, SOURCE_PACK_SUFFIX);
    int r = file_join(path, home, ret_name, "", error);
    if (r == 0 && access(path, F_OK) == 0)
        return error_set(error, -EEXIST, "",
                         "%.300s: there is a data set called %s; choose another "
                         "name, or remove it first",
                         path, request->name);
    return r;
}

/* A daemon refuses workers that call something else by the name of a well-known data set. */
static int check_facts(const struct dataset *dataset, struct error *error)
{
    const struct dataset *known = dataset_known(dataset->name);
    if (!known || dataset_facts_agree(known, dataset))
        return 0;
    return error_set(error, -EINVAL, "",
                     "%s is the name of a well-known data set of %u x %u x %u, %u classes, %llu "
                     "training and %llu test images, which this is not: choose another",
                     known->name, known->image_size, known->image_size, known->image_channels,
                     known->classes, (unsigned long long)known->train_images,
                     (unsigned long long)known->test_images);
}

int import_check(const struct import_request *request, const char *home, struct error *error)
{
    char name[PACK_FILE_NAME_SIZE];
    int r = check_request(request, error);
    return r < 0 ? r : pack_name(request, home, name, error);
}

int import_run(const struct import_request *request, const char *home,
               struct import_report *ret_report, struct error *error)
{
    char name[PACK_FILE_NAME_SIZE];
    int r = check_request(request, error);
    if (r == 0)
        r = pack_name(request, home, name, error);
    if (r == 0)
        r = file_make_directories(home, 0777, error);
    if (r < 0)
        return r;
    temporary_sweep(home);
    CLEANUP(temporary_release) struct temporary pack = {0};
    struct import_report report = {0};
    r = temporary_file(home, &pack, error);
    if (r == 0)
        r = import_into(request, home, &pack, &report, error);
    if (r == 0)
        r = check_facts(&report.dataset, error);
    if (r == 0)
        r = temporary_keep(&pack, home, name, error);
    if (r == 0)
        *ret_report = report;
    return r;
}
