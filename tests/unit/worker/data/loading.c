#include "tests/unit/worker/data/loading.h"

#include "worker/data/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct synthetic small = {
    .size = SIZE, .classes = 4, .train_images = LOADED, .test_images = 4};

const struct recipe everything = {.batch = BATCH,
                                  .crop_area_min = 0.2,
                                  .flip = true,
                                  .shift = 2,
                                  .randaugment_ops = 2,
                                  .randaugment_magnitude = 9,
                                  .mixup = 0.4,
                                  .cutmix = 1};

void loading_init(void **state, struct loading *loading, const struct recipe *recipe,
                  uint32_t image_size, uint64_t seed)
{
    char path[FILE_PATH_SIZE];
    fixture_path(*state, "small", path);
    if (access(path, F_OK) < 0)
        fixture_write_synthetic(*state, "small", &small);
    struct source source;
    struct error reason;
    assert_int_equal(source_detect(path, "small", &source, NULL), 0);
    assert_int_equal(cache_open(NULL, &source, &loading->pack, &reason, NULL), CACHE_PRIVATE);
    struct split_request request = {pack_labels(loading->pack), LOADED, 4, 3, TRAIN, VALIDATION};
    assert_int_equal(split_init(&loading->split, &request, NULL), 0);
    struct loader_options options = {loading->pack, &loading->split, *recipe, image_size, seed,
                                     false};
    assert_int_equal(loader_new(&options, &loading->loader, NULL), 0);
}

void loading_release(struct loading *loading)
{
    loader_free(loading->loader);
    split_release(&loading->split);
    pack_free(loading->pack);
}

double loading_value(const struct loading *loading, double byte)
{
    return (byte / 255 - pack_mean(loading->pack)[0]) / pack_deviation(loading->pack)[0];
}

void fill_train(struct loader *loader, uint64_t step, struct filled *ret_filled)
{
    const struct loader_batch batch = {ret_filled->images, ret_filled->labels, ret_filled->partners,
                                       ret_filled->shares};
    memset(ret_filled, 0, sizeof *ret_filled);
    loader_train_batch(loader, step, &batch);
}

void fill_validation(struct loader *loader, uint64_t index, struct filled *ret_filled)
{
    const struct loader_batch batch = {ret_filled->images, ret_filled->labels, ret_filled->partners,
                                       ret_filled->shares};
    memset(ret_filled, 0, sizeof *ret_filled);
    loader_validation_batch(loader, index, &batch);
}
