#include "search/architecture.h"
#include "search/preset.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct architecture with_stages(const struct stage *stages, uint32_t count)
{
    struct architecture architecture = {
        .stem_kernel = 3, .stem_stride = 1, .stem_channels = 16, .head_channels = 64};
    memcpy(architecture.stages, stages, count * sizeof *stages);
    architecture.stage_count = count;
    return architecture;
}

static const struct stage mb = {BLOCK_MBCONV, 2, 3, 4, 2500, 1, 32};
static const struct stage identity = {.block = BLOCK_IDENTITY};

static void assert_text(const struct architecture *architecture, const char *expected)
{
    char text[ARCHITECTURE_TEXT_SIZE];
    architecture_text(architecture, text);
    assert_string_equal(text, expected);
}

static void test_text_of_a_published_model(void **state)
{
    (void)state;
    struct architecture architecture;
    assert_int_equal(preset_find("efficientnetv2-b0", &architecture, NULL), 0);
    assert_text(&architecture,
                "stem_k3_s2_c32|fused_r1_k3_s1_e1_c16|fused_r2_k3_s2_e4_c32|fused_r2_k3_s2_e4_c48|"
                "mb_r3_k3_s2_e4_c96_se0.25|mb_r5_k3_s1_e6_c112_se0.25|mb_r8_k3_s2_e6_c192_se0.25|"
                "head_c1280");
}

static void test_text_of_odd_squeeze_ratios(void **state)
{
    (void)state;
    const struct stage stages[] = {{BLOCK_MBCONV, 1, 3, 2, 1, 1, 8},
                                   {BLOCK_MBCONV, 1, 3, 2, 500, 1, 8},
                                   {BLOCK_MBCONV, 1, 3, 2, 10000, 1, 8}};
    struct architecture architecture = with_stages(stages, 3);
    assert_text(&architecture, "stem_k3_s1_c16|mb_r1_k3_s1_e2_c8_se0.0001|mb_r1_k3_s1_e2_c8_se0.05|"
                               "mb_r1_k3_s1_e2_c8_se1|head_c64");
}

static void test_longest_text_fits(void **state)
{
    (void)state;
    struct stage stages[ARCHITECTURE_STAGES_MAX];
    for (size_t i = 0; i < ARCHITECTURE_STAGES_MAX; i++)
        stages[i] = (struct stage){BLOCK_FUSED_MBCONV, 128, 7, 16, 1234, 2, 8192};
    struct architecture architecture = with_stages(stages, ARCHITECTURE_STAGES_MAX);
    char text[ARCHITECTURE_TEXT_SIZE];
    architecture_text(&architecture, text);
    assert_non_null(strstr(text, "|head_c64"));
}

static void test_identity_stages_vanish(void **state)
{
    (void)state;
    const struct stage plain[] = {mb}, padded[] = {identity, mb, identity};
    struct architecture a = with_stages(plain, 1), b = with_stages(padded, 3);
    assert_true(architecture_equal(&a, &b));
    assert_int_equal(architecture_hash(&a), architecture_hash(&b));
    architecture_canonicalize(&b);
    assert_int_equal(b.stage_count, 1);
}

static void test_conv_is_a_fused_block_of_expansion_1(void **state)
{
    (void)state;
    const struct stage conv[] = {{BLOCK_CONV, 2, 3, 5, 2500, 2, 32}};
    const struct stage fused[] = {{BLOCK_FUSED_MBCONV, 2, 3, 1, 100, 2, 32}};
    struct architecture a = with_stages(conv, 1), b = with_stages(fused, 1);
    assert_true(architecture_equal(&a, &b));
    assert_text(&a, "stem_k3_s1_c16|fused_r2_k3_s2_e1_c32|head_c64");
}

static void test_stages_that_go_on_with_the_same_blocks_are_joined(void **state)
{
    (void)state;
    struct stage first = mb, second = mb, other = mb;
    first.stride = 2;
    second.layers = 3;
    other.kernel = 5;
    const struct stage apart[] = {first, identity, second, other},
                       joined[] = {{BLOCK_MBCONV, 5, 3, 4, 2500, 2, 32}, other};
    struct architecture a = with_stages(apart, 4), b = with_stages(joined, 2);
    assert_true(architecture_equal(&a, &b));
    second.stride = 2;
    const struct stage halved[] = {first, second};
    struct architecture c = with_stages(halved, 2);
    architecture_canonicalize(&c);
    assert_int_equal(c.stage_count, 2);
}

static void test_joined_stages_split_at_the_most_layers(void **state)
{
    (void)state;
    struct stage deep = mb;
    deep.layers = 100;
    const struct stage stages[] = {deep, deep, deep};
    struct architecture architecture = with_stages(stages, 3);
    architecture_canonicalize(&architecture);
    assert_int_equal(architecture.stage_count, 3);
    assert_int_equal(architecture.stages[0].layers, 128);
    assert_int_equal(architecture.stages[1].layers, 128);
    assert_int_equal(architecture.stages[2].layers, 44);
    assert_int_equal(architecture_validate(&architecture, NULL), 0);
}

