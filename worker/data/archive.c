#include "worker/data/archive.h"

#include "worker/data/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>

enum { ARCHIVE_READ_BLOCK = 1 << 18, ARCHIVE_COPY_BLOCK = 1 << 16 };

struct unpacking {
    const struct archive_request *request;
    struct archive *archive;
    uint64_t archive_bytes, bytes_max;
    uint64_t bytes, entries; /* unpacked so far */
    struct error *error;
};

static void archive_release(struct archive **archive)
{
    archive_read_free(*archive);
}

static int fail(const struct unpacking *unpacking, const char *entry, const char *what)
{
    return error_set(unpacking->error, -EBADMSG, "", "%.200s: %.150s: %s", unpacking->request->path,
                     entry, what);
}

/* What the library says of the file. */
static int fail_damaged(const struct unpacking *unpacking)
{
    const char *detail = archive_error_string(unpacking->archive);
    if (archive_errno(unpacking->archive) == ENOMEM)
        return file_error(unpacking->error, -ENOMEM, unpacking->request->path);
    return error_set(unpacking->error, -EBADMSG, "",
                     "%.300s: no archive that can be read, or a damaged one: %.100s",
                     unpacking->request->path, detail ? detail : "unknown format");
}

/* NULL where the path may be unpacked, else what is wrong with it. */
static const char *path_problem(const char *path)
{
    if (path[0] == '/')
        return "an absolute path";
    if (strnlen(path, ARCHIVE_PATH_MAX) == ARCHIVE_PATH_MAX)
        return "its path is too long";
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.')
            return "its path leads out of the archive";
        if (length > NAME_MAX)
            return "its name is too long";
        if (strchr(part, '\\'))
            return "its path has a backslash";
    }
    return NULL;
}

static const char *entry_problem(struct archive_entry *entry, const char *path)
{
    const char *problem = path_problem(path);
    if (problem)
        return problem;
    if (archive_entry_hardlink(entry) || archive_entry_symlink(entry) ||
        archive_entry_filetype(entry) == AE_IFLNK)
        return "a link; archives with links are not unpacked";
    if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != AE_IFDIR)
        return "neither a file nor a directory";
    if (archive_entry_is_encrypted(entry))
        return "encrypted";
    return NULL;
}

/* Copies the entry's content, whatever size its header says. */
static int copy_content(struct unpacking *unpacking, int fd, const char *target, const char *name)
{
    char block[ARCHIVE_COPY_BLOCK];
    for (;;) {
        la_ssize_t got = archive_read_data(unpacking->archive, block, sizeof block);
        if (got == 0)
            return 0;
        if (got < 0)
            return fail_damaged(unpacking);
        unpacking->bytes += (uint64_t)got;
        if (unpacking->bytes > unpacking->bytes_max)
            return fail(unpacking, name, "unpacks to far more than the archive's own size");
        for (la_ssize_t done = 0; done < got;) {
            ssize_t wrote = write(fd, block + done, (size_t)(got - done));
            if (wrote < 0 && errno != EINTR)
                return file_error(unpacking->error, -errno, target);
            done += wrote > 0 ? wrote : 0;
        }
    }
}

static int make_parents(const struct unpacking *unpacking, char *target)
{
    char *slash = strrchr(target, '/');
    *slash = '\0';
    int r = file_make_directories(target, 0777, unpacking->error);
    *slash = '/';
    return r;
}

static int unpack_file(struct unpacking *unpacking, char *target, const char *name)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    CLEANUP(file_close) int fd = open(target, flags, 0644);
    if (fd < 0 && errno == ENOENT) {
        int r = make_parents(unpacking, target);
        if (r < 0)
            return r;
        fd = open(target, flags, 0644);
    }
    if (fd < 0 && errno == EEXIST)
        return fail(unpacking, name, "is in the archive twice");
    if (fd < 0)
        return file_error(unpacking->error, -errno, target);
    return copy_content(unpacking, fd, target, name);
}

static int unpack_entry(struct unpacking *unpacking, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    if (!name)
        return fail(unpacking, "?", "its name cannot be read");
    if (++unpacking->entries > ARCHIVE_ENTRIES_MAX)
        return fail(unpacking, name, "too many files");
    const char *problem = entry_problem(entry, name);
    if (problem)
        return fail(unpacking, name, problem);
    char target[FILE_PATH_SIZE];
    int r = file_join(target, unpacking->request->directory, name, "", unpacking->error);
    if (r < 0)
        return r;
    if (archive_entry_filetype(entry) == AE_IFDIR)
        return file_make_directories(target, 0777, unpacking->error);
    return unpack_file(unpacking, target, name);
}

static int unpack_all(struct unpacking *unpacking)
{
    const struct archive_request *request = unpacking->request;
    for (;;) {
        struct archive_entry *entry;
        int code = archive_read_next_header(unpacking->archive, &entry);
        if (code == ARCHIVE_EOF)
            break;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return fail_damaged(unpacking);
        int r = unpack_entry(unpacking, entry);
        if (r < 0)
            return r;
        uint64_t done = (uint64_t)archive_filter_bytes(unpacking->archive, -1);
        if (request->on_progress &&
            request->on_progress(request->context, done, unpacking->archive_bytes))
            return error_set(unpacking->error, -ECANCELED, "", "stopped");
    }
    if (unpacking->entries == 0)
        return error_set(unpacking->error, -EBADMSG, "", "%.300s: an empty archive", request->path);
    return 0;
}

static bool set_formats(struct archive *archive)
{
    return archive_read_support_format_tar(archive) == ARCHIVE_OK &&
           archive_read_support_format_zip(archive) == ARCHIVE_OK &&
           archive_read_support_filter_gzip(archive) == ARCHIVE_OK &&
           archive_read_support_filter_bzip2(archive) == ARCHIVE_OK &&
           archive_read_support_filter_xz(archive) == ARCHIVE_OK &&
           archive_read_support_filter_zstd(archive) == ARCHIVE_OK;
}

int archive_unpack(const struct archive_request *request, struct error *error)
{
    struct stat status;
    if (stat(request->path, &status) < 0)
        return file_error(error, -errno, request->path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EBADMSG, "", "%.300s: neither a directory nor a file",
                         request->path);
    CLEANUP(archive_release) struct archive *archive = archive_read_new();
    if (!archive)
        return file_error(error, -ENOMEM, request->path);
    struct unpacking unpacking = {.request = request,
                                  .archive = archive,
                                  .archive_bytes = (uint64_t)status.st_size,
                                  .error = error};
    unpacking.bytes_max = (request->growth_free ? request->growth_free : ARCHIVE_GROWTH_FREE) +
                          ARCHIVE_GROWTH_MAX * unpacking.archive_bytes;
    if (!set_formats(archive) ||
        archive_read_open_filename(archive, request->path, ARCHIVE_READ_BLOCK) != ARCHIVE_OK)
        return fail_damaged(&unpacking);
    return unpack_all(&unpacking);
}
