#include "tests/fault/memory_vfs.h"

#include "search/random.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 8, NAME_SIZE = 512, REGIONS_MAX = 64, SECTOR = 512, CAPACITY_MIN = 1 << 18 };

/* Contents now, and as of the latest sync; they differ within [dirty_from, dirty_to) and perhaps in size. */
struct memory_file {
    char name[NAME_SIZE];
    bool exists;
    uint8_t *bytes, *synced;
    size_t size, synced_size;
    size_t extent, capacity; /* all that was ever written lies below the extent; beyond it is 0 */
    size_t dirty_from, dirty_to;
    void *regions[REGIONS_MAX]; /* shared memory of the WAL index */
};

struct copy {
    char name[NAME_SIZE];
    uint8_t *bytes; /* NULL = no file */
    size_t size;
};

struct memory_vfs {
    sqlite3_vfs base;
    sqlite3_vfs *real; /* for randomness and time */
    struct memory_file files[FILES_MAX];
    struct copy backup[FILES_MAX];
    bool dead;
    uint64_t operations;
    uint64_t fail_at, fail_until;
    uint64_t failed;
    int error_number;
};

/* SQLite's handle. */
struct open_file {
    sqlite3_file base;
    struct memory_vfs *vfs;
    struct memory_file *file;
    bool delete_on_close;
};

static struct memory_vfs *vfs_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* ---- faults ---- */

static bool is_failing(struct memory_vfs *vfs)
{
    if (vfs->dead)
        return true;
    uint64_t operation = vfs->operations++;
    if (operation < vfs->fail_at || operation >= vfs->fail_until)
        return false;
    vfs->failed++;
    return true;
}

static int failure(const struct memory_vfs *vfs, int io_code)
{
    return vfs->error_number == ENOSPC && io_code == SQLITE_IOERR_WRITE ? SQLITE_FULL : io_code;
}

void memory_vfs_fail(struct memory_vfs *vfs, uint64_t operations, uint64_t failures,
                     int error_number)
{
    vfs->fail_at = vfs->operations + operations;
    vfs->fail_until = failures > UINT64_MAX - vfs->fail_at ? UINT64_MAX : vfs->fail_at + failures;
    vfs->failed = 0;
    vfs->error_number = error_number;
}

uint64_t memory_vfs_failed(const struct memory_vfs *vfs)
{
    return vfs->failed;
}

uint64_t memory_vfs_operations(const struct memory_vfs *vfs)
{
    return vfs->operations;
}

/* ---- contents ---- */

static int reserve(struct memory_file *file, size_t size)
{
    if (size <= file->capacity)
        return 0;
    size_t capacity = file->capacity ? file->capacity : CAPACITY_MIN;
    while (capacity < size)
        capacity *= 2;
    uint8_t *bytes = realloc(file->bytes, capacity);
    if (!bytes)
        return -ENOMEM;
    file->bytes = bytes;
    uint8_t *synced = realloc(file->synced, capacity);
    if (!synced)
        return -ENOMEM;
    file->synced = synced;
    memset(bytes + file->capacity, 0, capacity - file->capacity);
    memset(synced + file->capacity, 0, capacity - file->capacity);
    file->capacity = capacity;
    return 0;
}

static void touch(struct memory_file *file, size_t from, size_t to)
{
    if (file->dirty_from == file->dirty_to) {
        file->dirty_from = from;
        file->dirty_to = to;
        return;
    }
    file->dirty_from = from < file->dirty_from ? from : file->dirty_from;
    file->dirty_to = to > file->dirty_to ? to : file->dirty_to;
}

static int put(struct memory_file *file, const void *bytes, size_t length, size_t offset)
{
    if (length == 0)
        return 0;
    if (reserve(file, offset + length) < 0)
        return -ENOMEM;
    memcpy(file->bytes + offset, bytes, length);
    touch(file, offset, offset + length);
    if (offset + length > file->size)
        file->size = offset + length;
    if (file->size > file->extent)
        file->extent = file->size;
    return 0;
}

static void settle(struct memory_file *file)
{
    if (file->dirty_to > file->dirty_from)
        memcpy(file->synced + file->dirty_from, file->bytes + file->dirty_from,
               file->dirty_to - file->dirty_from);
    file->synced_size = file->size;
    file->dirty_from = file->dirty_to = 0;
}

static void drop_regions(struct memory_file *file)
{
    for (size_t i = 0; i < REGIONS_MAX; i++) {
        free(file->regions[i]);
        file->regions[i] = NULL;
    }
}

/* Its memory stays for the next file of this place. */
static void empty(struct memory_file *file)
{
    drop_regions(file);
    if (file->extent > 0) {
        memset(file->bytes, 0, file->extent);
        memset(file->synced, 0, file->extent);
    }
    *file = (struct memory_file){
        .bytes = file->bytes, .synced = file->synced, .capacity = file->capacity};
}

/* ---- sqlite3_io_methods ---- */

