/* Unpacking archives by libarchive: tar (plain or compressed with gzip, bzip2, xz or zstd) and zip, told by their content.
 *
 * Only regular files and directories are unpacked, with their contents and nothing else of theirs. Everything that could
 * write outside the directory or fill the disk is refused (-EBADMSG), naming archive and entry: absolute paths, "..", links
 * of either kind, devices, two entries for one file, and sizes above the limits below. */
#ifndef WORKER_DATA_ARCHIVE_H
#define WORKER_DATA_ARCHIVE_H

#include "search/error.h"

#include <stdint.h>

enum {
    ARCHIVE_ENTRIES_MAX = 1 << 24,
    ARCHIVE_PATH_MAX = 1024, /* bytes of an entry's path */
    ARCHIVE_GROWTH_MAX =
        100 /* bytes unpacked a byte of the archive, beyond the first ARCHIVE_GROWTH_FREE */
};
#define ARCHIVE_GROWTH_FREE (UINT64_C(1) << 30)

struct archive_request {
    const char *path;
    const char *directory; /* empty; what is in it after a failure is the caller's to remove */
    uint64_t growth_free;  /* 0: ARCHIVE_GROWTH_FREE */
    /* Now and then, in bytes of the archive; not 0 ends it with -ECANCELED. May be NULL. */
    int (*on_progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* -EBADMSG also where the file is damaged or no archive at all. */
int archive_unpack(const struct archive_request *request, struct error *error) MUST_USE;

#endif
