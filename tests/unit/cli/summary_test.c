/* A stage table in one line. */
#include "cli/summary.h"

#include "search/architecture.h"
#include "search/preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_summary(const char *architecture, const char *expected)
{
    char summary[SUMMARY_SIZE];
    summary_of(architecture, summary);
    assert_string_equal(summary, expected);
}

static void test_stages_are_written_shortly(void **state)
{
    (void)state;
    assert_summary("stem_k3_s2_c32|fused_r1_k3_s1_e1_c16|mb_r10_k5_s2_e6_c112_se0.25|head_c1280",
                   "F1 1x16, M6k5se 10x112");
    assert_summary("stem_k3_s2_c32|head_c1280", "");
}

static void test_unknown_texts_are_given_back(void **state)
{
    (void)state;
    assert_summary("stem_k3|dense_r1|head_c8", "stem_k3|dense_r1|head_c8");
    assert_summary("stem_k3|mb_r1_k3|head_c8", "stem_k3|mb_r1_k3|head_c8");
    assert_summary("", "");
}

/* The library writes the texts that are read here. */
static void test_every_preset_has_a_summary_of_all_its_stages(void **state)
{
    (void)state;
    for (size_t i = 0; i < preset_count(); i++) {
        struct architecture architecture;
        char text[ARCHITECTURE_TEXT_SIZE], summary[SUMMARY_SIZE];
        assert_int_equal(preset_find(preset_name(i), &architecture, NULL), 0);
        architecture_text(&architecture, text);
        summary_of(text, summary);
        size_t stages = 1;
        for (const char *c = summary; *c; c++)
            stages += *c == ',';
        assert_int_equal(stages, architecture.stage_count);
        assert_null(strchr(summary, '|'));
    }
}

/* A text as long as any: the summary is cut and stays terminated (the sanitizers look on). */
static void test_what_does_not_fit_is_cut(void **state)
{
    (void)state;
    enum { STAGES = 500 };
    static const char stage[] = "mb_r10_k5_s2_e6_c1112_se0.25|";
    char *text = calloc(1, 8 + STAGES * sizeof stage);
    assert_non_null(text);
    memcpy(text, "stem|", 5);
    for (size_t i = 0; i < STAGES; i++)
        memcpy(text + 5 + i * (sizeof stage - 1), stage, sizeof stage);
    char summary[SUMMARY_SIZE];
    summary_of(text, summary);
    assert_true(strlen(summary) > SUMMARY_SIZE / 2 && strlen(summary) < SUMMARY_SIZE);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages_are_written_shortly),
        cmocka_unit_test(test_unknown_texts_are_given_back),
        cmocka_unit_test(test_every_preset_has_a_summary_of_all_its_stages),
        cmocka_unit_test(test_what_does_not_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
