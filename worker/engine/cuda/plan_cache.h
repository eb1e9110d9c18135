/* Plans that have been built, in memory and on disk.
 *
 * A plan is found by pass, shape, types, limit of the workspace, cuDNN's version, the device's
 * description and whether a driver is here. What cannot be read, or loaded by cuDNN, is built again
 * and written over. A directory that cannot be written costs the disk's part alone. Belongs to one
 * thread; several processes may share the directory. */
#ifndef WORKER_ENGINE_CUDA_PLAN_CACHE_H
#define WORKER_ENGINE_CUDA_PLAN_CACHE_H

#include "worker/engine/cuda/planner.h"

enum { PLAN_CACHE_PLANS_MAX = 32768 };

struct plan_cache;

/* The directory must exist; NULL: memory only. The planner must outlive the cache. -ENOMEM, -ENAMETOOLONG. */
int plan_cache_new(struct planner *planner, const char *directory, struct plan_cache **ret_cache,
                   struct error *error) MUST_USE;
void plan_cache_free(struct plan_cache *cache); /* and its plans */

enum { PLAN_CACHE_MEMORY = 1, PLAN_CACHE_DISK = 2, PLAN_CACHE_BUILT = 3, PLAN_CACHE_REBUILT = 4 };
/* The plan that planner_build makes; the cache owns it. PLAN_CACHE_REBUILT: there was a file that
 * could not be used. Errors of planner_build; -E2BIG beyond PLAN_CACHE_PLANS_MAX. */
int plan_cache_get(struct plan_cache *cache, const struct plan_request *request,
                   const struct plan_binary **ret_plan, struct error *error) MUST_USE;
/* The plan that plan_cache_keep_timed was given here or by another process. -ENOENT where there is
 * none that can be used, -ENOMEM, -E2BIG. */
int plan_cache_timed(struct plan_cache *cache, const struct plan_request *request,
                     const struct plan_binary **ret_plan) MUST_USE;
/* Takes the plan, the fastest one for a request for which plan_cache_timed has none. On failure it
 * remains the caller's. -ENOMEM, -E2BIG. */
int plan_cache_keep_timed(struct plan_cache *cache, const struct plan_request *request,
                          struct plan_binary *plan, struct error *error) MUST_USE;
/* The file of a plan of plan_cache_get, for tests and messages. -ENOENT without a directory. */
int plan_cache_path(const struct plan_cache *cache, const struct plan_request *request,
                    char *ret_path) MUST_USE;
/* 0, or the last error of writing a file. */
int plan_cache_write_error(const struct plan_cache *cache);

#endif
