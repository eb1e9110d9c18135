#include "worker/dataset_fetch.h"

#include "proto/download.h"
#include "worker/dataset_digest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FETCH_WAIT_MS = 1000, FETCH_NAME_MAX = 100, FETCH_MEGABYTE = 1000000 };

bool fetch_is_url(const char *place)
{
    return strncasecmp(place, "http://", 7) == 0 || strncasecmp(place, "https://", 8) == 0;
}

static int on_download(void *context, uint64_t done, uint64_t total)
{
    return dataset_progress_show(context, "downloading", "MB", done / FETCH_MEGABYTE,
                                 total / FETCH_MEGABYTE);
}

/* The last part of the URL's path, without what a file's name should not have. */
static void name_of_url(const char *url, char ret_name[FETCH_NAME_MAX + 1])
{
    size_t length = strcspn(url, "?#"), start = length;
    while (start > 0 && url[start - 1] != '/')
        start--;
    size_t count = 0;
    for (size_t i = start; i < length && count < FETCH_NAME_MAX; i++) {
        bool good = isalnum((unsigned char)url[i]) || url[i] == '-' || (url[i] == '.' && count > 0);
        ret_name[count++] = good ? url[i] : '_';
    }
    ret_name[count] = '\0';
    if (count == 0)
        snprintf(ret_name, FETCH_NAME_MAX + 1, "file");
}

/* FNV-1a, 64 bits */
static uint64_t hash_urls(const struct known_dataset *wanted)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < wanted->file_count; i++)
        for (const char *at = wanted->files[i].url; *at; at++)
            hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    return hash;
}

static int fetch_file(const struct known_file *file, const char *path,
                      struct dataset_progress *progress, struct error *error)
{
    const struct download_request request = {.url = file->url,
                                             .path = path,
                                             .resume = file->sha256 != NULL,
                                             .bytes = file->bytes,
                                             .wait_ms = FETCH_WAIT_MS,
                                             .on_progress = on_download,
                                             .context = progress};
    int r = download_run(&request, error);
    if (r < 0)
        return r;
    struct error problem = {0};
    r = digest_check(path, file->bytes, file->sha256, &problem);
    file_show_as(problem.message, sizeof problem.message, path, file->url);
    if (r < 0 && error)
        *error = problem;
    return r;
}

/* Whether a later call may go on with what is there. */
static bool can_go_on(const struct known_dataset *wanted, int code)
{
    bool interrupted = code == -ECANCELED || code == -ECONNREFUSED || code == -EHOSTUNREACH ||
                       code == -ETIMEDOUT || code == -ECONNRESET || code == -EIO;
    return code == -EBUSY || (interrupted && wanted->files[0].sha256);
}

static int fetch_all(const struct known_dataset *wanted, struct fetched *fetched,
                     struct dataset_progress *progress, struct error *error)
{
    int r = file_make_directories(fetched->directory, 0777, error);
    for (uint32_t i = 0; i < wanted->file_count && r == 0; i++) {
        char name[FETCH_NAME_MAX + 1];
        name_of_url(wanted->files[i].url, name);
        r = file_join(fetched->path, fetched->directory, name, "", error);
        if (r == 0)
            r = fetch_file(&wanted->files[i], fetched->path, progress, error);
    }
    if (wanted->file_count > 1)
        memcpy(fetched->path, fetched->directory, sizeof fetched->path);
    return r;
}

int fetch(const struct known_dataset *wanted, const char *home, struct dataset_progress *progress,
          struct fetched *ret_fetched, struct error *error)
{
    struct fetched fetched = {0};
    char name[64];
    snprintf(name, sizeof name, ".downloads/%016" PRIx64, hash_urls(wanted));
    int r = file_join(fetched.directory, home, name, "", error);
    if (r == 0)
        r = fetch_all(wanted, &fetched, progress, error);
    if (r == 0)
        *ret_fetched = fetched;
    else if (!can_go_on(wanted, r))
        fetched_release(&fetched);
    return r;
}

void fetched_release(struct fetched *fetched)
{
    if (fetched->directory[0] == '\0')
        return;
    file_remove_tree(fetched->directory);
    *strrchr(fetched->directory, '/') = '\0';
    rmdir(fetched->directory); /* .downloads, where it is empty */
    *fetched = (struct fetched){0};
}
