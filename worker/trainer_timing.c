#include "worker/trainer_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Each round is told apart by its own batch, so that none is timed on numbers that grew extreme in the one before. */
static void round_prepare(struct run *run, uint32_t round)
{
    const struct loader_batch batch = run_batch(run);
    loader_start_epoch(run->loader, 0);
    loader_train_batch(run->loader, round % loader_steps_per_epoch(run->loader), &batch);
}

static bool round_is_over(const struct step_clock *clock, double seconds)
{
    if (clock->added < TRAINER_ROUND_STEPS_MIN)
        return false;
    return seconds > TRAINER_ROUND_SECONDS_MAX ||
           (clock->added >= TRAINER_ROUND_STEPS && seconds >= TRAINER_ROUND_SECONDS_MIN);
}

/* One round of steps with learning rate 0. RMSProp's momentum still moves the weights, and BN its statistics: nothing is
 * evaluated afterwards. */
static int time_round(struct run *run, uint32_t round, struct step_summary *ret_summary,
                      struct error *error)
{
    struct step_clock clock;
    step_clock_init(&clock, TRAINER_WARMUP_STEPS);
    round_prepare(run, round);
    const double start = trainer_now_s();
    while (!round_is_over(&clock, trainer_now_s() - start)) {
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
    }
    *ret_summary = step_clock_summary(&clock);
    return 0;
}

/* Times rounds until one is steady, and keeps the steadiest of them and `summary`. Numbers that grow out of bounds in a round,
 * where nothing is learnt any more, end it: what was timed before still holds. */
static int time_until_steady(struct run *run, struct step_summary *summary, struct error *error)
{
    for (uint32_t round = 0; round < TRAINER_ROUNDS; round++) {
        if (step_summary_is_steady(summary, TRAINER_SPREAD_LIMIT))
            return 0;
        struct step_summary again;
        int r = time_round(run, round, &again, error);
        if (r == -EDOM && summary->blocks > 0)
            return 0;
        if (r < 0)
            return r;
        bool steadier = again.spread_s * summary->median_s < summary->spread_s * again.median_s;
        if (summary->blocks < STEP_CLOCK_BLOCKS_MIN || steadier)
            *summary = again;
    }
    return 0;
}

static void note_time(const struct run *run, const char *what, const struct step_summary *summary)
{
    char note[160];
    snprintf(note, sizeof note, "%s: %.4f s a step, spread %.4f s, %u blocks%s", what,
             summary->median_s, summary->spread_s, summary->blocks,
             step_summary_is_steady(summary, TRAINER_SPREAD_LIMIT) ? "" : "; contended");
    run_notify_note(run, note);
}

/* Times the task's baseline in a plan of its own and keeps the figure. */
static int time_baseline(struct run *run, const struct baseline_key *key, struct error *error)
{
    struct error cause = {0};
    struct step_summary summary = {0};
    int r = run_build_plan(run, &run->task->baseline, &cause);
    if (r == 0)
        r = time_until_steady(run, &summary, &cause);
    plan_free(run->plan);
    run->plan = NULL;
    if (r == -ECANCELED)
        return run_stopped(run, error);
    if (r < 0) /* whatever it is, the candidate is not to blame */
        return error_set(error, -EINVAL, "", "the baseline could not be timed: %.400s",
                         cause.message);
    baseline_table_add(&run->trainer->baselines, key, summary.median_s);
    note_time(run, "baseline", &summary);
    return 0;
}

int run_measure(struct run *run, struct error *error)
{
    const struct wire_task *task = run->task;
    struct baseline_table *baselines = &run->trainer->baselines;
    struct step_summary summary = step_clock_summary(&run->clock);
    int r = time_until_steady(run, &summary, error);
    if (r < 0)
        return r;
    const bool contended = !step_summary_is_steady(&summary, TRAINER_SPREAD_LIMIT);
    if (contended)
        note_time(run, "candidate", &summary);
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
        (struct wire_step_time){.median_s = summary.median_s,
                                .spread_s = summary.spread_s,
                                .blocks = summary.blocks,
                                .baseline_s = baseline_table_find(baselines, &key),
                                .contended = contended};
    return 0;
}
