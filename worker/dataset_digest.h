/* SHA-256 of files that data sets are made of. */
#ifndef WORKER_DATASET_DIGEST_H
#define WORKER_DATASET_DIGEST_H

#include "search/error.h"

#include <stdint.h>

enum { DIGEST_SIZE = 65 /* 64 hexadecimal digits and the zero */ };

/* Lower case. Errno values of the file system. */
int digest_file(const char *path, char ret_sha256[DIGEST_SIZE], struct error *error) MUST_USE;

/* Compares a file with what it must be; `bytes` 0 and `sha256` NULL are not looked at. -EBADMSG with both values where it
 * is something else. */
int digest_check(const char *path, uint64_t bytes, const char *sha256,
                 struct error *error) MUST_USE;

#endif
