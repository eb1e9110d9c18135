#include "tests/unit/search/specs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const char specs_example[] =
    "{\"name\": \"first-light\","
    " \"dataset\": {\"name\": \"fashion-mnist\", \"train\": 8000, \"validation\": 2000},"
    " \"space\": {\"preset\": \"efficientnetv2-small-images\"},"
    " \"objectives\": [\"accuracy\", \"step_time\", \"params\"],"
    " \"reward\": {\"step_time\": -0.07, \"params\": -0.05},"
    " \"constraints\": {\"params_max\": 2000000, \"macs_max\": 60000000},"
    " \"strategy\": {\"name\": \"evolution\", \"population\": 16, \"sample\": 4},"
    " \"budget\": {\"candidates\": 24, \"epochs\": 2},"
    " \"recipe\": {\"preset\": \"search-short\", \"batch\": 128, \"image_size\": 28},"
    " \"baseline\": {\"preset\": \"efficientnetv2-b0-small-images\"},"
    " \"parallel_max\": 4, \"priority\": 0, \"seed\": 1, \"deterministic\": false}";

struct spec *specs_parse(const char *json)
{
    struct spec *spec = NULL;
    struct error error = {0};
    if (spec_parse(json, strlen(json), NULL, &spec, &error) < 0)
        fail_msg("%s: %s", error.pointer, error.message);
    return spec;
}

struct spec *specs_with(const char *space, const char *members)
{
    char json[8192];
    int length =
        snprintf(json, sizeof json, "{\"dataset\": {\"name\": \"fashion-mnist\"}, \"space\": %s%s}",
                 space, members);
    assert_in_range(length, 1, sizeof json - 1);
    return specs_parse(json);
}
