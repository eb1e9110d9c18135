#include "worker/machine.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "search/attributes.h"

static void file_release(FILE **file)
{
    if (*file)
        fclose(*file);
}

uint32_t machine_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

/* The first line without its end; false where there is none. */
static bool read_line(const char *path, char *line, int size)
{
    CLEANUP(file_release) FILE *file = fopen(path, "re");
    if (!file || !fgets(line, size, file))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* The limit in one group's memory.max; SIZE_MAX where there is none ("max", or no such file). */
static size_t group_limit(const char *directory)
{
    char path[PATH_MAX + 16], line[64];
    snprintf(path, sizeof path, "%s/memory.max", directory);
    if (!read_line(path, line, sizeof line))
        return SIZE_MAX;
    char *end;
    errno = 0;
    const unsigned long long bytes = strtoull(line, &end, 10);
    return end == line || *end != '\0' || errno != 0 ? SIZE_MAX : (size_t)bytes;
}

/* The process's group and all that it lies in: "0::/a/b" is limited by /a/b and by /a. */
static size_t groups_limit(const char *proc, const char *cgroups)
{
    char line[PATH_MAX], directory[PATH_MAX];
    size_t smallest = SIZE_MAX;
    if (!read_line(proc, line, sizeof line) || strncmp(line, "0::", 3) != 0)
        return smallest;
    const int length = snprintf(directory, sizeof directory, "%s%s", cgroups, line + 3);
    if (length < 0 || (size_t)length >= sizeof directory)
        return smallest;
    const size_t root = strlen(cgroups);
    while (strlen(directory) > root) {
        const size_t limit = group_limit(directory);
        smallest = limit < smallest ? limit : smallest;
        *strrchr(directory, '/') = '\0';
    }
    return smallest;
}

size_t machine_memory_bytes(const char *proc, const char *cgroups)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    size_t bytes = pages > 0 && page_bytes > 0 ? (size_t)pages * (size_t)page_bytes : SIZE_MAX;
    const size_t limit = groups_limit(proc, cgroups);
    bytes = limit < bytes ? limit : bytes;
    return bytes == SIZE_MAX ? 0 : bytes;
}
