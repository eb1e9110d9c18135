/* Exports and model reports: what they say must be what the architecture is. */
#include "search/export.h"
#include "search/model_report.h"
#include "search/preset.h"
#include "search/space.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse_text(struct text *text)
{
    assert_int_equal(text_status(text), 0);
    json_t *value = json_loads(text_string(text), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    text_release(text);
    return value;
}

static uint64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("%s is no whole number", key);
    return (uint64_t)json_integer_value(value);
}

static json_t *report(const char *name, struct problem problem)
{
    struct text text;
    struct error error = {0};
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    if (model_report_json(&(struct model_query){name, problem}, &text, &error) < 0)
        fail_msg("%s", error.message);
    return parse_text(&text);
}

static void test_model_report_holds_the_reference_counts(void **state)
{
    (void)state;
    json_t *model = report("efficientnetv2-s", (struct problem){300, 0, 0});
    assert_string_equal(json_string_value(json_object_get(model, "name")), "efficientnetv2-s");
    assert_int_equal(number(model, "image_size"), 300);
    assert_int_equal(number(model, "image_channels"), 3);
    assert_int_equal(number(model, "classes"), 1000);
    assert_int_equal(number(model, "params"), 21458488);
    assert_int_equal(number(model, "params_with_bn_statistics"), 21612360);
    assert_int_equal(number(model, "macs"), 5307561248);
    assert_int_equal(number(model, "activation_bytes"), 22734400 * UINT64_C(4));
    assert_int_equal(json_array_size(json_object_get(model, "stages")), 6);
    json_decref(model);
}

static void test_model_report_follows_the_query(void **state)
{
    (void)state;
    json_t *model = report("archscout-reference", (struct problem){28, 1, 7});
    assert_int_equal(number(model, "image_channels"), 1);
    assert_int_equal(number(model, "classes"), 7);
    assert_int_equal(number(json_object_get(model, "stem"), "in_channels"), 1);
    json_decref(model);
    model = report("archscout-reference", (struct problem){0, 0, 0});
    assert_int_equal(number(model, "image_size"), 32);
    assert_int_equal(number(model, "classes"), 10);
    json_decref(model);
}

static void test_parts_of_a_model_add_up(void **state)
{
    (void)state;
    for (size_t i = 0; preset_name(i); i++) {
        json_t *model = report(preset_name(i), (struct problem){0, 0, 0});
        json_t *stages = json_object_get(model, "stages");
        uint64_t params = number(json_object_get(model, "stem"), "params") +
                          number(json_object_get(model, "head"), "params");
        uint64_t macs = number(json_object_get(model, "stem"), "macs") +
                        number(json_object_get(model, "head"), "macs");
        uint64_t size = number(json_object_get(model, "stem"), "out_size");
        uint64_t channels = number(json_object_get(model, "stem"), "channels");
        for (size_t j = 0; j < json_array_size(stages); j++) {
            const json_t *stage = json_array_get(stages, j);
            params += number(stage, "params");
            macs += number(stage, "macs");
            assert_int_equal(number(stage, "in_size"), size);
            assert_int_equal(number(stage, "in_channels"), channels);
            size = number(stage, "out_size");
            channels = number(stage, "channels");
        }
        assert_int_equal(number(json_object_get(model, "head"), "in_channels"), channels);
        assert_int_equal(params, number(model, "params"));
        assert_int_equal(macs, number(model, "macs"));
        json_decref(model);
    }
}

static void test_wrong_queries_are_refused(void **state)
{
    (void)state;
    struct text text;
    struct error error = {0};
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    struct model_query unknown = {"efficientnetv2-xs", {0}};
    struct model_query wrong = {"efficientnetv2-s", {.image_size = 5000}};
    assert_int_equal(model_report_json(&unknown, &text, &error), -ENOENT);
    assert_int_equal(model_report_text(&unknown, &text, &error), -ENOENT);
    assert_int_equal(model_report_json(&wrong, &text, &error), -EINVAL);
    assert_string_equal(error.pointer, "/image_size");
    assert_int_equal(text.length, 0);
    text_release(&text);
}

static void test_preset_reports_list_every_name(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, MODEL_REPORT_SIZE_MAX);
    assert_int_equal(preset_report_text(&text, NULL), 0);
    for (size_t i = 0; preset_name(i); i++)
        assert_non_null(strstr(text_string(&text), preset_name(i)));
    assert_non_null(strstr(text_string(&text), "search-short"));
    assert_non_null(strstr(text_string(&text), "efficientnetv2-xl-automl"));
    text_release(&text);
    assert_int_equal(preset_report_json(&text, NULL), 0);
    json_t *list = parse_text(&text);
    assert_int_equal(json_array_size(json_object_get(list, "presets")), preset_count());
    assert_int_equal(json_array_size(json_object_get(list, "recipes")), 3);
    assert_int_equal(json_array_size(json_object_get(list, "progressive")), 11);
    json_decref(list);
}

