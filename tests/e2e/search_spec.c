#include "tests/e2e/search_spec.h"

#include <stdio.h>
#include <string.h>

void spec_write(char text[SPEC_TEST_SIZE], const char *name, int candidates)
{
    snprintf(text, SPEC_TEST_SIZE,
             "{\"name\": \"%s\",\n"
             " \"dataset\": {\"name\": \"fashion-mnist\", \"train\": 800, \"validation\": 200},\n"
             " \"space\": {\"preset\": \"efficientnetv2-small-images\"},\n"
             " \"objectives\": [\"accuracy\", \"step_time\", \"params\"],\n"
             " \"reward\": {\"step_time\": -0.07, \"params\": -0.05},\n"
             " \"constraints\": {\"params_max\": 2000000, \"macs_max\": 60000000},\n"
             " \"strategy\": {\"name\": \"evolution\", \"population\": 16, \"sample\": 4},\n"
             " \"budget\": {\"candidates\": %d, \"epochs\": 2},\n"
             " \"recipe\": {\"preset\": \"search-short\", \"batch\": 128, \"image_size\": 28},\n"
             " \"baseline\": {\"preset\": \"efficientnetv2-b0-small-images\"},\n"
             " \"parallel_max\": 4, \"priority\": 0, \"seed\": 1, \"deterministic\": false}",
             name, candidates);
}

void spec_write_with(char text[SPEC_TEST_SIZE], const char *old, const char *new)
{
    char whole[SPEC_TEST_SIZE];
    spec_write(whole, "spoilt", 4);
    const char *at = strstr(whole, old);
    assert_non_null(at);
    assert_null(strstr(at + 1, old));
    snprintf(text, SPEC_TEST_SIZE, "%.*s%s%s", (int)(at - whole), whole, new, at + strlen(old));
}

int64_t search_submit(const struct daemon_process *process, const char *name, int candidates)
{
    char text[SPEC_TEST_SIZE];
    spec_write(text, name, candidates);
    struct answer answer = post(process, "/v1/searches", text);
    if (answer.status != 201)
        fail_msg("submit: %d %s", answer.status, answer.body);
    int64_t id = integer_at(&answer, "id");
    answer_release(&answer);
    return id;
}

int search_steer(const struct daemon_process *process, int64_t search, const char *verb)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/searches/%lld:%s", (long long)search, verb);
    struct answer answer = post(process, path, NULL);
    int status = answer.status;
    answer_release(&answer);
    return status;
}
