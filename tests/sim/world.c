#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CALM_STEPS_MAX = 20000, SPEC_SIZE = 2048 };

static uint64_t below(struct world *world, uint64_t bound)
{
    return random_below(&world->random, bound);
}

static bool chance(struct world *world, uint64_t one_in)
{
    return below(world, one_in) == 0;
}

static uint64_t now_ms(const struct world *world)
{
    return world->rig.now.monotonic_ms;
}

/* What happens, on standard error where the seed is looked into. */
static void FORMAT_PRINTF(2, 3) trace(const struct world *world, const char *format, ...)
{
    if (!world->tracing)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%4llu %9llu ms  ", (unsigned long long)world->oracle.step,
            (unsigned long long)now_ms(world));
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* ---- replies ---- */

static struct reply *reply(struct world *world, enum reply_kind kind, size_t worker, size_t slot)
{
    assert(world->reply_count < TICK_REPLIES_MAX);
    struct reply *added = &world->replies[world->reply_count++];
    memset(added, 0, sizeof(*added));
    added->kind = kind;
    added->worker = worker;
    added->slot = slot;
    if (kind == REPLY_LEASE || kind == REPLY_REPORT || kind == REPLY_RESULT)
        world->workers[worker].slots[slot].waiting = true;
    return added;
}

static struct oracle_candidate *candidate_of(struct world *world, const struct task *task)
{
    return &oracle_search(&world->oracle, task->search)->candidates[task->candidate];
}

/* Names the candidate, so that another's would be told. */
static struct checkpoint checkpoint_of(const struct task *task, uint64_t steps)
{
    struct checkpoint checkpoint = {.bytes = 1 + steps, .steps_done = steps};
    memcpy(checkpoint.sha256, &task->search, sizeof task->search);
    memcpy(checkpoint.sha256 + 8, &task->candidate, sizeof task->candidate);
    memcpy(checkpoint.sha256 + 16, &steps, sizeof steps);
    return checkpoint;
}

/* What was acknowledged is not lost, and nobody continues from another candidate's checkpoint. */
static void check_checkpoint(struct world *world, const struct task *task)
{
    const struct checkpoint *checkpoint = &task->checkpoint;
    const struct checkpoint expected = checkpoint_of(task, checkpoint->steps_done);
    if (checkpoint->steps_done < candidate_of(world, task)->checkpoint_steps)
        oracle_breach(&world->oracle, "a checkpoint was lost");
    if (checkpoint->bytes && (checkpoint->bytes != expected.bytes ||
                              memcmp(checkpoint->sha256, expected.sha256, SHA256_SIZE) != 0))
        oracle_breach(&world->oracle, "a candidate continues from another's checkpoint");
}

static void receive_lease(struct world *world, const struct reply *reply)
{
    struct world_slot *slot = &world->workers[reply->worker].slots[reply->slot];
    oracle_granted(&world->oracle, &reply->task);
    slot->working = true;
    slot->over = slot->tried = slot->delivered = false;
    slot->task = reply->task;
    slot->result = rig_result(&reply->task);
    slot->checkpoint_steps = slot->task.checkpoint.steps_done;
    check_checkpoint(world, &slot->task);
    if (world->calm)
        return;
    static const enum outcome mishaps[] = {OUTCOME_LOST, OUTCOME_FAILED, OUTCOME_OUT_OF_MEMORY};
    if (chance(world, 6))
        slot->result.outcome = mishaps[below(world, ARRAY_LENGTH(mishaps))];
}

static void receive_result(struct world *world, const struct reply *reply)
{
    struct world_slot *slot = &world->workers[reply->worker].slots[reply->slot];
    slot->working = false;
    if (reply->answer == -ESTALE)
        return;
    oracle_accepted(&world->oracle, &slot->task, &slot->result, reply->answer);
    slot->delivered = true;
    slot->answer = reply->answer;
}

static void acknowledge_checkpoint(struct world *world, const struct world_slot *slot,
                                   uint64_t steps)
{
    struct oracle_candidate *candidate = candidate_of(world, &slot->task);
    if (steps > candidate->checkpoint_steps)
        candidate->checkpoint_steps = steps;
}

