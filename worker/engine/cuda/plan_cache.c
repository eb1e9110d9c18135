#include "worker/engine/cuda/plan_cache.h"

#include "worker/engine/cuda/plan_file.h"

#include <assert.h>
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

/* Chosen by cuDNN's heuristics, or by their times. */
enum choice { BY_HEURISTICS, BY_TIME };

static void make_key(const struct plan_cache *cache, const struct plan_request *request,
                     enum choice choice, char ret_key[PLAN_KEY_SIZE])
{
    char text[CONVOLUTION_TEXT_SIZE], limit[32] = "any";
    convolution_text(&request->convolution, text);
    if (request->workspace_bytes_max != PLAN_WORKSPACE_ANY)
        snprintf(limit, sizeof limit, "%zu", request->workspace_bytes_max);
    const int length =
        snprintf(ret_key, PLAN_KEY_SIZE,
                 "%s of %s; nhwc bf16, sums f32 in one order; workspace %s; cudnn %zu%s; "
                 "device %016" PRIx64 "%s",
                 convolution_pass_name(request->pass), text, limit, planner_version(),
                 planner_has_driver(cache->planner) ? "" : " without driver",
                 planner_device(cache->planner), choice == BY_TIME ? "; timed" : "");
    assert(length > 0 && length < PLAN_KEY_SIZE);
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

/* PLAN_CACHE_DISK; -ENOENT where there is no file, another error where it cannot be used. */
static int load_entry(struct plan_cache *cache, const char *key, struct plan_binary **ret_plan)
{
    char path[PLAN_PATH_SIZE];
    if (!cache->directory[0])
        return -ENOENT;
    int r = plan_file_path(cache->directory, key, path);
    if (r == 0)
        r = load(cache, path, key, ret_plan);
    return r < 0 ? r : PLAN_CACHE_DISK;
}

static void store_entry(struct plan_cache *cache, const char *key, const struct plan_binary *plan)
{
    char path[PLAN_PATH_SIZE];
    if (!cache->directory[0])
        return;
    int r = plan_file_path(cache->directory, key, path);
    if (r < 0)
        cache->write_error = r;
    else
        store(cache, path, key, plan);
}

/* From disk or built: a PLAN_CACHE_ value. */
static int make_plan(struct plan_cache *cache, const struct plan_request *request, const char *key,
                     struct plan_binary **ret_plan, struct error *error)
{
    const int loaded = load_entry(cache, key, ret_plan);
    if (loaded >= 0)
        return loaded;
    int r = planner_build(cache->planner, request, ret_plan, error);
    if (r < 0)
        return r;
    store_entry(cache, key, *ret_plan);
    return loaded == -ENOENT ? PLAN_CACHE_BUILT : PLAN_CACHE_REBUILT;
}

/* Room for one more. */
static int make_entry(const struct plan_cache *cache, const char *key, struct entry **ret_entry,
                      struct error *error)
{
    if (cache->count == PLAN_CACHE_PLANS_MAX)
        return error_set(error, -E2BIG, "", "more than %d plans", PLAN_CACHE_PLANS_MAX);
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return error_set(error, -ENOMEM, "", "out of memory");
    memcpy(entry->key, key, strlen(key) + 1);
    *ret_entry = entry;
    return 0;
}

int plan_cache_get(struct plan_cache *cache, const struct plan_request *request,
                   const struct plan_binary **ret_plan, struct error *error)
{
    char key[PLAN_KEY_SIZE];
    make_key(cache, request, BY_HEURISTICS, key);
    struct entry **at = find(cache, key), *entry;
    if (*at) {
        *ret_plan = (*at)->plan;
        return PLAN_CACHE_MEMORY;
    }
    int outcome = make_entry(cache, key, &entry, error);
    if (outcome < 0)
        return outcome;
    outcome = make_plan(cache, request, key, &entry->plan, error);
    if (outcome < 0) {
        free(entry);
        return outcome;
    }
    *at = entry;
    cache->count++;
    *ret_plan = entry->plan;
    return outcome;
}

int plan_cache_timed(struct plan_cache *cache, const struct plan_request *request,
                     const struct plan_binary **ret_plan)
{
    char key[PLAN_KEY_SIZE];
    make_key(cache, request, BY_TIME, key);
    struct entry **at = find(cache, key), *entry;
    if (*at) {
        *ret_plan = (*at)->plan;
        return PLAN_CACHE_MEMORY;
    }
    struct plan_binary *plan;
    int outcome = load_entry(cache, key, &plan);
    if (outcome < 0)
        return outcome == -ENOMEM ? outcome : -ENOENT;
    int r = make_entry(cache, key, &entry, NULL);
    if (r < 0) {
        plan_binary_free(plan);
        return r;
    }
    entry->plan = plan;
    *at = entry;
    cache->count++;
    *ret_plan = plan;
    return outcome;
}

int plan_cache_keep_timed(struct plan_cache *cache, const struct plan_request *request,
                          struct plan_binary *plan, struct error *error)
{
    char key[PLAN_KEY_SIZE];
    make_key(cache, request, BY_TIME, key);
    struct entry **at = find(cache, key), *entry;
    assert(!*at);
    int r = make_entry(cache, key, &entry, error);
    if (r < 0)
        return r;
    entry->plan = plan;
    *at = entry;
    cache->count++;
    store_entry(cache, key, plan);
    return 0;
}

int plan_cache_path(const struct plan_cache *cache, const struct plan_request *request,
                    char *ret_path)
{
    char key[PLAN_KEY_SIZE];
    make_key(cache, request, BY_HEURISTICS, key);
    return cache->directory[0] ? plan_file_path(cache->directory, key, ret_path) : -ENOENT;
}

int plan_cache_write_error(const struct plan_cache *cache)
{
    return cache->write_error;
}
