#include "worker/dataset_show.h"

#include "worker/data/catalog.h"
#include "worker/data/home.h"
#include "worker/data/pack.h"
#include "worker/data/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void catalog_release(struct catalog **catalog)
{
    catalog_free(*catalog);
}

static void pack_release(struct pack **pack)
{
    pack_free(*pack);
}

static void free_counts(uint64_t **counts)
{
    free(*counts);
}

int dataset_list(const char *home, struct error *error)
{
    CLEANUP(catalog_release) struct catalog *catalog = NULL;
    int r = catalog_new(&catalog);
    if (r < 0)
        return error_set(error, r, "", "out of memory");
    r = catalog_add(catalog, home, error);
    if (r == -ENOENT)
        r = 0;
    if (r < 0)
        return r;
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_entry *entry = catalog_at(catalog, i);
        const struct dataset *dataset = &entry->dataset;
        if (!entry->usable)
            printf("%s: cannot be used: %s\n", dataset->name, entry->problem.message);
        else
            printf("%s: %u x %u x %u, %u classes, %" PRIu64 " training and %" PRIu64
                   " test images\n",
                   dataset->name, dataset->image_size, dataset->image_size, dataset->image_channels,
                   dataset->classes, dataset->train_images, dataset->test_images);
    }
    if (catalog_count(catalog) == 0)
        printf("no data sets in %s\n", home);
    return 0;
}

static int pack_path(const struct dataset_options *options, const char *home,
                     char ret_path[FILE_PATH_SIZE], struct error *error)
{
    if (!dataset_home_name_is_valid(options->name))
        return error_set(error, -EINVAL, "", "\"%.80s\" cannot be the name of a data set",
                         options->name);
    int r = file_join(ret_path, home, options->name, SOURCE_PACK_SUFFIX, error);
    if (r < 0 || access(ret_path, F_OK) == 0 || errno != ENOENT)
        return r;
    error_set(error, -ENOENT, "", "no data set called %s in %.300s", options->name, home);
    return DATASET_UNKNOWN;
}

/* Images of each class: (classes) of the training split, then (classes) of the test split. */
static void count_labels(const struct pack *pack, uint64_t *counts)
{
    const struct dataset *dataset = pack_dataset(pack);
    const uint16_t *labels = pack_labels(pack);
    for (uint64_t i = 0; i < dataset->train_images + dataset->test_images; i++)
        counts[(i < dataset->train_images ? 0 : dataset->classes) + labels[i]]++;
}

static int print_pack(const struct pack *pack, const struct pack_summary *summary,
                      struct error *error)
{
    const struct dataset *dataset = pack_dataset(pack);
    CLEANUP(free_counts)
    uint64_t *counts = calloc((size_t)2 * dataset->classes, sizeof *counts);
    if (!counts)
        return error_set(error, -ENOMEM, "", "out of memory");
    count_labels(pack, counts);
    printf("name      %s\nfrom      %s, %s\nimages    %u x %u, %s\npack      %" PRIu64 " bytes\n\n",
           dataset->name, summary->format, summary->origin, dataset->image_size,
           dataset->image_size, dataset->image_channels == 1 ? "grey" : "RGB", summary->file_bytes);
    printf("%10s %10s  %s\n", "training", "test", "class");
    for (uint32_t label = 0; label < dataset->classes; label++)
        printf("%10" PRIu64 " %10" PRIu64 "  %s\n", counts[label], counts[dataset->classes + label],
               pack_class_name(pack, label));
    printf("%10" PRIu64 " %10" PRIu64 "  all %u classes\n", dataset->train_images,
           dataset->test_images, dataset->classes);
    return 0;
}

int dataset_show(const struct dataset_options *options, const char *home, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = pack_path(options, home, path, error);
    if (r != 0)
        return r;
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, -errno, path);
    CLEANUP(pack_release) struct pack *pack = NULL;
    struct pack_summary summary;
    r = pack_look(fd, path, &summary, error);
    if (r == 0)
        r = pack_open(fd, path, PACK_FINGERPRINT_ANY, &pack, error);
    if (r == 0)
        r = print_pack(pack, &summary, error);
    if (r == 0 && options->sheet)
        r = sheet_write(pack, options->sheet, error);
    return r;
}

int dataset_remove(const struct dataset_options *options, const char *home, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int r = pack_path(options, home, path, error);
    if (r != 0)
        return r;
    return unlink(path) < 0 ? file_error(error, -errno, path) : 0;
}