static void receive(struct world *world, const struct reply *reply)
{
    struct world_worker *worker = &world->workers[reply->worker];
    struct world_slot *slot = &worker->slots[reply->slot];
    struct oracle_search *search;
    switch (reply->kind) {
    case REPLY_TO_NOBODY:
        break;
    case REPLY_REGISTERED:
        worker->registered = true;
        break;
    case REPLY_LEASE:
        receive_lease(world, reply);
        break;
    case REPLY_REPORT:
        if (reply->answer == 0 || reply->answer == REPORT_HAND_BACK)
            acknowledge_checkpoint(world, slot, reply->checkpoint_steps);
        if (reply->answer == REPORT_HAND_BACK && !chance(world, 3))
            slot->result.outcome = OUTCOME_RETURNED;
        /* Some trainers do not stop when they are told, and deliver late. */
        if (reply->answer == -ESTALE || (reply->answer == REPORT_STOP && !chance(world, 3)))
            slot->working = false;
        break;
    case REPLY_RESULT:
        receive_result(world, reply);
        break;
    case REPLY_SUBMITTED:
        search = &world->oracle.searches[world->oracle.search_count++];
        *search = (struct oracle_search){
            .id = reply->search, .state = SEARCH_RUNNING, .counted_at_cancel = UINT64_MAX};
        /* Its first leases may be of this very tick. */
        for (size_t i = 0; i < ORACLE_CANDIDATES_MAX; i++)
            search->candidates[i].renewed_ms = now_ms(world);
        break;
    case REPLY_STEERED:
        oracle_search(&world->oracle, reply->search)->state = reply->state;
        break;
    }
}

/* ---- what workers do ---- */

/* True where the daemon did not know the worker: it registers at its next turn. */
static bool must_register(struct world_worker *worker, int answer)
{
    if (answer == -ENOENT)
        worker->registered = false;
    return answer == -ENOENT;
}

static void renewed(struct world *world, struct world_slot *slot, const struct task *task)
{
    slot->renewed_ms = now_ms(world);
    for (size_t i = 0; i < world->oracle.search_count; i++)
        if (world->oracle.searches[i].id == task->search)
            world->oracle.searches[i].candidates[task->candidate].renewed_ms = now_ms(world);
}

static void ask_for_work(struct world *world, size_t w, size_t s)
{
    struct world_worker *worker = &world->workers[w];
    struct task task;
    int r = coordinator_lease(world->rig.coordinator, worker->name, (uint32_t)s, &task);
    if (must_register(worker, r) || r != 0)
        return;
    trace(world, "%s/%zu leases attempt %llu of %llu/%llu", worker->name, s,
          (unsigned long long)task.attempt, (unsigned long long)task.search,
          (unsigned long long)task.candidate);
    renewed(world, &worker->slots[s], &task);
    reply(world, REPLY_LEASE, w, s)->task = task;
}

static uint64_t deadline_ms(const struct world *world, const struct world_slot *slot)
{
    uint64_t rebuilt_ms = world->oracle.rebuilt_ms;
    return (slot->renewed_ms > rebuilt_ms ? slot->renewed_ms : rebuilt_ms) + RIG_LEASE_MS;
}

/* A lease that the daemon has seen renewed within its term cannot be over. */
static void check_stale(struct world *world, const struct world_slot *slot, int answer)
{
    if (answer == -ESTALE && !slot->over && now_ms(world) < deadline_ms(world, slot))
        oracle_breach(&world->oracle, "a lease ended before its deadline");
}

static void report_progress(struct world *world, size_t w, size_t s)
{
    struct world_worker *worker = &world->workers[w];
    struct world_slot *slot = &worker->slots[s];
    struct epoch_metrics epoch = {.number = 1 + (uint32_t)below(world, 2),
                                  .validation_accuracy = 0.5};
    if (chance(world, 2))
        slot->checkpoint_steps += 1 + below(world, 3);
    struct report report = {.worker = worker->name,
                            .attempt = slot->task.attempt,
                            .epoch = slot->task.epoch,
                            .steps_done = 1,
                            .steps_total = 2,
                            .epochs = &epoch,
                            .epoch_count = (uint32_t)below(world, 2)};
    if (slot->checkpoint_steps > 0)
        report.checkpoint = checkpoint_of(&slot->task, slot->checkpoint_steps);
    int r = coordinator_report(world->rig.coordinator, &report);
    trace(world, "%s/%zu reports attempt %llu: %d", worker->name, s,
          (unsigned long long)slot->task.attempt, r);
    if (must_register(worker, r))
        return;
    if (!slot->tried)
        check_stale(world, slot, r);
    if (r >= 0)
        renewed(world, slot, &slot->task);
    if (r < 0 && r != -ESTALE)
        return;
    struct reply *added = reply(world, REPLY_REPORT, w, s);
    added->answer = r;
    added->checkpoint_steps = slot->checkpoint_steps;
}

