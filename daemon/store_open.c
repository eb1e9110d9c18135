/* Opening the store: the lock, the connection's settings, migrations, and the reserve of disk space. */
#include "daemon/store_internal.h"
#include "schema/migrations.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x41536374, /* "ASct": tells our files from other programs' */
    PATH_SIZE = 4096,
    PID_TEXT_SIZE = 24,
    BUSY_MS = 200 /* patience with a person who writes to the file by hand */
};

/* ---- the lock ---- */

static int refuse_second_daemon(int lock_fd, const char *directory, struct error *error)
{
    char holder[PID_TEXT_SIZE] = "";
    ssize_t length = pread(lock_fd, holder, sizeof(holder) - 1, 0);
    if (length > 0 && holder[length - 1] == '\n')
        holder[length - 1] = '\0';
    return error_set(error, -EBUSY, "", "%s is in use by another archscoutd (process %s)",
                     directory, holder[0] ? holder : "unknown");
}

/* The lock lives as long as the descriptor; the kernel drops it however the process ends. */
static int lock_directory(struct store *store, const char *directory, struct error *error)
{
    store->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory_fd < 0)
        return error_set(error, -errno, "", "cannot open the state directory %s: %s", directory,
                         strerror(errno));
    store->lock_fd =
        openat(store->directory_fd, "archscout.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return error_set(error, -errno, "", "cannot create archscout.lock in %s: %s", directory,
                         strerror(errno));
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return refuse_second_daemon(store->lock_fd, directory, error);
    char pid[PID_TEXT_SIZE];
    int length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    /* The pid only helps the message above: a full disk must not keep the daemon from starting. */
    if (ftruncate(store->lock_fd, 0) == 0 &&
        pwrite(store->lock_fd, pid, (size_t)length, 0) != length)
        return 0;
    return 0;
}

/* ---- the reserve ---- */

