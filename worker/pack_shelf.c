#include "worker/pack_shelf.h"

#include "worker/data/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pack_shelf {
    const struct catalog *catalog;
    char *cache_directory;                /* NULL: none */
    struct pack *packs[PACK_SHELF_PACKS]; /* most recently used first; NULL at the end */
};

int pack_shelf_new(const struct catalog *catalog, const char *cache_directory,
                   struct pack_shelf **ret_shelf)
{
    struct pack_shelf *shelf = calloc(1, sizeof *shelf);
    if (!shelf)
        return -ENOMEM;
    shelf->catalog = catalog;
    shelf->cache_directory = cache_directory ? strdup(cache_directory) : NULL;
    if (cache_directory && !shelf->cache_directory) {
        free(shelf);
        return -ENOMEM;
    }
    *ret_shelf = shelf;
    return 0;
}

void pack_shelf_free(struct pack_shelf *shelf)
{
    if (!shelf)
        return;
    for (size_t i = 0; i < PACK_SHELF_PACKS; i++)
        pack_free(shelf->packs[i]);
    free(shelf->cache_directory);
    free(shelf);
}

/* Moves the pack at `index` to the front. */
static void move_to_front(struct pack_shelf *shelf, size_t index)
{
    struct pack *pack = shelf->packs[index];
    memmove(shelf->packs + 1, shelf->packs, index * sizeof *shelf->packs);
    shelf->packs[0] = pack;
}

static void write_note(int outcome, const struct pack *pack, const struct error *reason,
                       char ret_note[PACK_NOTE_SIZE])
{
    const char *name = pack_dataset(pack)->name;
    if (outcome == CACHE_MADE)
        snprintf(ret_note, PACK_NOTE_SIZE, "%s: pack made", name);
    else if (outcome == CACHE_MADE_AGAIN)
        snprintf(ret_note, PACK_NOTE_SIZE, "%s: pack made again: %.400s", name, reason->message);
    else if (outcome == CACHE_PRIVATE)
        snprintf(ret_note, PACK_NOTE_SIZE, "%s: pack kept in memory, not shared: %.400s", name,
                 reason->message);
    else
        snprintf(ret_note, PACK_NOTE_SIZE, "%s: pack mapped", name);
}

int pack_shelf_get(struct pack_shelf *shelf, const char *name, const struct pack **ret_pack,
                   char ret_note[PACK_NOTE_SIZE], struct error *error)
{
    for (size_t i = 0; i < PACK_SHELF_PACKS && shelf->packs[i]; i++) {
        if (strcmp(pack_dataset(shelf->packs[i])->name, name) != 0)
            continue;
        move_to_front(shelf, i);
        ret_note[0] = '\0';
        *ret_pack = shelf->packs[0];
        return 0;
    }
    const struct catalog_entry *entry;
    int r = catalog_find(shelf->catalog, name, &entry, error);
    if (r < 0)
        return r;
    struct pack *pack;
    struct error reason = {0};
    int outcome = cache_open(shelf->cache_directory, &entry->source, &pack, &reason, error);
    if (outcome < 0)
        return outcome;
    pack_free(shelf->packs[PACK_SHELF_PACKS - 1]);
    shelf->packs[PACK_SHELF_PACKS - 1] = pack;
    move_to_front(shelf, PACK_SHELF_PACKS - 1);
    write_note(outcome, pack, &reason, ret_note);
    *ret_pack = pack;
    return 0;
}