static void deliver(struct world *world, size_t w, size_t s)
{
    struct world_worker *worker = &world->workers[w];
    struct world_slot *slot = &worker->slots[s];
    int r = coordinator_result(world->rig.coordinator, worker->name, slot->task.attempt,
                               slot->task.epoch, &slot->result);
    trace(world, "%s/%zu delivers %s of attempt %llu: %d", worker->name, s,
          outcome_name(slot->result.outcome), (unsigned long long)slot->task.attempt, r);
    if (must_register(worker, r))
        return;
    check_stale(world, slot, r);
    slot->tried = true;
    if (slot->result.outcome != OUTCOME_LOST && slot->result.outcome != OUTCOME_RETURNED)
        candidate_of(world, &slot->task)->checkpoint_steps = 0;
    if (r >= 0 || r == -ESTALE)
        reply(world, REPLY_RESULT, w, s)->answer = r;
}

/* I2: the same result again gets the same answer, and another one for the same attempt as well. */
static void deliver_again(struct world *world, size_t w, size_t s)
{
    struct world_worker *worker = &world->workers[w];
    struct world_slot *slot = &worker->slots[s];
    struct result other = slot->result;
    if (chance(world, 2))
        other.accuracy /= 2;
    int r = coordinator_result(world->rig.coordinator, worker->name, slot->task.attempt,
                               slot->task.epoch, &other);
    if (!must_register(worker, r) && r >= -1 && r != slot->answer)
        oracle_breach(&world->oracle, "a repeated result got another answer");
    if (r == -ESTALE)
        oracle_breach(&world->oracle, "a repeated result was called stale");
}

static void crash_worker(struct world *world, size_t w)
{
    for (size_t i = 0; i < world->reply_count; i++)
        if (world->replies[i].worker == w && world->replies[i].kind < REPLY_SUBMITTED)
            world->replies[i].kind = REPLY_TO_NOBODY;
    struct world_worker *worker = &world->workers[w];
    unsigned life = worker->life + 1;
    trace(world, "%s crashes", worker->name);
    *worker = (struct world_worker){.life = life};
    snprintf(worker->name, sizeof(worker->name), "w%u.%u", (unsigned)w, life % 1000);
}

static void worker_turn(struct world *world, size_t w)
{
    struct world_worker *worker = &world->workers[w];
    size_t s = below(world, WORLD_SLOTS);
    struct world_slot *slot = &worker->slots[s];
    if (slot->waiting || (now_ms(world) < worker->silent_until_ms && !world->calm))
        return;
    if (!world->calm && chance(world, 60)) {
        crash_worker(world, w);
    } else if (!world->calm && chance(world, 40)) {
        worker->silent_until_ms = now_ms(world) + below(world, 3 * RIG_LEASE_MS);
    } else if (!worker->registered) {
        if (rig_register(&world->rig, worker->name, WORLD_SLOTS) == 0)
            reply(world, REPLY_REGISTERED, w, s);
    } else if (!slot->working && slot->delivered && chance(world, 4)) {
        deliver_again(world, w, s);
    } else if (!slot->working) {
        ask_for_work(world, w, s);
    } else if (chance(world, 2)) {
        report_progress(world, w, s);
    } else {
        deliver(world, w, s);
    }
}

/* ---- what people do ---- */

static void submit(struct world *world)
{
    char text[SPEC_SIZE], extra[96];
    if (world->oracle.search_count + world->reply_count >= ORACLE_SEARCHES_MAX)
        return;
    snprintf(extra, sizeof(extra), ", \"seed\": %u, \"priority\": %d, \"deterministic\": %s",
             (unsigned)below(world, 1000), (int)below(world, 3) - 1,
             chance(world, 2) ? "true" : "false");
    rig_spec(text, sizeof(text), 3 + (uint32_t)below(world, 12), 1 + (uint32_t)below(world, 5),
             extra);
    uint64_t search;
    struct error error;
    struct submission submission = {.text = text, .length = strlen(text)};
    if (coordinator_submit(world->rig.coordinator, &submission, &search, &error) == 0)
        reply(world, REPLY_SUBMITTED, 0, 0)->search = search;
}

