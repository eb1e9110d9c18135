#include "worker/data/prefetch.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum prefetch_state { PREFETCH_IDLE, PREFETCH_ASKED, PREFETCH_RUNNING, PREFETCH_DONE };

struct prefetch {
    void (*run)(void *context, const struct prefetch_work *work);
    void *context;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    enum prefetch_state state;
    struct prefetch_work work; /* where not idle */
    bool stop;
};

static void *prefetch_main(void *context)
{
    struct prefetch *prefetch = context;
    pthread_mutex_lock(&prefetch->lock);
    for (;;) {
        while (!prefetch->stop && prefetch->state != PREFETCH_ASKED)
            pthread_cond_wait(&prefetch->changed, &prefetch->lock);
        if (prefetch->stop)
            break;
        prefetch->state = PREFETCH_RUNNING;
        const struct prefetch_work work = prefetch->work;
        pthread_mutex_unlock(&prefetch->lock);
        prefetch->run(prefetch->context, &work);
        pthread_mutex_lock(&prefetch->lock);
        prefetch->state = PREFETCH_DONE;
        pthread_cond_broadcast(&prefetch->changed);
    }
    pthread_mutex_unlock(&prefetch->lock);
    return NULL;
}

/* The thread inherits the mask: signals stay with the program's own threads. */
static int prefetch_start(struct prefetch *prefetch, struct error *error)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&prefetch->thread, NULL, prefetch_main, prefetch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return error_set(error, r, "", "no thread for loading: %s", strerror(-r));
    prefetch->started = true;
    return 0;
}

int prefetch_new(void (*run)(void *context, const struct prefetch_work *work), void *context,
                 struct prefetch **ret_prefetch, struct error *error)
{
    struct prefetch *prefetch = calloc(1, sizeof *prefetch);
    if (!prefetch)
        return error_set(error, -ENOMEM, "", "out of memory");
    prefetch->run = run;
    prefetch->context = context;
    /* With default attributes these two cannot fail. */
    pthread_mutex_init(&prefetch->lock, NULL);
    pthread_cond_init(&prefetch->changed, NULL);
    int r = prefetch_start(prefetch, error);
    if (r < 0) {
        prefetch_free(prefetch);
        return r;
    }
    *ret_prefetch = prefetch;
    return 0;
}

void prefetch_free(struct prefetch *prefetch)
{
    if (!prefetch)
        return;
    pthread_mutex_lock(&prefetch->lock);
    prefetch->stop = true;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
    if (prefetch->started)
        pthread_join(prefetch->thread, NULL);
    pthread_cond_destroy(&prefetch->changed);
    pthread_mutex_destroy(&prefetch->lock);
    free(prefetch);
}

void prefetch_ask(struct prefetch *prefetch, const struct prefetch_work *work)
{
    pthread_mutex_lock(&prefetch->lock);
    assert(prefetch->state == PREFETCH_IDLE);
    prefetch->work = *work;
    prefetch->state = PREFETCH_ASKED;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
}

static bool is_same(const struct prefetch_work *a, const struct prefetch_work *b)
{
    return a->training == b->training && a->epoch == b->epoch && a->index == b->index;
}

bool prefetch_take(struct prefetch *prefetch, const struct prefetch_work *work)
{
    pthread_mutex_lock(&prefetch->lock);
    while (prefetch->state == PREFETCH_RUNNING)
        pthread_cond_wait(&prefetch->changed, &prefetch->lock);
    const bool taken = prefetch->state == PREFETCH_DONE && is_same(&prefetch->work, work);
    prefetch->state = PREFETCH_IDLE;
    pthread_mutex_unlock(&prefetch->lock);
    return taken;
}

void prefetch_drop(struct prefetch *prefetch)
{
    pthread_mutex_lock(&prefetch->lock);
    while (prefetch->state == PREFETCH_RUNNING)
        pthread_cond_wait(&prefetch->changed, &prefetch->lock);
    prefetch->state = PREFETCH_IDLE;
    pthread_mutex_unlock(&prefetch->lock);
}
