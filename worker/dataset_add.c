#include "worker/dataset_add.h"

#include "worker/data/known.h"
#include "worker/dataset_digest.h"
#include "worker/dataset_fetch.h"

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

/* What the options say of the file at a URL. */
static struct known_dataset wanted_of(const struct dataset_options *options)
{
    return (struct known_dataset){.name = options->name,
                                  .file_count = 1,
                                  .files = {{options->place, options->bytes, options->sha256}}};
}

static int choose_wanted(const struct dataset_options *options, struct known_dataset *ret_wanted,
                         struct error *error)
{
    if (options->place) {
        *ret_wanted = wanted_of(options);
        return 0;
    }
    const struct known_dataset *known = known_find(options->name);
    if (!known)
        return error_set(error, -EINVAL, "", "needs a path or URL behind %.80s; known by name: %s",
                         options->name, known_names());
    if (options->bytes || options->sha256)
        return error_set(error, -EINVAL, "", "the size and SHA-256 of %s are known", known->name);
    *ret_wanted = *known;
    return 0;
}

static int add_fetched(const struct dataset_options *options, struct import_request *request,
                       const char *home, struct import_report *ret_report, struct error *error)
{
    struct known_dataset wanted;
    CLEANUP(fetched_release) struct fetched fetched = {0};
    int r = choose_wanted(options, &wanted, error);
    if (r == 0)
        r = import_check(request, home, error);
    if (r == 0)
        r = fetch(&wanted, home, request->context, &fetched, error);
    if (r < 0)
        return r;
    request->path = fetched.path;
    request->origin = wanted.files[0].url;
    request->class_names = wanted.class_names;
    return import_run(request, home, ret_report, error);
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
    if (!options->place || fetch_is_url(options->place))
        return add_fetched(options, &request, home, ret_report, error);
    int r = check_file(options, error);
    return r < 0 ? r : import_run(&request, home, ret_report, error);
}
