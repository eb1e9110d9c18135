/* The convolutions of a space are those of its architectures, all of them and no others. */
#include "worker/engine/convolution_list.h"

#include "search/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LAYERS_MAX = 256, BATCH = 32, STAGES = 3, OPTIONS = 4 };

static const struct stage OPTIONS_OF[STAGES][OPTIONS] = {
    {{BLOCK_IDENTITY, 1, 3, 1, 0, 1, 16},
     {BLOCK_CONV, 1, 3, 1, 0, 2, 24},
     {BLOCK_MBCONV, 3, 5, 4, 2500, 1, 20},
     {BLOCK_FUSED_MBCONV, 2, 3, 1, 0, 1, 16}},
    {{BLOCK_MBCONV, 1, 3, 1, 2500, 2, 32},
     {BLOCK_MBCONV, 2, 7, 6, 0, 2, 40},
     {BLOCK_FUSED_MBCONV, 3, 3, 4, 0, 2, 32},
     {BLOCK_IDENTITY, 1, 3, 1, 0, 1, 16}},
    {{BLOCK_FUSED_MBCONV, 1, 5, 2, 2500, 1, 48},
     {BLOCK_MBCONV, 1, 3, 4, 0, 1, 32},
     {BLOCK_MBCONV, 4, 3, 4, 0, 2, 32},
     {BLOCK_CONV, 2, 1, 1, 0, 1, 48}}};

static const struct problem PROBLEM = {.image_size = 33, .image_channels = 3, .classes = 10};

static struct space *make_space(void)
{
    struct space_stage stages[STAGES];
    for (int i = 0; i < STAGES; i++)
        stages[i] = (struct space_stage){OPTIONS_OF[i], OPTIONS};
    const struct space_definition definition = {
        .ends = {.stem_kernel = 3, .stem_stride = 2, .stem_channels = 16, .head_channels = 100},
        .stages = stages,
        .stage_count = STAGES};
    struct space *space;
    assert_int_equal(space_new(&definition, &space, NULL), 0);
    return space;
}

static size_t find(const struct convolution_list *list, const struct layer *layer, bool first)
{
    const struct convolution wanted = {.depthwise = layer->kind == LAYER_DEPTHWISE,
                                       .first = first,
                                       .batch = BATCH,
                                       .in_channels = (layer->in_channels + 7) & ~7u,
                                       .out_channels = (layer->out_channels + 7) & ~7u,
                                       .kernel = layer->kernel,
                                       .stride = layer->stride,
                                       .in_size = layer->in_size,
                                       .out_size = layer->out_size};
    size_t i = 0;
    while (i < list->count && !convolution_equal(&list->items[i], &wanted))
        i++;
    return i;
}

static void mark(const struct space *space, const struct encoding *encoding,
                 const struct convolution_list *list, bool *needed)
{
    struct architecture architecture;
    struct layer layers[LAYERS_MAX];
    space_architecture(space, encoding, &architecture);
    const size_t count = layer_count(&architecture);
    assert_true(count <= LAYERS_MAX);
    layer_list(&architecture, &PROBLEM, layers);
    for (size_t i = 0; i < count; i++) {
        if (layers[i].kind != LAYER_CONV && layers[i].kind != LAYER_DEPTHWISE)
            continue;
        const size_t at = find(list, &layers[i], i == 0);
        assert_true(at < list->count);
        needed[at] = true;
    }
}

static void test_a_space_needs_what_its_architectures_need(void **state)
{
    (void)state;
    struct space *space = make_space();
    struct convolution_list list;
    assert_int_equal(convolution_list_new(space, &PROBLEM, BATCH, &list, NULL), 0);
    bool *needed = calloc(list.count, sizeof *needed);
    assert_non_null(needed);
    struct encoding encoding = {0};
    for (uint16_t code = 0; code < OPTIONS * OPTIONS * OPTIONS; code++) {
        for (int i = 0, rest = code; i < STAGES; i++, rest /= OPTIONS)
            encoding.choices[i] = (uint16_t)(rest % OPTIONS);
        mark(space, &encoding, &list, needed);
    }
    for (size_t i = 0; i < list.count; i++)
        assert_true(needed[i]);
    for (size_t i = 0; i < list.count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(convolution_equal(&list.items[i], &list.items[j]));
    free(needed);
    convolution_list_release(&list);
    space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_space_needs_what_its_architectures_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
