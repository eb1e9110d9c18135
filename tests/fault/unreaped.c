/* Linked into an archscout-worker with -Wl,--wrap=process_reap: while the file that UNREAPED names is there, no trainer that was
 * killed is ever gone, as one is not that waits in a driver. */
#include <stdlib.h>
#include <unistd.h>

#include "worker/agent_process.h"

int __real_process_reap(pid_t pid, int *ret_status) MUST_USE;
int __wrap_process_reap(pid_t pid, int *ret_status);

int __wrap_process_reap(pid_t pid, int *ret_status)
{
    const char *path = getenv("UNREAPED");
    if (path && access(path, F_OK) == 0)
        return 0;
    return __real_process_reap(pid, ret_status);
}
