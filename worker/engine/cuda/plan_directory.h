/* Where plans are kept on disk. */
#ifndef WORKER_ENGINE_CUDA_PLAN_DIRECTORY_H
#define WORKER_ENGINE_CUDA_PLAN_DIRECTORY_H

#include "search/error.h"

enum { PLAN_DIRECTORY_SIZE = 4096 };

/* $ARCHSCOUT_CACHE/cudnn, else $XDG_CACHE_HOME/archscout/cudnn, else ~/.cache/archscout/cudnn; made where it is not there.
 * -ENOENT where none of the variables is set, -ENAMETOOLONG, or what mkdir says. */
int plan_directory(char ret_path[PLAN_DIRECTORY_SIZE], struct error *error) MUST_USE;

#endif
