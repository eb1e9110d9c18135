#include "tests/unit/search/random_spaces.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const struct problem random_spaces_problem = {20, 1, 10};

static struct stage random_stage(struct random_stream *random)
{
    return (struct stage){.block = (enum block_type)random_below(random, 4),
                          .layers = 1 + (uint32_t)random_below(random, 3),
                          .kernel = 1 + 2 * (uint32_t)random_below(random, 3),
                          .expansion = 1 + (uint32_t)random_below(random, 4),
                          .se_ratio = random_below(random, 2) == 0 ? 2500 : 0,
                          .stride = 1 + (uint32_t)random_below(random, 2),
                          .channels = 8 * (1 + (uint32_t)random_below(random, 4))};
}

struct space *random_space(struct random_stream *random)
{
    struct stage options[5][5];
    struct space_stage stages[5];
    struct space_definition definition = {
        .ends = {.stem_kernel = 3, .stem_stride = 1, .stem_channels = 8, .head_channels = 16},
        .stages = stages,
        .stage_count = 1 + (uint32_t)random_below(random, 5)};
    for (uint32_t i = 0; i < definition.stage_count; i++) {
        stages[i].options = options[i];
        stages[i].option_count = 1 + (uint32_t)random_below(random, 5);
        for (uint32_t j = 0; j < stages[i].option_count; j++)
            options[i][j] = random_stage(random);
    }
    struct space *space = NULL;
    assert_int_equal(space_new(&definition, &space, NULL), 0);
    return space;
}

bool next_encoding(const struct space *space, struct encoding *encoding)
{
    for (uint32_t i = 0; i < space_stage_count(space); i++) {
        if (++encoding->choices[i] < space_option_count(space, i))
            return true;
        encoding->choices[i] = 0;
    }
    return false;
}

struct cost cost_of_encoding(const struct space *space, const struct encoding *encoding)
{
    struct architecture architecture;
    space_architecture(space, encoding, &architecture);
    return cost_of(&architecture, &random_spaces_problem);
}
