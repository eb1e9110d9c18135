#include "worker/trainer_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Each round is told apart by its own batch, so that none is timed on numbers that grew extreme in the one before. */
static void round_prepare(struct run *run, uint32_t round)
{
    loader_start_epoch(run->loader, 0);
    run_load_training(run, round % loader_steps_per_epoch(run->loader));
}

void run_clock_init(const struct run *run, struct step_clock *ret_clock)
{
    step_clock_init(ret_clock, TRAINER_WARMUP_STEPS,
                    plan_has_clock(run->plan) ? TRAINER_GROUP_SECONDS : 0);
}

/* What steps took, and what the GPU's clock did meanwhile. */
struct timing {
    struct step_summary summary;
    struct gpu_clock_state gpu;
};

/* A device's own clock wants more groups of steps, unless they are so long that no round has as many. */
static bool has_groups(const struct run *run, const struct step_summary *summary)
{
    const bool long_steps =
        summary->median_s * TRAINER_GROUPS_MIN > (double)TRAINER_ROUND_SECONDS_MAX;
    return !plan_has_clock(run->plan) || long_steps || summary->groups >= TRAINER_GROUPS_MIN;
}

static bool timing_is_good(const struct run *run, const struct timing *timing)
{
    return has_groups(run, &timing->summary) && !gpu_clock_is_throttled(&timing->gpu) &&
           step_summary_is_steady(&timing->summary, TRAINER_SPREAD_LIMIT);
}

static bool timing_is_better(const struct timing *timing, const struct timing *than)
{
    const struct step_summary *a = &timing->summary, *b = &than->summary;
    if (b->blocks < STEP_CLOCK_BLOCKS_MIN)
        return true;
    const bool throttled = gpu_clock_is_throttled(&timing->gpu);
    if (throttled != gpu_clock_is_throttled(&than->gpu))
        return !throttled;
    return a->spread_s * b->median_s < b->spread_s * a->median_s;
}

static bool round_is_over(const struct run *run, const struct step_clock *clock, double seconds)
{
    if (clock->added < TRAINER_ROUND_STEPS_MIN)
        return false;
    if (seconds > TRAINER_ROUND_SECONDS_MAX)
        return true;
    if (plan_has_clock(run->plan))
        return clock->added >= TRAINER_GROUPS_MIN;
    return clock->added >= TRAINER_ROUND_STEPS && seconds >= TRAINER_ROUND_SECONDS_MIN;
}

/* One round of steps with learning rate 0. RMSProp's momentum still moves the weights, and BN its statistics: nothing is
 * evaluated afterwards. */
static int time_round(struct run *run, uint32_t round, struct timing *ret_timing,
                      struct error *error)
{
    struct timing timing = {0};
    struct step_clock clock;
    run_clock_init(run, &clock);
    round_prepare(run, round);
    const double start = trainer_now_s();
    while (!round_is_over(run, &clock, trainer_now_s() - start)) {
        struct batch_result batch;
        double seconds;
        int r = run_timed_step(run, 0, &batch, &seconds);
        if (r < 0)
            return error_set(error, r, "", "a timed step failed: %s",
                             r == -EDOM ? "the loss is not finite" : strerror(-r));
        step_clock_add(&clock, seconds);
        run_notify_progress(run);
        if (run_should_stop(run))
            return run_stopped(run, error);
        if (clock.added == TRAINER_ROUND_STEPS_MIN)
            run_watch_clock(run, &timing.gpu);
    }
    run_watch_clock(run, &timing.gpu);
    timing.summary = step_clock_summary(&clock);
    *ret_timing = timing;
    return 0;
}

/* Times rounds until one is good, and keeps the best of them and `timing`. Numbers that grow out of bounds in a round, where
 * nothing is learnt any more, end it: what was timed before still holds. */
static int time_until_good(struct run *run, struct timing *timing, struct error *error)
{
    for (uint32_t round = 0; round < TRAINER_ROUNDS; round++) {
        if (timing_is_good(run, timing))
            return 0;
        struct timing again;
        int r = time_round(run, round, &again, error);
        if (r == -EDOM && timing->summary.blocks > 0)
            return 0;
        if (r < 0)
            return r;
        if (timing_is_better(&again, timing))
            *timing = again;
    }
    return 0;
}

static void note_time(const struct run *run, const char *what, const struct timing *timing,
                      bool good)
{
    const struct step_summary *summary = &timing->summary;
    char note[320], clock[160] = "";
    if (timing->gpu.sm_mhz_max > 0)
        gpu_clock_describe(&timing->gpu, clock, sizeof clock);
    snprintf(note, sizeof note, "%s: %.*f s a step, spread %.*f s, %u blocks%s%s%s", what,
             plan_has_clock(run->plan) ? 6 : 4, summary->median_s,
             plan_has_clock(run->plan) ? 6 : 4, summary->spread_s, summary->blocks,
             clock[0] ? ", " : "", clock, good ? "" : "; contended");
    run_notify_note(run, note);
}

/* Times the task's baseline in a plan of its own and keeps the figure. */
static int time_baseline(struct run *run, const struct baseline_key *key, struct error *error)
{
    struct error cause = {0};
    struct timing timing = {0};
    int r = run_build_plan(run, &run->task->baseline, &cause);
    if (r == 0)
        r = time_until_good(run, &timing, &cause);
    if (r == 0)
        note_time(run, "baseline", &timing, timing_is_good(run, &timing));
    plan_free(run->plan);
    run->plan = NULL;
    run->out_of_memory = false;
    if (r == -ECANCELED)
        return run_stopped(run, error);
    if (r < 0) /* whatever it is, the candidate is not to blame */
        return error_set(error, -EINVAL, "", "the baseline could not be timed: %.400s",
                         cause.message);
    baseline_table_add(&run->trainer->baselines, key, timing.summary.median_s);
    return 0;
}

int run_measure(struct run *run, struct error *error)
{
    const struct wire_task *task = run->task;
    struct baseline_table *baselines = &run->trainer->baselines;
    struct timing timing = {step_clock_summary(&run->clock), run->gpu};
    int r = time_until_good(run, &timing, error);
    if (r < 0)
        return r;
    const bool contended = !timing_is_good(run, &timing);
    if (contended || timing.gpu.sm_mhz_max > 0)
        note_time(run, "candidate", &timing, !contended);
    plan_free(run->plan);
    run->plan = NULL;
    const struct baseline_key key =
        baseline_key_of(&task->baseline, &run->problem, &task->recipe, task->micro_batches);
    if (baseline_table_find(baselines, &key) <= 0) {
        r = time_baseline(run, &key, error);
        if (r < 0)
            return r;
    }
    run->result.step_time =
        (struct wire_step_time){.median_s = timing.summary.median_s,
                                .spread_s = timing.summary.spread_s,
                                .blocks = timing.summary.blocks,
                                .baseline_s = baseline_table_find(baselines, &key),
                                .contended = contended};
    return 0;
}