static void steer(struct world *world)
{
    static const enum search_state states[] = {SEARCH_PAUSED, SEARCH_RUNNING, SEARCH_CANCELLED};
    if (world->oracle.search_count == 0)
        return;
    uint64_t id = world->oracle.searches[below(world, world->oracle.search_count)].id;
    enum search_state state = states[below(world, chance(world, 4) ? 3 : 2)];
    struct coordinator *coordinator = world->rig.coordinator;
    struct error error;
    bool gently = state == SEARCH_PAUSED && chance(world, 3);
    int r = gently                    ? coordinator_pause_gently(coordinator, id, &error)
            : state == SEARCH_PAUSED  ? coordinator_pause(coordinator, id, &error)
            : state == SEARCH_RUNNING ? coordinator_resume(coordinator, id, &error)
                                      : coordinator_cancel(coordinator, id, &error);
    trace(world, "search %llu to be %s: %d", (unsigned long long)id, search_state_name(state), r);
    if (r != 0)
        return;
    struct reply *added = reply(world, REPLY_STEERED, 0, 0);
    added->search = id;
    added->state = state;
}

/* ---- the daemon's life ---- */

static void forget_replies(struct world *world)
{
    world->reply_count = 0;
    for (size_t w = 0; w < WORLD_WORKERS; w++)
        for (size_t i = 0; i < WORLD_SLOTS; i++)
            world->workers[w].slots[i].waiting = false;
}

static void start(struct world *world)
{
    memory_vfs_fail(world->rig.vfs, UINT64_MAX, 0, 0);
    int r = rig_start(&world->rig);
    trace(world, "starts: %d", r);
    if (r < 0)
        oracle_breach(&world->oracle, "the daemon does not start again (%d)", r);
    world->oracle.rebuilt_ms = now_ms(world);
    world->rebuilds = 0;
    world->unwell = false;
}

static void die(struct world *world)
{
    bool power = chance(world, 2);
    trace(world, power ? "loses power" : "is killed");
    if (!power)
        rig_kill(&world->rig);
    else
        rig_lose_power(&world->rig, below(world, UINT64_MAX));
    forget_replies(world);
}

/* What was committed is shown after the restart exactly as before. */
static void restart_and_compare(struct world *world)
{
    uint64_t before = oracle_digest(&world->oracle, &world->rig);
    die(world);
    start(world);
    if (oracle_digest(&world->oracle, &world->rig) != before)
        oracle_breach(&world->oracle, "the state after a restart differs");
}

static void break_disk(struct world *world)
{
    uint64_t failures = chance(world, 2) ? 1 : 1 + below(world, 20);
    memory_vfs_fail(world->rig.vfs, below(world, 12), failures, chance(world, 2) ? EIO : ENOSPC);
}

static void act(struct world *world)
{
    unsigned operations = 1 + (unsigned)below(world, 6);
    for (unsigned i = 0; i < operations; i++) {
        uint64_t what = below(world, 40);
        if (what == 0)
            submit(world);
        else if (what == 1 && !world->calm)
            steer(world);
        else
            worker_turn(world, below(world, WORLD_WORKERS));
    }
}

static uint64_t passing_ms(struct world *world)
{
    if (world->calm)
        return 100;
    return chance(world, 15) ? below(world, 2 * RIG_LEASE_MS) : below(world, 3000);
}

/* All replies are 503. What they told of may still show after a crash, if the disk had got it all before it failed. */
static void receive_failure(struct world *world)
{
    for (size_t i = 0; i < world->reply_count; i++)
        if (world->replies[i].kind == REPLY_STEERED)
            oracle_search(&world->oracle, world->replies[i].search)->maybe =
                world->replies[i].state;
    forget_replies(world);
    world->unwell = true;
}

/* What people asked for is durable whether or not the reply reached them; workers never learn of a lost reply. */
static void receive_all(struct world *world, bool lost)
{
    for (size_t i = 0; i < world->reply_count; i++) {
        const struct reply *reply = &world->replies[i];
        if (!lost || reply->kind == REPLY_SUBMITTED || reply->kind == REPLY_STEERED)
            receive(world, reply);
    }
    forget_replies(world);
}

