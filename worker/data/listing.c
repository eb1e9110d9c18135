#include "worker/data/listing.h"

#include "worker/data/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LISTING_CAPACITY_FIRST = 64 };

void listing_release(struct listing *listing)
{
    for (uint32_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
    *listing = (struct listing){0};
}

static void directory_close(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

static int listing_add(struct listing *listing, const char *name)
{
    if (listing->count == LISTING_NAMES_MAX)
        return -E2BIG;
    if (listing->count == listing->capacity) {
        uint32_t capacity = listing->capacity ? 2 * listing->capacity : LISTING_CAPACITY_FIRST;
        char **names = realloc(listing->names, capacity * sizeof *names);
        if (!names)
            return -ENOMEM;
        listing->names = names;
        listing->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    listing->names[listing->count++] = copy;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int listing_read(const char *directory, struct listing *listing, struct error *error)
{
    CLEANUP(directory_close) DIR *stream = opendir(directory);
    if (!stream)
        return file_error(error, -errno, directory);
    CLEANUP(listing_release) struct listing made = {0};
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(stream);
        if (!item && errno)
            return file_error(error, -errno, directory);
        if (!item)
            break;
        if (item->d_name[0] == '.' || strcmp(item->d_name, "__MACOSX") == 0)
            continue;
        int r = listing_add(&made, item->d_name);
        if (r < 0)
            return file_error(error, r, directory);
    }
    if (made.count > 0)
        qsort(made.names, made.count, sizeof *made.names, compare);
    *listing = made;
    made = (struct listing){0};
    return 0;
}
