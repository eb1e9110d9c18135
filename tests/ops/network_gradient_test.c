/* Whole blocks on the reference backend: the gradient of every parameter against finite differences of the loss. */
#include "tests/ops/support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct network_case {
    struct session session;
    const char *name;
    float *values; /* of the parameter under test */
    uint32_t batch;
};

static double network_loss(void *context)
{
    struct network_case *c = context;
    struct batch_result result;
    assert_int_equal(plan_tensor_write(c->session.plan, c->name, c->values), 0);
    assert_int_equal(plan_gradients(c->session.plan, &result), 0);
    return result.loss / c->batch;
}

/* At most this many entries of one parameter are tried: each costs two passes. */
enum { ENTRIES_MAX = 6 };

static void check_parameter(struct network_case *c, const char *name)
{
    char gradient_name[80];
    size_t count = 0;
    struct batch_result result;
    c->name = name;
    c->values = session_tensor(&c->session, name, &count);
    assert_int_equal(plan_gradients(c->session.plan, &result), 0);
    snprintf(gradient_name, sizeof gradient_name, "grad:%s", name);
    float *gradient = session_tensor(&c->session, gradient_name, &count);
    const struct scalar_function function = {network_loss, c, c->values, count};
    assert_gradient(name, &function, gradient, count / ENTRIES_MAX + 1, 0.03);
    assert_int_equal(plan_tensor_write(c->session.plan, name, c->values), 0);
    free(c->values);
    free(gradient);
}

static void check_options(const struct plan_options *options)
{
    struct network_case c = {.session = session_open(backend_reference(), options),
                             .batch = options->recipe.batch};
    session_fill(&c.session, options, 3);
    for (size_t i = 0; i < plan_tensor_count(c.session.plan); i++) {
        struct tensor_info info;
        plan_tensor_info(c.session.plan, i, &info);
        if (!strstr(info.name, ".bn.mean") && !strstr(info.name, ".bn.variance"))
            check_parameter(&c, info.name);
    }
    session_close(&c.session);
}

static struct small_network network_of(struct stage stage)
{
    return (struct small_network){.size = 6,
                                  .channels = 3,
                                  .stem_kernel = 3,
                                  .stem_stride = 1,
                                  .stem_channels = 4,
                                  .stage = stage,
                                  .stage_count = 1,
                                  .head_channels = 6,
                                  .batch = 3};
}

static void check_stage(struct stage stage)
{
    const struct small_network network = network_of(stage);
    const struct plan_options options = small_options(&network);
    check_options(&options);
}

static void test_mbconv(void **state)
{
    (void)state;
    check_stage((struct stage){BLOCK_MBCONV, 1, 3, 4, 0, 1, 4});
    check_stage((struct stage){BLOCK_MBCONV, 1, 5, 1, 0, 2, 5});
}

static void test_mbconv_with_squeeze_and_excitation(void **state)
{
    (void)state;
    check_stage((struct stage){BLOCK_MBCONV, 1, 3, 4, 5000, 1, 4});
    check_stage((struct stage){BLOCK_MBCONV, 2, 3, 2, 5000, 2, 5});
}

static void test_fused_mbconv(void **state)
{
    (void)state;
    check_stage((struct stage){BLOCK_FUSED_MBCONV, 1, 3, 4, 0, 2, 5});
    check_stage((struct stage){BLOCK_FUSED_MBCONV, 1, 3, 4, 5000, 1, 4});
}

static void test_fused_mbconv_with_expansion_one_and_plain_conv(void **state)
{
    (void)state;
    check_stage((struct stage){BLOCK_FUSED_MBCONV, 2, 3, 1, 0, 1, 4});
    check_stage((struct stage){BLOCK_CONV, 1, 5, 1, 0, 2, 5});
}

static void test_residuals_in_a_row_share_their_gradient(void **state)
{
    (void)state;
    check_stage((struct stage){BLOCK_MBCONV, 3, 3, 2, 0, 1, 4});
}

static void test_dropped_branches_and_features(void **state)
{
    (void)state;
    static const struct stage stages[] = {{BLOCK_MBCONV, 2, 3, 2, 5000, 1, 4},
                                          {BLOCK_CONV, 2, 3, 1, 0, 1, 4}};
    for (size_t s = 0; s < ARRAY_LENGTH(stages); s++) {
        struct small_network network = network_of(stages[s]);
        network.batch = 5;
        struct plan_options options = small_options(&network);
        options.recipe.stochastic_depth = 0.6;
        options.recipe.dropout = 0.3;
        check_options(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mbconv),
        cmocka_unit_test(test_mbconv_with_squeeze_and_excitation),
        cmocka_unit_test(test_fused_mbconv),
        cmocka_unit_test(test_fused_mbconv_with_expansion_one_and_plain_conv),
        cmocka_unit_test(test_residuals_in_a_row_share_their_gradient),
        cmocka_unit_test(test_dropped_branches_and_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
