#include "worker/engine/cuda/plan_cache.h"

#include "worker/engine/cuda/plan_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    struct plan_binary *plan;
    char key[PLAN_KEY_SIZE];
};

enum { BUCKETS = 1024 };

struct plan_cache {
    struct planner *planner;
    char directory[PLAN_PATH_SIZE]; /* "" where there is none */
    struct entry *buckets[BUCKETS];
    size_t count;
    int write_error;
};

static void free_bytes(char **bytes)
{
    free(*bytes);
}

int plan_cache_new(struct planner *planner, const char *directory, struct plan_cache **ret_cache,
                   struct error *error)
{
    const size_t length = directory ? strlen(directory) : 0;
    if (length + 64 > PLAN_PATH_SIZE)
        return error_set(error, -ENAMETOOLONG, "", "the plan cache's path is too long");
    struct plan_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return error_set(error, -ENOMEM, "", "out of memory");
    cache->planner = planner;
    if (directory)
        memcpy(cache->directory, directory, length + 1);
    *ret_cache = cache;
    return 0;
}

void plan_cache_free(struct plan_cache *cache)
{
    for (size_t i = 0; cache && i < BUCKETS; i++)
        while (cache->buckets[i]) {
            struct entry *entry = cache->buckets[i];
            cache->buckets[i] = entry->next;
            plan_binary_free(entry->plan);
            free(entry);
        }
    free(cache);
}

static void make_key(const struct plan_cache *cache, const struct convolution *convolution,
                     enum convolution_pass pass, char ret_key[PLAN_KEY_SIZE])
{
    char text[CONVOLUTION_TEXT_SIZE];
    convolution_text(convolution, text);
    snprintf(ret_key, PLAN_KEY_SIZE,
             "%s of %s; nhwc bf16, sums f32; cudnn %zu%s; device %016" PRIx64,
             convolution_pass_name(pass), text, planner_version(),
             planner_has_driver(cache->planner) ? "" : " without driver",
             planner_device(cache->planner));
}

static struct entry **find(struct plan_cache *cache, const char *key)
{
    struct entry **at = &cache->buckets[plan_hash(key, strlen(key)) % BUCKETS];
    while (*at && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

/* 0, -ENOENT where there is no file, another error where it cannot be used. */
static int load(struct plan_cache *cache, const char *path, const char *key,
                struct plan_binary **ret_plan)
{
    CLEANUP(free_bytes) char *json = NULL;
    size_t length;
    int64_t engine;
    int r = plan_file_read(path, key, &engine, &json, &length);
    return r < 0 ? r : planner_load(cache->planner, json, length, engine, ret_plan, NULL);
}

static void store(struct plan_cache *cache, const char *path, const char *key,
                  const struct plan_binary *plan)
{
    CLEANUP(free_bytes) char *json = NULL;
    size_t length;
    int r = plan_binary_json(plan, &json, &length, NULL);
    if (r == 0)
        r = plan_file_write(path, key, plan_binary_engine(plan), json, length);
    if (r < 0)
        cache->write_error = r;
}

/* From disk or built: a PLAN_CACHE_ value. */
static int make_plan(struct plan_cache *cache, const struct convolution *convolution,
                     enum convolution_pass pass, const char *key, struct plan_binary **ret_plan,
                     struct error *error)
{
    char path[PLAN_PATH_SIZE];
    int loaded = -ENOENT, r = 0;
    const bool disk = cache->directory[0] != '\0';
    if (disk)
        r = plan_file_path(cache->directory, key, path);
    if (r < 0)
        return error_set(error, r, "", "the plan cache's path is too long");
    if (disk)
        loaded = load(cache, path, key, ret_plan);
    if (loaded == 0)
        return PLAN_CACHE_DISK;
    r = planner_build(cache->planner, convolution, pass, ret_plan, error);
    if (r < 0)
        return r;
    if (disk)
        store(cache, path, key, *ret_plan);
    return loaded == -ENOENT ? PLAN_CACHE_BUILT : PLAN_CACHE_REBUILT;
}

int plan_cache_get(struct plan_cache *cache, const struct convolution *convolution,
                   enum convolution_pass pass, const struct plan_binary **ret_plan,
                   struct error *error)
{
    char key[PLAN_KEY_SIZE];
    make_key(cache, convolution, pass, key);
    struct entry **at = find(cache, key);
    if (*at) {
        *ret_plan = (*at)->plan;
        return PLAN_CACHE_MEMORY;
    }
    if (cache->count == PLAN_CACHE_PLANS_MAX)
        return error_set(error, -E2BIG, "", "more than %d plans", PLAN_CACHE_PLANS_MAX);
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return error_set(error, -ENOMEM, "", "out of memory");
    int outcome = make_plan(cache, convolution, pass, key, &entry->plan, error);
    if (outcome < 0) {
        free(entry);
        return outcome;
    }
    memcpy(entry->key, key, sizeof key);
    *at = entry;
    cache->count++;
    *ret_plan = entry->plan;
    return outcome;
}

int plan_cache_path(const struct plan_cache *cache, const struct convolution *convolution,
                    enum convolution_pass pass, char *ret_path)
{
    char key[PLAN_KEY_SIZE];
    make_key(cache, convolution, pass, key);
    return cache->directory[0] ? plan_file_path(cache->directory, key, ret_path) : -ENOENT;
}

int plan_cache_write_error(const struct plan_cache *cache)
{
    return cache->write_error;
}