static struct open_file *open_file_of(sqlite3_file *file)
{
    return (struct open_file *)file;
}

static int vfs_close(sqlite3_file *handle)
{
    struct open_file *open = open_file_of(handle);
    if (open->delete_on_close)
        empty(open->file);
    return SQLITE_OK;
}

static int vfs_read(sqlite3_file *handle, void *buffer, int amount, sqlite3_int64 offset)
{
    const struct memory_file *file = open_file_of(handle)->file;
    size_t from = (size_t)offset, wanted = (size_t)amount;
    size_t there = from >= file->size ? 0 : file->size - from;
    size_t got = there < wanted ? there : wanted;
    if (got > 0)
        memcpy(buffer, file->bytes + from, got);
    memset((uint8_t *)buffer + got, 0, wanted - got);
    return got == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int vfs_write(sqlite3_file *handle, const void *bytes, int amount, sqlite3_int64 offset)
{
    struct open_file *open = open_file_of(handle);
    bool failing = is_failing(open->vfs);
    size_t length = failing ? (open->vfs->dead ? 0 : (size_t)amount / 2) : (size_t)amount;
    if (put(open->file, bytes, length, (size_t)offset) < 0)
        return SQLITE_IOERR_NOMEM;
    return failing ? failure(open->vfs, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int vfs_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct open_file *open = open_file_of(handle);
    if (is_failing(open->vfs))
        return failure(open->vfs, SQLITE_IOERR_TRUNCATE);
    if ((size_t)size < open->file->size) {
        memset(open->file->bytes + size, 0, open->file->size - (size_t)size);
        touch(open->file, (size_t)size, open->file->size);
        open->file->size = (size_t)size;
    }
    return SQLITE_OK;
}

static int vfs_sync(sqlite3_file *handle, int flags)
{
    struct open_file *open = open_file_of(handle);
    (void)flags;
    if (is_failing(open->vfs))
        return failure(open->vfs, SQLITE_IOERR_FSYNC);
    settle(open->file);
    return SQLITE_OK;
}

static int vfs_file_size(sqlite3_file *handle, sqlite3_int64 *ret_size)
{
    *ret_size = (sqlite3_int64)open_file_of(handle)->file->size;
    return SQLITE_OK;
}

static int vfs_lock(sqlite3_file *handle, int level)
{
    (void)handle;
    (void)level;
    return SQLITE_OK;
}

static int vfs_check_reserved_lock(sqlite3_file *handle, int *ret_held)
{
    (void)handle;
    *ret_held = 0;
    return SQLITE_OK;
}

static int vfs_file_control(sqlite3_file *handle, int operation, void *argument)
{
    (void)handle;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int vfs_sector_size(sqlite3_file *handle)
{
    (void)handle;
    return SECTOR;
}

static int vfs_characteristics(sqlite3_file *handle)
{
    (void)handle;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int vfs_shm_map(sqlite3_file *handle, int region, int size, int extend,
                       void volatile **ret_region)
{
    struct memory_file *file = open_file_of(handle)->file;
    assert(region < REGIONS_MAX);
    if (!file->regions[region] && extend) {
        file->regions[region] = calloc(1, (size_t)size);
        if (!file->regions[region])
            return SQLITE_IOERR_NOMEM;
    }
    *ret_region = file->regions[region];
    return SQLITE_OK;
}

static int vfs_shm_lock(sqlite3_file *handle, int offset, int count, int flags)
{
    (void)handle;
    (void)offset;
    (void)count;
    (void)flags;
    return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *handle)
{
    (void)handle;
}

static int vfs_shm_unmap(sqlite3_file *handle, int delete_it)
{
    if (delete_it)
        drop_regions(open_file_of(handle)->file);
    return SQLITE_OK;
}

static const sqlite3_io_methods io_methods = {
    .iVersion = 2,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_file_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_lock,
    .xCheckReservedLock = vfs_check_reserved_lock,
    .xFileControl = vfs_file_control,
    .xSectorSize = vfs_sector_size,
    .xDeviceCharacteristics = vfs_characteristics,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
};

/* ---- sqlite3_vfs ---- */

static struct memory_file *find(struct memory_vfs *vfs, const char *name)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (vfs->files[i].exists && strcmp(vfs->files[i].name, name) == 0)
            return &vfs->files[i];
    return NULL;
}

static struct memory_file *create(struct memory_vfs *vfs, const char *name)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (vfs->files[i].exists)
            continue;
        vfs->files[i].exists = true;
        snprintf(vfs->files[i].name, NAME_SIZE, "%s", name);
        return &vfs->files[i];
    }
    return NULL;
}

static int vfs_open(sqlite3_vfs *base, const char *name, sqlite3_file *handle, int flags,
                    int *ret_flags)
{
    struct memory_vfs *vfs = vfs_of(base);
    struct open_file *open = open_file_of(handle);
    const char *known_as = name ? name : "temporary";
    *open = (struct open_file){.vfs = vfs, .delete_on_close = !name};
    open->file = find(vfs, known_as);
    if (!open->file)
        open->file = create(vfs, known_as);
    if (!open->file)
        return SQLITE_CANTOPEN;
    open->base.pMethods = &io_methods;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *name, int sync_directory)
{
    struct memory_vfs *vfs = vfs_of(base);
    (void)sync_directory;
    if (is_failing(vfs))
        return SQLITE_IOERR_DELETE;
    struct memory_file *file = find(vfs, name);
    if (!file)
        return SQLITE_IOERR_DELETE_NOENT;
    empty(file);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *base, const char *name, int flags, int *ret_access)
{
    (void)flags;
    const struct memory_file *file = find(vfs_of(base), name);
    *ret_access = file && file->size > 0;
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *base, const char *name, int size, char *ret_name)
{
    (void)base;
    snprintf(ret_name, (size_t)size, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *base, int size, char *ret_bytes)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xRandomness(real, size, ret_bytes);
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds)
{
    (void)base;
    return microseconds;
}

static int vfs_current_time(sqlite3_vfs *base, sqlite3_int64 *ret_time)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xCurrentTimeInt64(real, ret_time);
}

