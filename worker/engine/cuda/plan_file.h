/* One execution plan on disk: a line with the format's version, the key, the engine's number, the plan's JSON, a checksum.
 *
 * Files are never trusted: what is damaged, cut short, of another format or made for another key is refused, and the caller
 * makes the plan again. They are written under another name and renamed, so that readers see a whole file or none. */
#ifndef WORKER_ENGINE_CUDA_PLAN_FILE_H
#define WORKER_ENGINE_CUDA_PLAN_FILE_H

#include "search/error.h"

#include <stddef.h>
#include <stdint.h>

enum { PLAN_KEY_SIZE = 256, PLAN_PATH_SIZE = 4096, PLAN_JSON_MAX = 4 << 20 };

uint64_t plan_hash(const void *bytes, size_t length); /* FNV-1a */

/* DIRECTORY/HASH.plan, the hash being the key's. -ENAMETOOLONG. */
int plan_file_path(const char *directory, const char *key, char ret_path[PLAN_PATH_SIZE]) MUST_USE;

/* The caller frees *ret_json, which is terminated. -ENOENT; -EBADMSG: damaged or of another format; -ESTALE: of another key;
 * -ENOMEM, and what the system says. */
int plan_file_read(const char *path, const char *key, int64_t *ret_engine, char **ret_json,
                   size_t *ret_length) MUST_USE;
int plan_file_write(const char *path, const char *key, int64_t engine, const char *json,
                    size_t length) MUST_USE;

#endif