/* The stage table in an export, without what the problem adds, is a space of one architecture: the same one. */
static void test_exported_table_reads_back_to_the_same_architecture(void **state)
{
    (void)state;
    static const char *const given[] = {"block", "layers", "kernel",  "expansion",
                                        "se",    "stride", "channels"};
    for (size_t i = 0; preset_name(i); i++) {
        struct architecture architecture, back;
        assert_int_equal(preset_find(preset_name(i), &architecture, NULL), 0);
        json_t *model = report(preset_name(i), (struct problem){0, 0, 0});
        json_t *stages = json_array(), *stem = json_object_get(model, "stem");
        for (size_t j = 0; j < json_array_size(json_object_get(model, "stages")); j++) {
            json_t *row = json_array_get(json_object_get(model, "stages"), j),
                   *stage = json_object();
            for (size_t k = 0; k < ARRAY_LENGTH(given); k++)
                assert_int_equal(json_object_set(stage, given[k], json_object_get(row, given[k])),
                                 0);
            json_array_append_new(stages, stage);
        }
        json_t *space_value = json_pack(
            "{s:{s:I, s:I, s:I}, s:o, s:{s:I}}", "stem", "kernel", number(stem, "kernel"), "stride",
            number(stem, "stride"), "channels", number(stem, "channels"), "stages", stages, "head",
            "channels", number(json_object_get(model, "head"), "channels"));
        char *json = json_dumps(space_value, 0);
        struct space *space = NULL;
        assert_int_equal(space_parse(json, strlen(json), &space, NULL), 0);
        space_architecture(space, &(struct encoding){{0}}, &back);
        assert_true(architecture_equal(&architecture, &back));
        space_free(space);
        free(json);
        json_decref(space_value);
        json_decref(model);
    }
}

static const struct architecture small = {.stem_kernel = 3,
                                          .stem_stride = 2,
                                          .stem_channels = 8,
                                          .head_channels = 32,
                                          .stage_count = 3,
                                          .stages = {{BLOCK_IDENTITY, 0, 0, 0, 0, 0, 0},
                                                     {BLOCK_FUSED_MBCONV, 1, 3, 1, 0, 1, 8},
                                                     {BLOCK_MBCONV, 2, 5, 4, 2500, 2, 16}}};

static const struct export_model small_model = {"small", &small, {16, 1, 10}};

static void test_csv_has_a_row_for_everything(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, EXPORT_SIZE_MAX);
    export_csv(&small_model, &text);
    assert_int_equal(text_status(&text), 0);
    /* Worked out by hand. Stem: 9*8 weights and 16 of BN; stage 1: 9*8*8 and 16, both on maps of 8 x 8. Stage 2, first
     * block, 8 -> 32 -> 16 channels: 256 + 64, 800 + 64, SE 64 + 2 and 64 + 32, 512 + 32; its second, 16 -> 64 -> 16:
     * 1024 + 128, 1600 + 128, SE 256 + 4 and 256 + 64, 1024 + 32. */
    assert_string_equal(
        text_string(&text),
        "row,block,layers,kernel,expansion,se,stride,in_channels,channels,in_size,out_size,params,"
        "params_with_bn_statistics,macs,activation_bytes\n"
        "stem,conv,1,3,,,2,1,8,16,8,88,104,4608,2048\n"
        "1,fused_mbconv,1,3,1,0,1,8,8,8,8,592,608,36864,2048\n"
        "2,mbconv,2,5,4,0.25,2,8,16,8,4,6406,6854,96384,20888\n"
        "head,conv+pool+fc,1,1,,,1,16,32,4,1,906,970,8512,2088\n"
        "total,,,,,,,,,,,7992,8536,146368,27072\n");
    text_release(&text);
}

static void test_markdown_names_the_blocks_as_the_papers_do(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, EXPORT_SIZE_MAX);
    export_markdown(&small_model, &text);
    assert_int_equal(text_status(&text), 0);
    assert_non_null(strstr(text_string(&text), "# small\n"));
    assert_non_null(
        strstr(text_string(&text), "| stem | Conv3x3 | 1 | 3 | - | 2 | 1 | 8 | 8 | 88 |"));
    assert_non_null(
        strstr(text_string(&text), "| 1 | Fused-MBConv1 | 1 | 3 | - | 1 | 8 | 8 | 8 | 592 |"));
    assert_non_null(strstr(text_string(&text), "| 2 | MBConv4 | 2 | 5 | 0.25 | 2 | 8 | 16 | 4 |"));
    text_release(&text);
}

static void test_exports_respect_the_maximum(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 50);
    export_csv(&small_model, &text);
    assert_int_equal(text_status(&text), -E2BIG);
    text_release(&text);
    assert_int_equal(export_json(&small_model, &text), -E2BIG);
    text_release(&text);
}

static void test_format_names(void **state)
{
    (void)state;
    enum export_format format = EXPORT_JSON;
    assert_int_equal(export_format_from_name("markdown", &format), 0);
    assert_int_equal(format, EXPORT_MARKDOWN);
    assert_string_equal(export_content_type(EXPORT_CSV), "text/csv");
    assert_int_equal(export_format_from_name("xml", &format), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_report_holds_the_reference_counts),
        cmocka_unit_test(test_model_report_follows_the_query),
        cmocka_unit_test(test_parts_of_a_model_add_up),
        cmocka_unit_test(test_wrong_queries_are_refused),
        cmocka_unit_test(test_preset_reports_list_every_name),
        cmocka_unit_test(test_exported_table_reads_back_to_the_same_architecture),
        cmocka_unit_test(test_csv_has_a_row_for_everything),
        cmocka_unit_test(test_markdown_names_the_blocks_as_the_papers_do),
        cmocka_unit_test(test_exports_respect_the_maximum),
        cmocka_unit_test(test_format_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