static void test_hashes_never_change(void **state)
{
    (void)state;
    static const struct {
        const char *preset;
        uint64_t hash;
    } cases[] = {
        {"efficientnet-b0", UINT64_C(0xd5be7a7e1a790b7a)},
        {"efficientnetv2-s", UINT64_C(0x2e5a0e6e185b5b24)},
        {"archscout-reference", UINT64_C(0x48be78f9f8d9c1bc)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct architecture architecture;
        assert_int_equal(preset_find(cases[i].preset, &architecture, NULL), 0);
        if (architecture_hash(&architecture) != cases[i].hash)
            fail_msg("%s hashes to 0x%016" PRIx64, cases[i].preset,
                     architecture_hash(&architecture));
    }
}

/* Every change of one field makes another network, so it must make another hash and another text. */
static void test_every_field_is_hashed(void **state)
{
    (void)state;
    const struct stage stages[] = {mb};
    struct architecture base = with_stages(stages, 1), changed[11];
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
        changed[i] = base;
    changed[0].stem_kernel = 5;
    changed[1].stem_stride = 2;
    changed[2].stem_channels = 17;
    changed[3].head_channels = 65;
    changed[4].stages[0].block = BLOCK_FUSED_MBCONV;
    changed[5].stages[0].layers = 3;
    changed[6].stages[0].kernel = 5;
    changed[7].stages[0].expansion = 5;
    changed[8].stages[0].se_ratio = 2501;
    changed[9].stages[0].stride = 2;
    changed[10].stages[0].channels = 33;
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++) {
        assert_true(architecture_hash(&changed[i]) != architecture_hash(&base));
        assert_false(architecture_equal(&changed[i], &base));
    }
}

static void test_wrong_fields_are_named(void **state)
{
    (void)state;
    const struct stage stages[] = {mb, mb};
    struct architecture base = with_stages(stages, 2), wrong[12];
    static const char *const pointers[] = {
        "/stem/kernel",    "/stem/stride",     "/stem/channels",     "/head/channels",
        "/stages/1/block", "/stages/1/layers", "/stages/1/kernel",   "/stages/0/expansion",
        "/stages/0/se",    "/stages/0/stride", "/stages/0/channels", "/stages"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        wrong[i] = base;
    wrong[0].stem_kernel = 2;
    wrong[1].stem_stride = 3;
    wrong[2].stem_channels = 0;
    wrong[3].head_channels = 8193;
    wrong[4].stages[1].block = (enum block_type)9;
    wrong[5].stages[1].layers = 129;
    wrong[6].stages[1].kernel = 9;
    wrong[7].stages[0].expansion = 0;
    wrong[8].stages[0].se_ratio = 10001;
    wrong[9].stages[0].stride = 0;
    wrong[10].stages[0].channels = 9000;
    wrong[11].stage_count = 33;
    assert_int_equal(architecture_validate(&base, NULL), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct error error = {0};
        assert_int_equal(architecture_validate(&wrong[i], &error), -EINVAL);
        assert_string_equal(error.pointer, pointers[i]);
    }
}

static void test_fields_of_identity_stages_do_not_matter(void **state)
{
    (void)state;
    struct stage nonsense = {BLOCK_IDENTITY, 0, 4, 99, 99999, 7, 0};
    assert_int_equal(stage_validate(&nonsense, NULL), 0);
}

static void test_wrong_problems_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct problem problem;
        const char *pointer;
    } cases[] = {{{0, 3, 10}, "/image_size"},
                 {{1025, 3, 10}, "/image_size"},
                 {{32, 2, 10}, "/image_channels"},
                 {{32, 3, 0}, "/classes"},
                 {{32, 3, 65537}, "/classes"}};
    assert_int_equal(problem_validate(&(struct problem){28, 1, 10}, NULL), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct error error = {0};
        assert_int_equal(problem_validate(&cases[i].problem, &error), -EINVAL);
        assert_string_equal(error.pointer, cases[i].pointer);
    }
}

static void test_block_names_read_back(void **state)
{
    (void)state;
    for (int i = BLOCK_IDENTITY; i <= BLOCK_FUSED_MBCONV; i++) {
        enum block_type block = BLOCK_IDENTITY;
        assert_int_equal(block_type_from_name(block_type_name((enum block_type)i), &block), 0);
        assert_int_equal(block, i);
    }
    enum block_type block = BLOCK_CONV;
    assert_int_equal(block_type_from_name("MBConv", &block), -EINVAL);
    assert_int_equal(block, BLOCK_CONV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_a_published_model),
        cmocka_unit_test(test_text_of_odd_squeeze_ratios),
        cmocka_unit_test(test_longest_text_fits),
        cmocka_unit_test(test_identity_stages_vanish),
        cmocka_unit_test(test_conv_is_a_fused_block_of_expansion_1),
        cmocka_unit_test(test_stages_that_go_on_with_the_same_blocks_are_joined),
        cmocka_unit_test(test_joined_stages_split_at_the_most_layers),
        cmocka_unit_test(test_hashes_never_change),
        cmocka_unit_test(test_every_field_is_hashed),
        cmocka_unit_test(test_wrong_fields_are_named),
        cmocka_unit_test(test_fields_of_identity_stages_do_not_matter),
        cmocka_unit_test(test_wrong_problems_are_refused),
        cmocka_unit_test(test_block_names_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
