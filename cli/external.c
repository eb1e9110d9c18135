#include "cli/external.h"

#include "cli/problem.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { EXTERNAL_WORDS_MAX = 64 };

/* The path of archscout-NAME beside this program. */
static bool program_path(const char *name, char ret_path[PATH_MAX])
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return false;
    own[length] = '\0';
    char *slash = strrchr(own, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return snprintf(ret_path, PATH_MAX, "%s/archscout-%s", own, name) < PATH_MAX;
}

enum exit_code external_run(struct cli *cli, const char *name, char *const *words)
{
    if (cli->json)
        return problem_say(cli, EXIT_CODE_USAGE, "`archscout %s` has no JSON", name);
    char path[PATH_MAX] = "";
    char *arguments[EXTERNAL_WORDS_MAX + 2] = {path};
    size_t count = 1;
    for (; *words && count <= EXTERNAL_WORDS_MAX; words++)
        arguments[count++] = *words;
    if (*words)
        return problem_say(cli, EXIT_CODE_USAGE, "more than %d words", EXTERNAL_WORDS_MAX);
    if (program_path(name, path))
        execv(path, arguments);
    return problem_say(cli, EXIT_CODE_FAILED, "cannot run %s: %m", path);
}
