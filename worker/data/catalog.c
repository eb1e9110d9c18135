#include "worker/data/catalog.h"

#include "worker/data/home.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct catalog {
    size_t count;
    struct catalog_entry *entries[CATALOG_ENTRIES_MAX];
};

typedef int source_finder(const char *directory, const char *name, struct source *ret_source,
                          struct error *error);

struct name_list {
    struct dirent **items;
    int count;
};

static void name_list_release(struct name_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

static void free_string(char **string)
{
    free(*string);
}

int catalog_new(struct catalog **ret_catalog)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        return -ENOMEM;
    *ret_catalog = catalog;
    return 0;
}

void catalog_free(struct catalog *catalog)
{
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog->count; i++)
        free(catalog->entries[i]);
    free(catalog);
}

/* The name under which a directory's data set is known, or NULL where the directory's name cannot
 * be one. */
static const char *dataset_name_of(const char *directory_name)
{
    if (strcmp(directory_name, "cifar-10-batches-bin") == 0)
        return "cifar10";
    if (strcmp(directory_name, "cifar-100-binary") == 0)
        return "cifar100";
    return dataset_name_is_valid(directory_name) ? directory_name : NULL;
}

static const struct catalog_entry *entry_named(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (strcmp(catalog->entries[i]->dataset.name, name) == 0)
            return catalog->entries[i];
    return NULL;
}

/* Adds data set `name` where `detect` finds it and its name is free. */
static int catalog_add_named(struct catalog *catalog, const char *directory, const char *name,
                             source_finder *detect, struct error *error)
{
    if (entry_named(catalog, name))
        return 0;
    struct catalog_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return error_set(error, -ENOMEM, "", "out of memory");
    int r = detect(directory, name, &entry->source, &entry->problem);
    if (r == SOURCE_NONE) {
        free(entry);
        return 0;
    }
    if (r == 0)
        r = source_scan(&entry->source, &entry->dataset, &entry->problem);
    entry->usable = r == 0;
    snprintf(entry->dataset.name, sizeof entry->dataset.name, "%s", name);
    if (catalog->count == CATALOG_ENTRIES_MAX) {
        free(entry);
        return error_set(error, -E2BIG, "", "%.300s: more than %d data sets", directory,
                         CATALOG_ENTRIES_MAX);
    }
    catalog->entries[catalog->count++] = entry;
    return 0;
}

/* Adds `directory` itself where it holds a data set. */
static int catalog_add_one(struct catalog *catalog, const char *directory,
                           const char *directory_name, struct error *error)
{
    const char *name = dataset_name_of(directory_name);
    return name ? catalog_add_named(catalog, directory, name, source_detect, error) : 0;
}

/* Adds the pack `file_name` of the directory; other files are passed over. */
static int catalog_add_pack(struct catalog *catalog, const char *directory, const char *file_name,
                            struct error *error)
{
    const size_t suffix = sizeof SOURCE_PACK_SUFFIX - 1, length = strlen(file_name);
    char name[DATASET_NAME_SIZE];
    if (length <= suffix || length - suffix >= sizeof name ||
        strcmp(file_name + length - suffix, SOURCE_PACK_SUFFIX) != 0)
        return 0;
    snprintf(name, sizeof name, "%.*s", (int)(length - suffix), file_name);
    return dataset_name_is_valid(name)
               ? catalog_add_named(catalog, directory, name, source_of_pack, error)
               : 0;
}

static int is_visible(const struct dirent *item)
{
    return item->d_name[0] != '.';
}

static int catalog_add_children(struct catalog *catalog, const char *directory, struct error *error)
{
    CLEANUP(name_list_release) struct name_list list = {0};
    list.count = scandir(directory, &list.items, is_visible, alphasort);
    if (list.count < 0) {
        list.count = 0;
        return file_error(error, -errno, directory);
    }
    for (int i = 0; i < list.count; i++) {
        const struct dirent *item = list.items[i];
        int r = catalog_add_pack(catalog, directory, item->d_name, error);
        if (r < 0)
            return r;
        if (item->d_type != DT_DIR && item->d_type != DT_LNK && item->d_type != DT_UNKNOWN)
            continue;
        char path[FILE_PATH_SIZE];
        r = file_join(path, directory, item->d_name, "", error);
        if (r == 0)
            r = catalog_add_one(catalog, path, item->d_name, error);
        if (r < 0)
            return r;
    }
    return 0;
}

int catalog_add(struct catalog *catalog, const char *directory, struct error *error)
{
    CLEANUP(free_string) char *resolved = realpath(directory, NULL);
    if (!resolved)
        return file_error(error, -errno, directory);
    const char *slash = strrchr(resolved, '/');
    assert(slash);
    int r = catalog_add_one(catalog, resolved, slash + 1, error);
    if (r < 0)
        return r;
    return catalog_add_children(catalog, resolved, error);
}

int catalog_add_home(struct catalog *catalog, struct error *error)
{
    char home[FILE_PATH_SIZE];
    struct error ignored;
    if (dataset_home(home, &ignored) < 0)
        return 0;
    int r = catalog_add(catalog, home, error);
    return r == -ENOENT ? 0 : r;
}

size_t catalog_count(const struct catalog *catalog)
{
    return catalog->count;
}

const struct catalog_entry *catalog_at(const struct catalog *catalog, size_t index)
{
    assert(index < catalog->count);
    return catalog->entries[index];
}

/* The usable names, separated by commas, cut where the text is full. */
static void catalog_names(const struct catalog *catalog, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < catalog->count && used < size; i++) {
        if (!catalog->entries[i]->usable)
            continue;
        int length = snprintf(ret_text + used, size - used, "%s%s", used ? ", " : "",
                              catalog->entries[i]->dataset.name);
        used += length > 0 ? (size_t)length : 0;
    }
}

int catalog_find(const struct catalog *catalog, const char *name,
                 const struct catalog_entry **ret_entry, struct error *error)
{
    const struct catalog_entry *entry = entry_named(catalog, name);
    if (!entry) {
        char names[200];
        catalog_names(catalog, names, sizeof names);
        return error_set(error, -ENOENT, "", "data set \"%s\" is not on this machine (has: %s)",
                         name, names[0] ? names : "none");
    }
    if (!entry->usable)
        return error_set(error, -EBADMSG, "", "data set \"%s\" cannot be used: %s", name,
                         entry->problem.message);
    *ret_entry = entry;
    return 0;
}