/* The store could not be written when the tick began: nothing may be acknowledged, and what shows is what is stored. */
static void see_unwell(struct world *world)
{
    if (world->reply_count > 0)
        oracle_breach(&world->oracle, "something was acknowledged in a tick that cannot be stored");
    world->oracle.unwell = true;
    oracle_check(&world->oracle, &world->rig);
    world->oracle.unwell = false;
}

static void note_overdue_leases(struct world *world)
{
    for (size_t w = 0; w < WORLD_WORKERS; w++) {
        for (size_t i = 0; i < WORLD_SLOTS; i++) {
            struct world_slot *slot = &world->workers[w].slots[i];
            slot->over |= slot->working && now_ms(world) >= deadline_ms(world, slot);
        }
    }
}

static void end_tick(struct world *world)
{
    int r = rig_commit(&world->rig);
    trace(world, "commit: %d", r);
    if (r < 0) {
        receive_failure(world);
        return;
    }
    if (world->unwell) {
        see_unwell(world);
        return;
    }
    bool lost = !world->calm && chance(world, 30);
    note_overdue_leases(world);
    receive_all(world, lost);
    if (lost) {
        die(world);
        start(world);
    }
    oracle_check(&world->oracle, &world->rig);
}

/* Begins a tick, and notes when the daemon has recovered in it. */
static void begin_tick(struct world *world, uint64_t passed_ms)
{
    rig_begin(&world->rig, passed_ms);
    struct coordinator_statistics statistics;
    coordinator_statistics(world->rig.coordinator, &statistics);
    if (statistics.rebuilds == world->rebuilds)
        return;
    trace(world, "has recovered");
    world->rebuilds = statistics.rebuilds;
    world->oracle.rebuilt_ms = now_ms(world);
    world->unwell = false;
}

static void step(struct world *world)
{
    world->oracle.step++;
    begin_tick(world, passing_ms(world));
    act(world);
    if (!world->calm && chance(world, 40))
        break_disk(world);
    if (!world->calm && chance(world, 60)) {
        die(world);
        start(world);
        return;
    }
    end_tick(world);
    if (!world->calm && !world->unwell && chance(world, 25))
        restart_and_compare(world);
}

/* ---- a whole life ---- */

static bool all_finished(struct world *world)
{
    for (size_t i = 0; i < world->oracle.search_count; i++) {
        struct search_view view;
        int r = coordinator_search(world->rig.coordinator, world->oracle.searches[i].id, &view);
        if (r < 0 || view.state == SEARCH_RUNNING)
            return false;
    }
    return true;
}

/* Everybody is well from here on: every search has to come to its end. */
static void calm_down(struct world *world)
{
    world->calm = true;
    memory_vfs_fail(world->rig.vfs, UINT64_MAX, 0, 0);
    begin_tick(world, 1000);
    for (size_t i = 0; i < world->oracle.search_count; i++) {
        struct error error;
        struct oracle_search *search = &world->oracle.searches[i];
        if (search->state == SEARCH_PAUSED &&
            coordinator_resume(world->rig.coordinator, search->id, &error) == 0)
            search->state = SEARCH_RUNNING;
    }
    end_tick(world);
    for (unsigned i = 0; i < CALM_STEPS_MAX; i++) {
        if (all_finished(world))
            return;
        step(world);
    }
    oracle_breach(&world->oracle, "a search never ends");
}

void world_init(struct world *world)
{
    memset(world, 0, sizeof(*world));
    rig_init(&world->rig);
}

void world_release(struct world *world)
{
    rig_release(&world->rig);
}

void world_run(struct world *world, uint64_t seed, unsigned steps)
{
    *world = (struct world){.rig = world->rig, .tracing = world->tracing};
    rig_reset(&world->rig);
    world->random = random_stream_of(seed, 0, RANDOM_SHUFFLE);
    world->oracle.seed = seed;
    for (size_t w = 0; w < WORLD_WORKERS; w++)
        crash_worker(world, w);
    start(world);
    for (unsigned i = 0; i < steps; i++)
        step(world);
    calm_down(world);
    restart_and_compare(world);
}