static uint64_t reserve_size(const struct store *store)
{
    struct stat status;
    return fstat(store->reserve_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Making the reserve again at once out of the space that giving it up has freed would be of no use: there has to be
 * twice as much. */
static bool space_is_ample(const struct store *store)
{
    struct statvfs file_system;
    if (fstatvfs(store->directory_fd, &file_system) < 0)
        return false;
    bool unlimited = file_system.f_blocks == 0;
    return unlimited || file_system.f_bavail * file_system.f_frsize >= 2 * store->reserve_bytes;
}

void store_reserve_release(struct store *store)
{
    if (ftruncate(store->reserve_fd, 0) < 0)
        snprintf(store->problem, sizeof(store->problem), "cannot give up archscout.reserve: %s",
                 strerror(errno));
}

bool store_reserve_ensure(struct store *store)
{
    if (reserve_size(store) >= store->reserve_bytes)
        return true;
    if (!space_is_ample(store))
        return false;
    if (posix_fallocate(store->reserve_fd, 0, (off_t)store->reserve_bytes) == 0)
        return true;
    store_reserve_release(store);
    return false;
}

static int open_reserve(struct store *store, struct error *error)
{
    store->reserve_fd =
        openat(store->directory_fd, "archscout.reserve", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->reserve_fd < 0)
        return error_set(error, -errno, "", "cannot create archscout.reserve: %s", strerror(errno));
    return 0;
}

/* ---- migrations ---- */

static int query_integer(struct store *store, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int r = 0;
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(statement, 0);
    else
        r = store_failure(store, code);
    sqlite3_finalize(statement);
    return r;
}

static int check_owner(struct store *store, struct error *error)
{
    int64_t application_id = 0, tables = 0;
    int r = query_integer(store, "PRAGMA application_id", &application_id);
    if (r == 0)
        r = query_integer(store, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r < 0)
        return error_set(error, r, "", "cannot read archscout.db: %s", store->problem);
    if (application_id == APPLICATION_ID)
        return 0;
    if (application_id != 0 || tables != 0)
        return error_set(error, -EPROTO, "", "archscout.db is another program's database");
    char sql[256];
    snprintf(sql, sizeof(sql),
             "BEGIN IMMEDIATE; PRAGMA application_id = %d;"
             "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
             " applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) STRICT; COMMIT",
             APPLICATION_ID);
    r = store_execute(store, sql);
    return r < 0 ? error_set(error, r, "", "cannot create archscout.db: %s", store->problem) : 0;
}

static int apply_migration(struct store *store, const struct migration *migration)
{
    static const char sql[] = "INSERT INTO schema_version (version, name) VALUES (?, ?)";
    int r = store_execute(store, "BEGIN IMMEDIATE");
    if (r == 0)
        r = store_execute(store, migration->sql);
    sqlite3_stmt *statement = NULL;
    if (r == 0) {
        int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
        r = code == SQLITE_OK ? 0 : store_failure(store, code);
    }
    if (r == 0) {
        struct binder binder = {statement, 1, SQLITE_OK};
        bind_integer(&binder, migration->version);
        bind_text(&binder, migration->name);
        r = store_run(store, &binder);
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : store_execute(store, "COMMIT");
}

static int migrate(struct store *store, struct error *error)
{
    int64_t version = 0;
    int r = query_integer(store, "SELECT ifnull(max(version), 0) FROM schema_version", &version);
    if (r < 0)
        return error_set(error, r, "", "cannot read archscout.db: %s", store->problem);
    if (version > (int64_t)schema_migration_count)
        return error_set(error, -EPROTO, "",
                         "archscout.db has schema version %lld, this program knows versions up to "
                         "%zu: use the newer "
                         "program, or restore a backup",
                         (long long)version, schema_migration_count);
    for (size_t i = (size_t)version; i < schema_migration_count; i++) {
        r = apply_migration(store, &schema_migrations[i]);
        if (r < 0)
            return error_set(error, r, "", "migration %u (%s) failed: %s",
                             schema_migrations[i].version, schema_migrations[i].name,
                             store->problem);
    }
    return 0;
}

/* ---- the connection ---- */

static int set_up_connection(struct store *store)
{
    /* WAL is what lets people read the file with other tools while the daemon runs. */
    sqlite3_busy_timeout(store->db, BUSY_MS);
    int r = store_execute(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                 "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                                 "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"
                                 "PRAGMA journal_size_limit = 67108864");
    sqlite3_wal_hook(store->db, store_note_wal_pages, store);
    return r;
}

static int open_database(struct store *store, const char *directory, struct error *error)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s/archscout.db", directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_set(error, -ENAMETOOLONG, "", "the state directory's path is too long");
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &store->db, flags, NULL);
    if (!store->db)
        return error_set(error, -ENOMEM, "", "out of memory opening %s", path);
    int r = code == SQLITE_OK ? set_up_connection(store) : store_failure(store, code);
    if (r < 0)
        return error_set(error, r, "", "cannot open %s: %s", path, store->problem);
    r = check_owner(store, error);
    return r < 0 ? r : migrate(store, error);
}

int store_open(const struct store_options *options, struct store **ret_store, struct error *error)
{
    assert(options->directory && ret_store);
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return error_set(error, -ENOMEM, "", "out of memory");
    store->directory_fd = store->lock_fd = store->reserve_fd = -1;
    store->reserve_bytes =
        options->reserve_bytes ? options->reserve_bytes : STORE_RESERVE_BYTES_DEFAULT;
    store->checkpoint_pages =
        options->checkpoint_pages ? (int)options->checkpoint_pages : STORE_CHECKPOINT_PAGES_DEFAULT;
    int r = lock_directory(store, options->directory, error);
    if (r == 0)
        r = open_reserve(store, error);
    if (r == 0)
        r = open_database(store, options->directory, error);
    if (r < 0) {
        store_close(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->db)
        store_rollback(store);
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    close_fd(store->reserve_fd);
    close_fd(store->lock_fd);
    close_fd(store->directory_fd);
    free(store);
}

static uint64_t size_at(int directory_fd, const char *name)
{
    struct stat status;
    return fstatat(directory_fd, name, &status, 0) == 0 ? (uint64_t)status.st_size : 0;
}

struct store_sizes store_sizes(const struct store *store)
{
    return (struct store_sizes){.database_bytes = size_at(store->directory_fd, "archscout.db"),
                                .wal_bytes = size_at(store->directory_fd, "archscout.db-wal")};
}