static int vfs_last_error(sqlite3_vfs *base, int size, char *buffer)
{
    (void)size;
    (void)buffer;
    return vfs_of(base)->error_number;
}

int memory_vfs_install(struct memory_vfs **ret_vfs)
{
    struct memory_vfs *vfs = calloc(1, sizeof(*vfs));
    if (!vfs)
        return -ENOMEM;
    vfs->real = sqlite3_vfs_find(NULL);
    vfs->fail_at = UINT64_MAX;
    vfs->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct open_file),
        .mxPathname = NAME_SIZE - 1,
        .zName = "memory",
        .pAppData = vfs,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTimeInt64 = vfs_current_time,
        .xGetLastError = vfs_last_error,
    };
    sqlite3_vfs_register(&vfs->base, 1);
    *ret_vfs = vfs;
    return 0;
}

void memory_vfs_remove(struct memory_vfs *vfs)
{
    sqlite3_vfs_unregister(&vfs->base);
    sqlite3_vfs_register(vfs->real, 1);
    for (size_t i = 0; i < FILES_MAX; i++) {
        drop_regions(&vfs->files[i]);
        free(vfs->files[i].bytes);
        free(vfs->files[i].synced);
        free(vfs->backup[i].bytes);
    }
    free(vfs);
}

void memory_vfs_clear(struct memory_vfs *vfs)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        empty(&vfs->files[i]);
}

/* ---- backups ---- */

int memory_vfs_back_up(struct memory_vfs *vfs)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        const struct memory_file *file = &vfs->files[i];
        struct copy *copy = &vfs->backup[i];
        free(copy->bytes);
        copy->bytes = NULL;
        if (!file->exists)
            continue;
        copy->bytes = malloc(file->size + 1);
        if (!copy->bytes)
            return -ENOMEM;
        copy->size = file->size;
        if (file->size > 0)
            memcpy(copy->bytes, file->bytes, file->size);
        snprintf(copy->name, NAME_SIZE, "%s", file->name);
    }
    return 0;
}

int memory_vfs_restore(struct memory_vfs *vfs)
{
    memory_vfs_clear(vfs);
    for (size_t i = 0; i < FILES_MAX; i++) {
        const struct copy *copy = &vfs->backup[i];
        if (!copy->bytes)
            continue;
        struct memory_file *file = create(vfs, copy->name);
        if (put(file, copy->bytes, copy->size, 0) < 0)
            return -ENOMEM;
        settle(file);
    }
    return 0;
}

/* ---- dying and coming back ---- */

void memory_vfs_kill(struct memory_vfs *vfs)
{
    vfs->dead = true;
}

void memory_vfs_restart(struct memory_vfs *vfs)
{
    vfs->dead = false;
    for (size_t i = 0; i < FILES_MAX; i++)
        drop_regions(&vfs->files[i]);
}

static void lose_power(struct memory_file *file, struct random_stream *random)
{
    for (size_t from = file->dirty_from; from < file->dirty_to;) {
        size_t to = (from / SECTOR + 1) * SECTOR;
        to = to < file->dirty_to ? to : file->dirty_to;
        if (random_below(random, 2) == 0)
            memcpy(file->bytes + from, file->synced + from, to - from);
        from = to;
    }
    if (random_below(random, 2) == 0)
        file->size = file->synced_size;
    if (file->dirty_to > file->size)
        memset(file->bytes + file->size, 0, file->dirty_to - file->size);
    settle(file);
}

void memory_vfs_restart_after_power_failure(struct memory_vfs *vfs, uint64_t seed)
{
    struct random_stream random = random_stream_of(seed, 0, RANDOM_SHUFFLE);
    memory_vfs_restart(vfs);
    for (size_t i = 0; i < FILES_MAX; i++)
        lose_power(&vfs->files[i], &random);
}
