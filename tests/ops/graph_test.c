#include "search/cost.h"
#include "search/preset.h"
#include "worker/engine/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct graph *preset_graph(const char *name, const struct problem *problem)
{
    struct architecture architecture;
    struct graph *graph = NULL;
    assert_int_equal(preset_find(name, &architecture, NULL), 0);
    assert_int_equal(graph_new(&architecture, problem, &graph), 0);
    return graph;
}

static void test_slab_sizes_equal_the_exact_costs_of_every_preset(void **state)
{
    (void)state;
    const struct problem problem = {64, 3, 10};
    for (size_t i = 0; i < preset_count(); i++) {
        struct architecture architecture;
        assert_int_equal(preset_find(preset_name(i), &architecture, NULL), 0);
        const struct cost cost = cost_of(&architecture, &problem);
        struct graph *graph = preset_graph(preset_name(i), &problem);
        assert_int_equal(graph->trained, cost.params);
        assert_int_equal(graph->total, cost.params_with_bn_statistics);
        graph_free(graph);
    }
}

static void test_offsets_fill_the_slab_without_gap_or_overlap(void **state)
{
    (void)state;
    struct graph *graph = preset_graph("efficientnetv2-b0", &(struct problem){64, 3, 10});
    unsigned char *used = calloc(graph->total, 1);
    assert_non_null(used);
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &graph->parameters[i];
        assert_int_equal(parameter->kind == PARAMETER_WEIGHT, parameter->offset < graph->decayed);
        assert_int_equal(parameter_trained(parameter->kind), parameter->offset < graph->trained);
        for (size_t j = 0; j < parameter->elements; j++)
            assert_int_equal(used[parameter->offset + j]++, 0);
    }
    for (size_t j = 0; j < graph->total; j++)
        assert_int_equal(used[j], 1);
    free(used);
    graph_free(graph);
}

static void test_residual_adds_the_input_of_its_block(void **state)
{
    (void)state;
    const struct architecture architecture = {
        .stem_kernel = 3,
        .stem_stride = 1,
        .stem_channels = 8,
        .head_channels = 16,
        .stage_count = 2,
        .stages = {{BLOCK_FUSED_MBCONV, 2, 3, 4, 0, 2, 8}, {BLOCK_MBCONV, 1, 3, 4, 2500, 1, 8}}};
    struct graph *graph = NULL;
    assert_int_equal(graph_new(&architecture, &(struct problem){16, 3, 4}, &graph), 0);
    const struct graph_op *residuals[2] = {NULL, NULL};
    size_t count = 0;
    for (size_t i = 0; i < graph->op_count; i++) {
        if (graph->ops[i].residual == GRAPH_NONE)
            continue;
        assert_true(count < 2);
        residuals[count++] = &graph->ops[i];
    }
    assert_int_equal(count, 2);
    /* fused block: conv, norm, conv, norm; the addend is what the first conv reads */
    assert_int_equal(residuals[0]->residual, residuals[0][-3].input);
    /* MBConv: conv, norm, depthwise, norm, squeeze, conv, norm */
    assert_int_equal(residuals[1][-6].kind, OP_CONV);
    assert_int_equal(residuals[1]->residual, residuals[1][-6].input);
    assert_false(residuals[1]->silu);
    /* blocks 0 and 1 are the fused stage's, 2 is the MBConv */
    assert_int_equal(residuals[0]->block, 1);
    assert_int_equal(residuals[1]->block, 2);
    assert_int_equal(graph->block_count, 3);
    assert_int_equal(graph->features, 16);
    graph_free(graph);
}

static void test_initial_weights_have_the_stated_deviation(void **state)
{
    (void)state;
    struct graph *graph = preset_graph("efficientnetv2-b0", &(struct problem){64, 3, 10});
    static const char *const names[] = {"blocks_7.exp.weight", "blocks_7.dw.weight", "fc.weight"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const size_t index = graph_parameter_find(graph, names[i]);
        assert_true(index < graph->parameter_count);
        const struct graph_parameter *parameter = &graph->parameters[index];
        const uint32_t k = parameter->dimension_count == 4 ? parameter->dimensions[2] : 1;
        const uint32_t out = parameter->dimensions[1] == 1 ? 1 : parameter->dimensions[0];
        const double want =
            parameter->dimension_count == 2 ? 1 / sqrt(10) / sqrt(3) : sqrt(2.0 / (k * k * out));
        float *values = malloc(parameter->elements * sizeof *values);
        assert_non_null(values);
        graph_initial_values(graph, index, 5, values);
        double squares = 0;
        for (size_t j = 0; j < parameter->elements; j++)
            squares += (double)values[j] * (double)values[j];
        const double got = sqrt(squares / (double)parameter->elements);
        assert_true(fabs(got / want - 1) < 0.06);
        free(values);
    }
    graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slab_sizes_equal_the_exact_costs_of_every_preset),
        cmocka_unit_test(test_offsets_fill_the_slab_without_gap_or_overlap),
        cmocka_unit_test(test_residual_adds_the_input_of_its_block),
        cmocka_unit_test(test_initial_weights_have_the_stated_deviation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
