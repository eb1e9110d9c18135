#include "tests/bench/cuda_network.h"

#include "search/preset.h"
#include "search/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number_read(const char *text, uint32_t most, uint32_t *number, struct error *error)
{
    char *end = NULL;
    if (!text)
        return 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || value < 1 || value > most)
        return error_set(error, -EINVAL, "", "\"%.40s\" is no number from 1 to %u", text, most);
    *number = (uint32_t)value;
    return 0;
}

int cuda_network_options(const struct cuda_network *network, struct plan_options *ret_options,
                         struct error *error)
{
    struct plan_options options = {.micro_batches = 1, .seed = 1};
    size_t preset = 0;
    int r = preset_find(network->preset, &options.architecture, error);
    if (r == 0)
        r = recipe_preset("search-short", &options.recipe, error);
    if (r < 0)
        return r;
    while (strcmp(preset_name(preset), network->preset) != 0)
        preset++;
    options.problem = preset_problem(preset);
    options.recipe.batch = 1;
    r = number_read(network->pixels, IMAGE_SIZE_MAX, &options.problem.image_size, error);
    if (r == 0)
        r = number_read(network->images, RECIPE_BATCH_MAX, &options.recipe.batch, error);
    if (r == 0)
        *ret_options = options;
    return r;
}

void cuda_network_fill(const struct cuda_network *network, struct plan *plan)
{
    struct plan_options options;
    struct random_stream random = random_stream_of(1, 0, RANDOM_AUGMENT);
    if (cuda_network_options(network, &options, NULL) < 0)
        return;
    const size_t size = options.problem.image_size;
    for (size_t n = 0; n < options.recipe.batch; n++) {
        float *image = plan_images(plan) + n * size * size * options.problem.image_channels;
        for (size_t i = 0; i < size * size * options.problem.image_channels; i++)
            image[i] = (float)(2 * random_unit(&random) - 1);
        plan_labels(plan)[n] = (uint32_t)random_below(&random, options.problem.classes);
    }
}

void cuda_launch_name(const char *text, size_t size, char *ret_name)
{
    const char *end = strstr(text, "  ");
    snprintf(ret_name, size, "%.*s", (int)(end ? end - text : (ptrdiff_t)strlen(text)), text);
}
