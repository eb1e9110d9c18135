#include "search/export.h"

#include "search/export_rows.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct {
    const char *name, *content_type;
} formats[] = {
    [EXPORT_JSON] = {"json", "application/json"},
    [EXPORT_CSV] = {"csv", "text/csv"},
    [EXPORT_MARKDOWN] = {"markdown", "text/markdown"},
};

int export_format_from_name(const char *name, enum export_format *ret_format)
{
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        if (strcmp(name, formats[i].name) == 0) {
            *ret_format = (enum export_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *export_content_type(enum export_format format)
{
    assert((size_t)format < ARRAY_LENGTH(formats));
    return formats[format].content_type;
}

struct export_rows export_rows_of(const struct export_model *model)
{
    const struct architecture *architecture = model->architecture;
    struct export_rows rows = {.stage_count = 0};
    uint32_t size = model->problem.image_size, channels = architecture->stem_channels;
    rows.stem = (struct export_row){.in_channels = model->problem.image_channels, .in_size = size};
    rows.stem.stage.kernel = architecture->stem_kernel;
    rows.stem.stage.stride = architecture->stem_stride;
    rows.stem.stage.channels = architecture->stem_channels;
    rows.stem.stage.layers = 1;
    rows.stem.cost = cost_of_stem(architecture, &model->problem, &size);
    rows.stem.out_size = size;
    for (uint32_t i = 0; i < architecture->stage_count; i++) {
        const struct stage *stage = &architecture->stages[i];
        if (stage->block == BLOCK_IDENTITY)
            continue;
        struct export_row *row = &rows.stages[rows.stage_count++];
        *row = (struct export_row){.stage = *stage, .in_channels = channels, .in_size = size};
        row->cost = cost_of_stage(stage, channels, size, &size);
        row->out_size = size;
        channels = stage->channels;
    }
    rows.head = (struct export_row){.in_channels = channels, .in_size = size, .out_size = 1};
    rows.head.stage.kernel = rows.head.stage.stride = rows.head.stage.layers = 1;
    rows.head.stage.channels = architecture->head_channels;
    rows.head.cost = cost_of_head(architecture, &model->problem, channels, size);
    rows.total = cost_of(architecture, &model->problem);
    return rows;
}

/* "Fused-MBConv4", "MBConv6", "Conv3x3": the papers' names for a stage's block. */
static void add_block_name(const struct stage *stage, struct text *text)
{
    if (stage->block == BLOCK_CONV)
        text_format(text, "Conv%" PRIu32 "x%" PRIu32, stage->kernel, stage->kernel);
    else
        text_format(text, "%sMBConv%" PRIu32, stage->block == BLOCK_MBCONV ? "" : "Fused-",
                    stage->expansion);
}

static void add_csv_row(const char *name, const char *block, const struct export_row *row,
                        struct text *text)
{
    const struct stage *stage = &row->stage;
    text_format(text, "%s,%s,%" PRIu32 ",%" PRIu32 ",", name, block, stage->layers, stage->kernel);
    if (row->stage.expansion > 0)
        text_format(text, "%" PRIu32 ",%g,", stage->expansion,
                    (double)stage->se_ratio / SE_RATIO_SCALE);
    else
        text_add(text, ",,");
    text_format(text,
                "%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64
                ",%" PRIu64 ",%" PRIu64 "\n",
                stage->stride, row->in_channels, stage->channels, row->in_size, row->out_size,
                row->cost.params, row->cost.params_with_bn_statistics, row->cost.macs,
                row->cost.activation_bytes);
}

void export_csv(const struct export_model *model, struct text *text)
{
    struct export_rows rows = export_rows_of(model);
    text_add(text, "row,block,layers,kernel,expansion,se,stride,in_channels,channels,in_size,"
                   "out_size,params,params_with_bn_statistics,macs,activation_bytes\n");
    add_csv_row("stem", "conv", &rows.stem, text);
    for (uint32_t i = 0; i < rows.stage_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%" PRIu32, i + 1);
        add_csv_row(name, block_type_name(rows.stages[i].stage.block), &rows.stages[i], text);
    }
    add_csv_row("head", "conv+pool+fc", &rows.head, text);
    text_format(text, "total,,,,,,,,,,,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
                rows.total.params, rows.total.params_with_bn_statistics, rows.total.macs,
                rows.total.activation_bytes);
}

static void add_markdown_ends(const struct export_row *row, const char *name, const char *operator,
                              struct text * text)
{
    text_format(text,
                "| %s | %s | 1 | %" PRIu32 " | - | %" PRIu32 " | %" PRIu32 " | %" PRIu32
                " | %" PRIu32 " | %" PRIu64 " | %" PRIu64 " |\n",
                name, operator, row->stage.kernel, row->stage.stride, row->in_channels,
                row->stage.channels, row->out_size, row->cost.params, row->cost.macs);
}

static void add_markdown_stage(const struct export_row *row, uint32_t number, struct text *text)
{
    const struct stage *stage = &row->stage;
    text_format(text, "| %" PRIu32 " | ", number);
    add_block_name(stage, text);
    text_format(text, " | %" PRIu32 " | %" PRIu32 " | ", stage->layers, stage->kernel);
    if (stage->se_ratio > 0)
        text_format(text, "%g", (double)stage->se_ratio / SE_RATIO_SCALE);
    else
        text_add(text, "-");
    text_format(text,
                " | %" PRIu32 " | %" PRIu32 " | %" PRIu32 " | %" PRIu32 " | %" PRIu64 " | %" PRIu64
                " |\n",
                stage->stride, row->in_channels, stage->channels, row->out_size, row->cost.params,
                row->cost.macs);
}

void export_markdown(const struct export_model *model, struct text *text)
{
    struct export_rows rows = export_rows_of(model);
    const struct problem *problem = &model->problem;
    text_format(text, "# %s\n\n", model->name);
    text_format(text,
                "For images of %" PRIu32 "x%" PRIu32 "x%" PRIu32 " and %" PRIu32
                " classes: %" PRIu64 " parameters (%" PRIu64 " with BN statistics), %" PRIu64
                " multiply-adds and %" PRIu64 " bytes of activations an image.\n\n",
                problem->image_size, problem->image_size, problem->image_channels, problem->classes,
                rows.total.params, rows.total.params_with_bn_statistics, rows.total.macs,
                rows.total.activation_bytes);
    text_add(text, "| stage | operator | layers | kernel | SE | stride | in | out | map | params | "
                   "MACs |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    char stem[32];
    snprintf(stem, sizeof stem, "Conv%" PRIu32 "x%" PRIu32, rows.stem.stage.kernel,
             rows.stem.stage.kernel);
    add_markdown_ends(&rows.stem, "stem", stem, text);
    for (uint32_t i = 0; i < rows.stage_count; i++)
        add_markdown_stage(&rows.stages[i], i + 1, text);
    add_markdown_ends(&rows.head, "head", "Conv1x1, pool, FC", text);
}
