#include "tests/fault/scene.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    fake_daemon_init(&scene->daemon);
    fake_daemon_listen(&scene->daemon);
    *state = scene;
    return 0;
}

int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    agent_process_release(&scene->agent);
    fake_daemon_release(&scene->daemon);
    free(scene);
    return 0;
}

void scene_start(struct scene *scene, const char *behaviour)
{
    static const char *const arguments[] = {"--slots", "1", "--stall-seconds", "1", NULL};
    agent_process_start(&scene->agent, scene->daemon.port, FAKE_TRAINER_PROGRAM, behaviour,
                        arguments);
}

uint64_t scene_push(struct scene *scene, uint64_t candidate)
{
    const struct wire_task task = fake_daemon_task(candidate, 2);
    return fake_daemon_push(&scene->daemon, &task);
}

uint64_t scene_push_long(struct scene *scene, uint64_t candidate)
{
    const struct wire_task task = fake_daemon_task(candidate, RECIPE_EPOCHS_MAX);
    return fake_daemon_push(&scene->daemon, &task);
}

void scene_end(struct scene *scene)
{
    assert_int_equal(agent_process_end(&scene->agent, SIGTERM), 0);
}

void scene_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not have \"%s\"", text, part);
}
