#include "search/export_json.h"

#include "search/export_rows.h"
#include "search/json_write.h"

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *ratio(uint32_t se_ratio)
{
    return se_ratio == 0 ? json_integer(0) : json_real((double)se_ratio / SE_RATIO_SCALE);
}

static json_t *identity_write(void)
{
    return JSON_BUILD({"block", json_string(block_type_name(BLOCK_IDENTITY))});
}

static json_t *stage_write(const struct stage *stage)
{
    if (stage->block == BLOCK_IDENTITY)
        return identity_write();
    return JSON_BUILD({"block", json_string(block_type_name(stage->block))},
                      {"layers", whole(stage->layers)}, {"kernel", whole(stage->kernel)},
                      {"expansion", whole(stage->expansion)}, {"se", ratio(stage->se_ratio)},
                      {"channels", whole(stage->channels)}, {"stride", whole(stage->stride)});
}

json_t *architecture_write(const struct architecture *architecture)
{
    json_t *stages = json_array();
    int failed = stages ? 0 : -1;
    for (uint32_t i = 0; i < architecture->stage_count && failed == 0; i++)
        failed = json_array_append_new(stages, stage_write(&architecture->stages[i]));
    if (failed == 0 && architecture->stage_count == 0)
        failed = json_array_append_new(stages, identity_write());
    if (failed != 0) {
        json_decref(stages);
        return NULL;
    }
    return JSON_BUILD({"stem", JSON_BUILD({"kernel", whole(architecture->stem_kernel)},
                                          {"stride", whole(architecture->stem_stride)},
                                          {"channels", whole(architecture->stem_channels)})},
                      {"stages", stages},
                      {"head", JSON_BUILD({"channels", whole(architecture->head_channels)})});
}

static json_t *stem_write(const struct export_rows *rows)
{
    const struct export_row *row = &rows->stem;
    return JSON_BUILD({"kernel", whole(row->stage.kernel)}, {"stride", whole(row->stage.stride)},
                      {"in_channels", whole(row->in_channels)},
                      {"channels", whole(row->stage.channels)}, {"in_size", whole(row->in_size)},
                      {"out_size", whole(row->out_size)}, {"params", whole(row->cost.params)},
                      {"macs", whole(row->cost.macs)});
}

static json_t *row_write(const struct export_row *row)
{
    const struct stage *stage = &row->stage;
    return JSON_BUILD({"block", json_string(block_type_name(stage->block))},
                      {"layers", whole(stage->layers)}, {"kernel", whole(stage->kernel)},
                      {"expansion", whole(stage->expansion)}, {"se", ratio(stage->se_ratio)},
                      {"stride", whole(stage->stride)}, {"in_channels", whole(row->in_channels)},
                      {"channels", whole(stage->channels)}, {"in_size", whole(row->in_size)},
                      {"out_size", whole(row->out_size)}, {"params", whole(row->cost.params)},
                      {"macs", whole(row->cost.macs)});
}

static json_t *stages_write(const struct export_rows *rows)
{
    json_t *stages = json_array();
    for (uint32_t i = 0; stages && i < rows->stage_count; i++) {
        if (json_array_append_new(stages, row_write(&rows->stages[i])) < 0) {
            json_decref(stages);
            return NULL;
        }
    }
    return stages;
}

static json_t *head_write(const struct export_rows *rows)
{
    const struct export_row *row = &rows->head;
    return JSON_BUILD({"in_channels", whole(row->in_channels)},
                      {"channels", whole(row->stage.channels)}, {"in_size", whole(row->in_size)},
                      {"params", whole(row->cost.params)}, {"macs", whole(row->cost.macs)});
}

json_t *export_write(const struct export_model *model)
{
    struct export_rows rows = export_rows_of(model);
    char text[ARCHITECTURE_TEXT_SIZE];
    architecture_text(model->architecture, text);
    return JSON_BUILD(
        {"name", json_string(model->name)}, {"image_size", whole(model->problem.image_size)},
        {"image_channels", whole(model->problem.image_channels)},
        {"classes", whole(model->problem.classes)}, {"params", whole(rows.total.params)},
        {"params_with_bn_statistics", whole(rows.total.params_with_bn_statistics)},
        {"macs", whole(rows.total.macs)}, {"activation_bytes", whole(rows.total.activation_bytes)},
        {"text", json_string(text)}, {"stem", stem_write(&rows)}, {"stages", stages_write(&rows)},
        {"head", head_write(&rows)});
}

int export_json(const struct export_model *model, struct text *text)
{
    return json_write_text(export_write(model), text);
}
