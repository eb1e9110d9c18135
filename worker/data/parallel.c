#include "worker/data/parallel.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

struct team {
    const struct parallel *parallel;
    atomic_uint_fast64_t next, done;
    atomic_uint_fast64_t stop_at; /* items from here on need not be done */
    pthread_mutex_t lock;         /* of what follows */
    int code;
    struct error error; /* of item stop_at */
};

struct member {
    struct team *team;
    uint32_t thread;
    pthread_t id;
};

uint32_t parallel_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > PARALLEL_THREADS_MAX ? PARALLEL_THREADS_MAX : (uint32_t)count;
}

/* Keeps the failure of the first item. */
static void team_fail(struct team *team, uint64_t index, int code, const struct error *error)
{
    pthread_mutex_lock(&team->lock);
    if (index < atomic_load(&team->stop_at)) {
        atomic_store(&team->stop_at, index);
        team->code = code;
        team->error = *error;
    }
    pthread_mutex_unlock(&team->lock);
}

static void team_report(struct team *team)
{
    const struct parallel *parallel = team->parallel;
    if (!parallel->on_progress ||
        parallel->on_progress(parallel->progress_context, atomic_load(&team->done),
                              parallel->count) == 0)
        return;
    const struct error error = {.message = "stopped"};
    team_fail(team, 0, -ECANCELED, &error);
}

static void *member_run(void *argument)
{
    const struct member *member = argument;
    struct team *team = member->team;
    for (;;) {
        uint64_t index = atomic_fetch_add(&team->next, 1);
        if (index >= atomic_load(&team->stop_at))
            return NULL;
        struct error error = {0};
        int code = team->parallel->work(team->parallel->context, member->thread, index, &error);
        if (code < 0)
            team_fail(team, index, code, &error);
        atomic_fetch_add(&team->done, 1);
        if (member->thread == 0)
            team_report(team);
    }
}

int parallel_run(const struct parallel *parallel, struct error *error)
{
    assert(parallel->threads >= 1 && parallel->threads <= PARALLEL_THREADS_MAX);
    struct team team = {.parallel = parallel, .lock = PTHREAD_MUTEX_INITIALIZER};
    atomic_store(&team.stop_at, parallel->count);
    struct member members[PARALLEL_THREADS_MAX];
    uint32_t started = 1;
    for (; started < parallel->threads && started < parallel->count; started++) {
        members[started] = (struct member){.team = &team, .thread = started};
        int code = pthread_create(&members[started].id, NULL, member_run, &members[started]);
        if (code == 0)
            continue;
        const struct error problem = {.message = "cannot start a thread"};
        team_fail(&team, 0, -code, &problem);
        break;
    }
    members[0] = (struct member){.team = &team};
    member_run(&members[0]);
    for (uint32_t i = 1; i < started; i++)
        pthread_join(members[i].id, NULL);
    pthread_mutex_destroy(&team.lock);
    if (team.code < 0 && error)
        *error = team.error;
    return team.code;
}
