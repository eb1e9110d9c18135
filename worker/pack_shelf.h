/* The packs that a trainer keeps mapped between tasks, by data set name. The least recently used one goes when the shelf
 * is full. Single-threaded. */
#ifndef WORKER_PACK_SHELF_H
#define WORKER_PACK_SHELF_H

#include "worker/data/catalog.h"
#include "worker/data/pack.h"

enum { PACK_SHELF_PACKS = 8, PACK_NOTE_SIZE = 512 };

struct pack_shelf;

/* The catalog must outlive the shelf. `cache_directory` NULL: packs are not shared. -ENOMEM. */
int pack_shelf_new(const struct catalog *catalog, const char *cache_directory,
                   struct pack_shelf **ret_shelf) MUST_USE;
void pack_shelf_free(struct pack_shelf *shelf);

/* The pack of a data set, valid until the next call. ret_note says for the log how the pack came about, "" where it was
 * on the shelf. Errors as catalog_find and cache_open. */
int pack_shelf_get(struct pack_shelf *shelf, const char *name, const struct pack **ret_pack,
                   char ret_note[PACK_NOTE_SIZE], struct error *error) MUST_USE;

#endif
