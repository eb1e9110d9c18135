/* Which data sets a machine has.
 *
 * Each sub-directory NAME of a directory that holds a known format (source.h) is data set NAME; the
 * directory itself may be one, named after itself. The directory names of the published CIFAR
 * archives, cifar-10-batches-bin and cifar-100-binary, are called cifar10 and cifar100. Each file NAME.pack in the directory
 * is data set NAME too; that is how the data sets that were added to the home of data sets (home.h) are kept. Names are
 * taken in the order in which directories are added: the first wins. A data set that cannot be used
 * is kept with the reason, so that a task that names it is told.
 *
 * Legal order: catalog_new, catalog_add ..., then any lookups; catalog_free. Single-threaded. */
#ifndef WORKER_DATA_CATALOG_H
#define WORKER_DATA_CATALOG_H

#include "worker/data/source.h"

#include <stdbool.h>

enum { CATALOG_ENTRIES_MAX = 256 };

struct catalog_entry {
    struct source source;
    struct dataset dataset; /* only the name where not usable */
    bool usable;
    struct error problem; /* where not usable */
};

struct catalog;

int catalog_new(struct catalog **ret_catalog) MUST_USE; /* -ENOMEM */
void catalog_free(struct catalog *catalog);

/* Adds what is in `directory`, in the order of names. -ENOENT where there is no such directory,
 * -E2BIG past CATALOG_ENTRIES_MAX, -ENOMEM, other errno values. */
int catalog_add(struct catalog *catalog, const char *directory, struct error *error) MUST_USE;

/* Adds the home of data sets, where there is one. */
int catalog_add_home(struct catalog *catalog, struct error *error) MUST_USE;

size_t catalog_count(const struct catalog *catalog);
const struct catalog_entry *catalog_at(const struct catalog *catalog, size_t index);

/* -ENOENT with the names that are there; -EBADMSG with the reason where the data set cannot be
 * used. */
int catalog_find(const struct catalog *catalog, const char *name,
                 const struct catalog_entry **ret_entry, struct error *error) MUST_USE;

#endif
