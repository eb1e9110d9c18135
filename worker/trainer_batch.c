/* What fills a plan's buffers: floats that the loader makes, or transforms where the device makes the images out of the pack's
 * bytes, which it then holds. */
#include "worker/trainer_run.h"

bool run_device_makes_images(const struct run *run)
{
    return engine_takes_transforms(run->trainer->engine);
}

/* A shelf gives back the pack that was used longest ago: one that is held must stay the latest. */
int run_drop_images(struct run *run, struct error *error)
{
    struct trainer *trainer = run->trainer;
    if (!trainer->held || trainer->held == run->pack)
        return 0;
    trainer->held = NULL;
    return run_engine_said(run, engine_hold_images(trainer->engine, NULL, error));
}

int run_hold_images(struct run *run, struct error *error)
{
    struct trainer *trainer = run->trainer;
    if (!run_device_makes_images(run))
        return 0;
    const struct image_set images = loader_images(run->loader);
    trainer->held = NULL;
    int r = run_engine_said(run, engine_hold_images(trainer->engine, &images, error));
    if (r == 0)
        trainer->held = run->pack;
    return r;
}

static struct loader_batch batch_of(const struct run *run)
{
    return (struct loader_batch){.images = plan_images(run->plan),
                                 .labels = plan_labels(run->plan),
                                 .partners = plan_partners(run->plan),
                                 .shares = plan_shares(run->plan)};
}

static struct loader_transforms transforms_of(const struct run *run)
{
    return (struct loader_transforms){.transforms = plan_transforms(run->plan),
                                      .labels = plan_labels(run->plan),
                                      .partners = plan_partners(run->plan),
                                      .shares = plan_shares(run->plan)};
}

void run_load_training(struct run *run, uint64_t step)
{
    if (run_device_makes_images(run)) {
        const struct loader_transforms transforms = transforms_of(run);
        loader_train_transforms(run->loader, step, &transforms);
    } else {
        const struct loader_batch batch = batch_of(run);
        loader_train_batch(run->loader, step, &batch);
    }
}

uint32_t run_load_validation(struct run *run, uint64_t index)
{
    if (run_device_makes_images(run)) {
        const struct loader_transforms transforms = transforms_of(run);
        return loader_validation_transforms(run->loader, index, &transforms);
    }
    const struct loader_batch batch = batch_of(run);
    return loader_validation_batch(run->loader, index, &batch);
}
