#include "worker/dataset_add.h"

#include "worker/data/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { PROGRESS_MEGABYTE = 1000000 };

static int on_import(void *context, enum import_phase phase, uint64_t done, uint64_t total)
{
    struct dataset_progress *progress = context;
    switch (phase) {
    case IMPORT_UNPACKING:
        return dataset_progress_show(progress, "unpacking", "MB", done / PROGRESS_MEGABYTE,
                                     total / PROGRESS_MEGABYTE);
    case IMPORT_LOOKING:
        return dataset_progress_show(progress, "looking at", "images", done, total);
    case IMPORT_DECODING:
        return dataset_progress_show(progress, "decoding", "images", done, total);
    }
    return 0;
}

/* A local file against --size and --sha256. */
static int check_file(const struct dataset_options *options, struct error *error)
{
    struct stat status;
    if (!options->bytes && !options->sha256)
        return 0;
    if (stat(options->place, &status) < 0)
        return file_error(error, -errno, options->place);
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL, "",
                         "%.300s: not a file, so that --size and --sha256 have no meaning",
                         options->place);
    return digest_check(options->place, options->bytes, options->sha256, error);
}

int dataset_add(const struct dataset_options *options, const char *home,
                struct dataset_progress *progress, struct import_report *ret_report,
                struct error *error)
{
    struct import_request request = {.name = options->name,
                                     .path = options->place,
                                     .image_size = options->image_size,
                                     .test_share = options->test_share,
                                     .seed = options->seed,
                                     .on_progress = on_import,
                                     .context = progress};
    int r = check_file(options, error);
    return r < 0 ? r : import_run(&request, home, ret_report, error);
}
