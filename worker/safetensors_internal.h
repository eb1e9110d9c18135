/* What the files of safetensors share. May be included by safetensors*.c only. */
#ifndef WORKER_SAFETENSORS_INTERNAL_H
#define WORKER_SAFETENSORS_INTERNAL_H

#include "proto/sha256.h"
#include "worker/safetensors.h"

/* How a file's JSON begins that has our checksum; its 64 digits follow. */
extern const char safetensors_header_start[];
extern const char safetensors_no_checksum[SHA256_TEXT_SIZE]; /* 64 zeros */

#endif
