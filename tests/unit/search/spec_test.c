/* Specs: defaults, refusals and where they point. */
#include "search/spec.h"
#include "tests/unit/search/specs.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA "\"dataset\": {\"name\": \"fashion-mnist\"}"
#define SPACE "\"space\": {\"preset\": \"efficientnetv2-small-images\"}"
#define BOTH DATA ", " SPACE
#define TWO BOTH ", \"objectives\": [\"accuracy\", \"macs\"]"
#define PROGRESSIVE(text) "{" BOTH ", \"recipe\": {\"progressive\": " text "}}"

static void test_example_of_the_documentation_is_read(void **state)
{
    (void)state;
    struct spec *spec = specs_parse(specs_example);
    assert_string_equal(spec->name, "first-light");
    assert_string_equal(spec->dataset.name, "fashion-mnist");
    assert_int_equal(spec->train_images, 8000);
    assert_int_equal(spec->validation_images, 2000);
    assert_int_equal(spec->objective_count, 3);
    assert_int_equal(spec->objectives[1], OBJECTIVE_STEP_TIME);
    assert_true(spec->reward.exponent[OBJECTIVE_ACCURACY] == 1);
    assert_true(spec->reward.exponent[OBJECTIVE_STEP_TIME] == -0.07);
    assert_int_equal(spec->constraints.params_max, 2000000);
    assert_int_equal(spec->constraints.memory_max, 0);
    assert_int_equal(spec->strategy.population, 16);
    assert_int_equal(spec->strategy.sample, 4);
    assert_int_equal(spec->candidates_max, 24);
    assert_int_equal(spec->epochs, 2);
    assert_int_equal(spec->recipe.batch, 128);
    assert_int_equal(spec->problem.image_size, 28);
    assert_int_equal(spec->problem.image_channels, 1);
    assert_int_equal(spec->problem.classes, 10);
    assert_int_equal(spec->baseline.stem_stride, 1);
    assert_int_equal(spec->baseline_cost.params, cost_of(&spec->baseline, &spec->problem).params);
    assert_int_equal(spec->parallel_max, 4);
    assert_int_equal(spec->seed, 1);
    assert_false(spec->deterministic);
    spec_free(spec);
}

static void test_everything_but_data_set_and_space_has_a_default(void **state)
{
    (void)state;
    struct spec *spec = specs_parse("{" BOTH "}");
    assert_string_equal(spec->name, "search");
    assert_int_equal(spec->train_images, 54000);
    assert_int_equal(spec->validation_images, 6000);
    assert_int_equal(spec->objective_count, 3);
    assert_true(spec->reward.exponent[OBJECTIVE_STEP_TIME] == -0.07);
    assert_true(spec->reward.exponent[OBJECTIVE_PARAMS] == -0.05);
    assert_string_equal(spec->strategy.name, "model");
    assert_int_equal(spec->candidates_max, 24);
    assert_int_equal(spec->epochs, 2);
    assert_int_equal(spec->recipe.image_size, 28);
    assert_int_equal(spec->recipe.optimizer, OPTIMIZER_SGD);
    assert_true(spec->baseline.stage_count > 0);
    assert_true(spec->baseline_cost.macs > 0);
    assert_int_equal(spec->parallel_max, 4);
    spec_free(spec);
}

static void test_evolution_has_a_population_and_a_sample_by_default(void **state)
{
    (void)state;
    struct spec *spec = specs_parse("{" BOTH ", \"strategy\": {\"name\": \"evolution\"}}");
    assert_int_equal(spec->strategy.population, 12);
    assert_int_equal(spec->strategy.sample, 6);
    spec_free(spec);
}

static void test_given_reward_replaces_the_default_exponents(void **state)
{
    (void)state;
    struct spec *spec = specs_parse("{" BOTH ", \"reward\": {\"macs\": -0.1, \"accuracy\": 2}}");
    assert_true(spec->reward.exponent[OBJECTIVE_ACCURACY] == 2);
    assert_true(spec->reward.exponent[OBJECTIVE_MACS] == -0.1);
    assert_true(spec->reward.exponent[OBJECTIVE_STEP_TIME] == 0);
    struct measures baseline = spec_baseline_measures(spec);
    assert_true(baseline.value[OBJECTIVE_MACS] == (double)spec->baseline_cost.macs);
    assert_true(baseline.value[OBJECTIVE_STEP_TIME] == 1);
    spec_free(spec);
}

static void test_reference_is_read(void **state)
{
    (void)state;
    struct spec *spec = specs_parse("{" BOTH "}");
    assert_false(spec->has_reference);
    spec_free(spec);
    spec = specs_parse("{" TWO ", \"reference\": {\"macs\": 2e8, \"accuracy\": 0.85}}");
    assert_true(spec->has_reference);
    assert_true(spec->reference.value[OBJECTIVE_ACCURACY] == 0.85);
    assert_true(spec->reference.value[OBJECTIVE_MACS] == 2e8);
    spec_free(spec);
}

static void test_held_out_images_fit_what_training_leaves(void **state)
{
    (void)state;
    struct spec *spec =
        specs_parse("{\"dataset\": {\"name\": \"mnist\", \"train\": 59000}, " SPACE "}");
    assert_int_equal(spec->validation_images, 1000);
    spec_free(spec);
    spec = specs_parse("{\"dataset\": {\"name\": \"mnist\", \"validation\": 10000}, " SPACE "}");
    assert_int_equal(spec->train_images, 50000);
    spec_free(spec);
}

static void test_recipe_fields_replace_the_presets(void **state)
{
    (void)state;
    struct spec *spec = specs_parse("{" BOTH ", \"recipe\": {\"preset\": \"efficientnetv2\","
                                    " \"learning_rate\": 1, \"flip\": false, \"image_size\": 32}}");
    assert_int_equal(spec->recipe.optimizer, OPTIMIZER_RMSPROP);
    assert_true(spec->recipe.learning_rate == 1);
    assert_false(spec->recipe.flip);
    assert_int_equal(spec->recipe.batch, 256);
    assert_int_equal(spec->problem.image_size, 32);
    spec_free(spec);
}

/* A refusal: the text, where it points, and words that its message must have. */
struct refusal {
    const char *json, *pointer, *words;
};

static void assert_refused(const struct refusal *refusal)
{
    struct spec *spec = NULL;
    struct error error = {0};
    int r = spec_parse(refusal->json, strlen(refusal->json), NULL, &spec, &error);
    if (r != -EINVAL || strcmp(error.pointer, refusal->pointer) != 0 ||
        !strstr(error.message, refusal->words))
        fail_msg("%s: %d at \"%s\": %s", refusal->json, r, error.pointer, error.message);
    assert_null(spec);
    size_t length = strlen(error.message);
    assert_true(length > 0 &&
                (error.message[length - 1] == '.' || error.message[length - 1] == '?'));
}

static void test_broken_texts_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", "", "not valid JSON"},
        {"{", "", "not valid JSON"},
        {"null", "", "must be an object"},
        {"[]", "", "must be an object, not an array"},
        {"{} x", "", "not valid JSON"},
        {"{\"name\": \"a\", \"seed\": nan}", "/seed", "not valid JSON"},
        {"{\"seed\": 99999999999999999999}", "/seed", "too large"},
        {"{\"reward\": {\"params\": 1e999}}", "/reward/params", "too large"},
        {"{\"seed\": 1, \"seed\": 1}", "/seed", "twice"},
        {"{\"budget\": {\"epochs\": 1, \"candidates\": 2, \"epochs\": 3}}", "/budget/epochs",
         "twice"},
        {"{\"space\": {\"stages\": [{}, {\"block\": 1, \"block\": 2}]}}", "/space/stages/1/block",
         "twice"},
        {"{\"name\": \"\\u0000\"}", "/name", "not valid JSON"},
        {"{\"name\": \"\xff\"}", "/name", "not valid JSON"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_refused(&cases[i]);
}

static void test_wrong_data_sets_spaces_and_rewards_are_refused_where_they_are(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{" BOTH ", \"sed\": 1}", "/sed", "did you mean \"seed\""},
        {"{" BOTH ", \"a/b~c\": 1}", "/a~1b~0c", "Unknown key"},
        {"{" SPACE "}", "/dataset", "missing"},
        {"{" DATA "}", "/space", "missing"},
        {"{\"dataset\": \"mnist\", " SPACE "}", "/dataset", "must be an object, not a string"},
        {"{\"dataset\": {}, " SPACE "}", "/dataset/name", "missing"},
        {"{\"dataset\": {\"name\": \"fashon-mnist\"}, " SPACE "}", "/dataset/name",
         "did you mean \"fashion-mnist\""},
        {"{\"dataset\": {\"name\": \"imagenet\"}, " SPACE "}", "/dataset/name", "cifar10"},
        {"{\"dataset\": {\"name\": \"mnist\", \"train\": 60000, \"validation\": 1}, " SPACE "}",
         "/dataset/train", "60000"},
        {"{\"dataset\": {\"name\": \"mnist\", \"train\": 1000000000}, " SPACE "}", "/dataset/train",
         "60000"},
        {"{\"dataset\": {\"name\": \"mnist\", \"train\": -5}, " SPACE "}", "/dataset/train",
         "from 1 to"},
        {"{\"dataset\": {\"name\": \"mnist\", \"train\": 31}, " SPACE "}", "/dataset/train",
         "at least one batch"},
        {"{" DATA ", \"space\": 2}", "/space", "must be an object"},
        {"{" DATA ", \"space\": {\"preset\": \"resnet\"}}", "/space/preset",
         "efficientnetv2-small-images"},
        {"{" DATA ", \"space\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
         " \"stages\": []}}",
         "/space/stages", "1 to 32"},
        {"{" DATA ", \"space\": {\"image_channels\": 3, \"stem\": {\"channels\": 8}, \"head\":"
         " {\"channels\": 8}, \"stages\": [{\"block\": \"conv\", \"channels\": 8}]}}",
         "/space/image_channels", "1 channels"},
        {"{" BOTH ", \"name\": \"\"}", "/name", "1 to 127"},
        {"{" BOTH ", \"name\": \"a\\nb\"}", "/name", "control"},
        {"{" BOTH ", \"name\": 5}", "/name", "must be a string"},
        {"{" BOTH ", \"objectives\": []}", "/objectives", "1 to 3"},
        {"{" BOTH ", \"objectives\": [\"params\", \"macs\"]}", "/objectives", "accuracy"},
        {"{" BOTH ", \"objectives\": [\"accuracy\", \"acuracy\"]}", "/objectives/1",
         "did you mean \"accuracy\""},
        {"{" BOTH ", \"objectives\": [\"accuracy\", \"accuracy\"]}", "/objectives/1", "twice"},
        {"{" BOTH ", \"objectives\": [\"accuracy\", 1]}", "/objectives/1", "a string"},
        {"{" BOTH ", \"objectives\": [\"accuracy\", \"params\", \"macs\", \"loss\"]}",
         "/objectives", "1 to 3"},
        {"{" BOTH ", \"reference\": 1}", "/reference", "must be an object"},
        {"{" TWO ", \"reference\": {\"accuracy\": 0.5}}", "/reference/macs", "missing"},
        {"{" TWO ", \"reference\": {\"accuracy\": 0.5, \"macs\": 1, \"params\": 1}}",
         "/reference/params", "not among"},
        {"{" TWO ", \"reference\": {\"accuracy\": 1, \"macs\": 1}}", "/reference/accuracy",
         "below 1"},
        {"{" TWO ", \"reference\": {\"accuracy\": -0.1, \"macs\": 1}}", "/reference/accuracy",
         "from 0"},
        {"{" TWO ", \"reference\": {\"accuracy\": 0, \"macs\": 0}}", "/reference/macs", "above 0"},
        {"{" TWO ", \"reference\": {\"accuracy\": 0, \"macs\": \"all\"}}", "/reference/macs",
         "must be a number"},
        {"{" BOTH ", \"reward\": {\"params\": 0.05}}", "/reward/params", "less is better"},
        {"{" BOTH ", \"reward\": {\"accuracy\": -1}}", "/reward/accuracy", "more is better"},
        {"{" BOTH ", \"reward\": {\"accuracy\": 0}}", "/reward/accuracy", "above 0"},
        {"{" BOTH ", \"reward\": {\"params\": -11}}", "/reward/params", "from -10 to 0"},
        {"{" BOTH ", \"reward\": {\"latency\": -1}}", "/reward/latency", "Unknown key"},
        {"{" BOTH ", \"reward\": {\"params\": \"-1\"}}", "/reward/params", "must be a number"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_refused(&cases[i]);
}

static void test_wrong_recipes_are_refused_where_they_are(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{" BOTH ", \"recipe\": {\"preset\": \"short\"}}", "/recipe/preset", "search-short"},
        {"{" BOTH ", \"recipe\": {\"batch\": 5000}}", "/recipe/batch", "4096"},
        {"{" BOTH ", \"recipe\": {\"learning_rate\": -1}}", "/recipe/learning_rate", "above 0"},
        {"{" BOTH ", \"recipe\": {\"flip\": 1}}", "/recipe/flip", "true or false"},
        {"{" BOTH ", \"recipe\": {\"optimizer\": \"adam\"}}", "/recipe/optimizer", "sgd"},
        {"{" BOTH ", \"recipe\": {\"image_size\": 4}}", "/recipe/image_size", "at least 5"},
        {"{" BOTH ", \"recipe\": {\"image_size\": 2000}}", "/recipe/image_size", "1024"},
        {"{" BOTH ", \"recipe\": {\"lr\": 1}}", "/recipe/lr", "precision, progressive."},
        {"{" BOTH ", \"recipe\": {\"schedule\": \"linear\"}}", "/recipe/schedule", "cosine"},
        {"{" BOTH ", \"recipe\": {\"precision\": \"f16\"}}", "/recipe/precision", "bf16"},
        {"{" BOTH ", \"recipe\": {\"micro_batches\": 3}}", "/recipe/micro_batches", "divide"},
        {PROGRESSIVE("{\"preset\": \"efficientnetv2-s-papr\"}"), "/recipe/progressive/preset",
         "did you mean"},
        {PROGRESSIVE("{\"preset\": \"efficientnetv2-s-paper\", \"stages\": 2}"),
         "/recipe/progressive/stages", "either"},
        {PROGRESSIVE("{}"), "/recipe/progressive/stages", "number of stages"},
        {PROGRESSIVE("{\"stages\": 9}"), "/recipe/progressive/stages", "8"},
        {PROGRESSIVE("{\"stages\": []}"), "/recipe/progressive/stages", "1 to 8"},
        {PROGRESSIVE("{\"stages\": 2, \"image_size\": [16.5, 28]}"),
         "/recipe/progressive/image_size", "whole numbers"},
        {PROGRESSIVE("{\"stages\": 2, \"dropout\": [0, 0.1, 0.2], \"image_size\": 28}"),
         "/recipe/progressive/dropout", "list of two"},
        {PROGRESSIVE("{\"stages\": 2, \"image_size\": [16, 28], \"dropout\": [0, 1]}"),
         "/recipe/progressive/stages/1/dropout", "below 1"},
        {PROGRESSIVE("{\"stages\": [{\"image_size\": 16}, {\"size\": 28}]}"),
         "/recipe/progressive/stages/1/size", "Unknown key"},
        {PROGRESSIVE("{\"stages\": [{\"image_size\": 28}], \"mixup\": 0}"),
         "/recipe/progressive/mixup", "listed"},
        {"{" BOTH ", \"recipe\": {\"image_size\": 28,"
         " \"progressive\": {\"stages\": 2, \"image_size\": [16, 24]}}}",
         "/recipe/progressive", "24 pixels, but image_size is 28"},
        {PROGRESSIVE("{\"stages\": 2, \"image_size\": [4, 28]}"), "/recipe/progressive",
         "at least 5"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_refused(&cases[i]);
}

static void test_a_magnitude_turns_randaugment_on(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t ops;
    } cases[] = {
        {"{" BOTH "}", 0},
        {"{" BOTH ", \"recipe\": {\"randaugment_magnitude\": 5}}", 2},
        {"{" BOTH ", \"recipe\": {\"randaugment_magnitude\": 5, \"randaugment_ops\": 0}}", 0},
        {"{" BOTH ", \"recipe\": {\"randaugment_magnitude\": 5, \"randaugment_ops\": 3}}", 3},
        {PROGRESSIVE("{\"preset\": \"efficientnetv2-s-paper\"}"), 2},
        {PROGRESSIVE("{\"preset\": \"efficientnetv2-b0-automl\"}"), 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct spec *spec = specs_parse(cases[i].text);
        assert_int_equal(spec->recipe.randaugment_ops, cases[i].ops);
        spec_free(spec);
    }
}

static void test_progressive_stages_are_read_in_each_form(void **state)
{
    (void)state;
    static const char *const forms[] = {
        PROGRESSIVE("{\"preset\": \"efficientnetv2-s-paper\"}"),
        PROGRESSIVE("{\"stages\": 4, \"image_size\": [12, 28],"
                    " \"randaugment_magnitude\": [5, 15], \"dropout\": [0.1, 0.3]}"),
        PROGRESSIVE("{\"stages\": [{\"image_size\": 12, \"randaugment_magnitude\": 5,"
                    " \"dropout\": 0.1}, {\"image_size\": 28}, {\"image_size\": 28},"
                    " {\"image_size\": 28, \"randaugment_magnitude\": 15, \"dropout\": 0.3}]}"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        struct spec *spec = specs_parse(forms[i]);
        const struct recipe *recipe = &spec->recipe;
        assert_int_equal(recipe->image_size, 28);
        assert_int_equal(recipe->stage_count, 4);
        assert_int_equal(recipe->stages[0].image_size, 12);
        assert_true(recipe->stages[0].randaugment_magnitude == 5);
        assert_true(recipe->stages[3].dropout == 0.3);
        struct text text;
        text_init(&text, SPEC_TEXT_MAX);
        assert_int_equal(spec_to_json(spec, &text), 0);
        struct spec *again = specs_parse(text.data);
        assert_memory_equal(recipe, &again->recipe, sizeof *recipe);
        text_release(&text);
        spec_free(again);
        spec_free(spec);
    }
}

static void test_wrong_limits_and_budgets_are_refused_where_they_are(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{" BOTH ", \"constraints\": {\"params_max\": 0}}", "/constraints/params_max", "from 1"},
        {"{" BOTH ", \"constraints\": {\"params_max\": 1.5}}", "/constraints/params_max", "whole"},
        {"{" BOTH ", \"constraints\": {\"param_max\": 1}}", "/constraints/param_max",
         "did you mean \"params_max\""},
        {"{" BOTH ", \"strategy\": {\"name\": \"evolutoin\"}}", "/strategy/name",
         "did you mean \"evolution\""},
        {"{" BOTH ", \"strategy\": {\"name\": \"rl\"}}", "/strategy/name",
         "evolution, grid, list, local, model, nsga2, policy and random"},
        {"{" BOTH ", \"strategy\": {\"name\": \"evolution\", \"population\": 1}}",
         "/strategy/population", "from 2"},
        {"{" BOTH ", \"strategy\": {\"name\": \"evolution\", \"population\": 8, \"sample\": 9}}",
         "/strategy/sample", "from 1 to 8"},
        {"{" BOTH ", \"strategy\": {\"name\": \"random\", \"sample\": 2}}", "/strategy/sample",
         "strategy \"evolution\""},
        {"{" BOTH ", \"strategy\": {\"name\": \"nsga2\", \"sample\": 2}}", "/strategy/sample",
         "strategy \"evolution\""},
        {"{" BOTH ", \"strategy\": {\"name\": \"local\", \"population\": 2}}",
         "/strategy/population", "\"evolution\" and \"nsga2\""},
        {"{" BOTH ", \"strategy\": {\"name\": \"nsga2\", \"population\": 501}}",
         "/strategy/population", "from 2 to 500"},
        {"{" BOTH ", \"strategy\": {\"name\": \"policy\", \"learning_rate\": -1}}",
         "/strategy/learning_rate", "from 0 to 10"},
        {"{" BOTH ", \"strategy\": {\"name\": \"policy\", \"entropy\": \"no\"}}",
         "/strategy/entropy", "number"},
        {"{" BOTH ", \"strategy\": {\"name\": \"policy\", \"minibatch\": 0}}",
         "/strategy/minibatch", "from 1 to 1000"},
        {"{" BOTH ", \"strategy\": {\"name\": \"nsga2\", \"entropy\": 0}}", "/strategy/entropy",
         "strategy \"policy\""},
        {"{" BOTH ", \"strategy\": {\"population\": 8}}", "/strategy/population", "evolution"},
        {"{" BOTH ", \"budget\": {\"candidates\": -1}}", "/budget/candidates", "from 1 to 1000000"},
        {"{" BOTH ", \"budget\": {\"candidates\": 1000001}}", "/budget/candidates", "1000000"},
        {"{" BOTH ", \"budget\": {\"epochs\": 0}}", "/budget/epochs", "from 1"},
        {"{" BOTH ", \"budget\": 24}", "/budget", "must be an object"},
        {"{" BOTH ", \"baseline\": {\"preset\": \"b0\"}}", "/baseline/preset", "no model preset"},
        {"{" BOTH ", \"baseline\": {\"preset\": \"efficientnetv2-xl\"},"
         " \"recipe\": {\"image_size\": 16}}",
         "/baseline", "too small"},
        {"{" BOTH ", \"baseline\": {\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8},"
         " \"stages\": [{\"block\": \"conv\", \"channels\": [8, 16]}]}}",
         "/baseline/stages/0", "single value"},
        {"{" BOTH ", \"parallel_max\": 0}", "/parallel_max", "from 1 to 4096"},
        {"{" BOTH ", \"priority\": 1001}", "/priority", "from -1000 to 1000"},
        {"{" BOTH ", \"seed\": -1}", "/seed", "from 0"},
        {"{" BOTH ", \"seed\": null}", "/seed", "not null"},
        {"{" BOTH ", \"deterministic\": \"yes\"}", "/deterministic", "true or false"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_refused(&cases[i]);
}

static void test_default_populations_follow_the_budget(void **state)
{
    (void)state;
    static const uint32_t expected[][2] = {{1, 2},    {24, 12},  {40, 20},
                                           {200, 20}, {500, 50}, {1000000, 100}};
    static const char *const names[] = {"evolution", "nsga2"};
    for (size_t i = 0; i < ARRAY_LENGTH(expected) * 2; i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{" BOTH ", \"strategy\": {\"name\": \"%s\"}, \"budget\": {\"candidates\": %u}}",
                 names[i % 2], expected[i / 2][0]);
        struct spec *spec = specs_parse(json);
        assert_int_equal(spec->strategy.population, expected[i / 2][1]);
        assert_int_equal(spec->strategy.sample,
                         i % 2 == 1 ? 0 : (expected[i / 2][1] > 4 ? expected[i / 2][1] / 2 : 2));
        spec_free(spec);
    }
}

static void test_too_large_texts_are_refused(void **state)
{
    (void)state;
    size_t length = SPEC_TEXT_MAX + 1;
    char *json = malloc(length);
    assert_non_null(json);
    memset(json, ' ', length);
    struct spec *spec = NULL;
    struct error error = {0};
    assert_int_equal(spec_parse(json, length, NULL, &spec, &error), -E2BIG);
    assert_non_null(strstr(error.message, "1048576"));
    free(json);
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 10000 };
    static char json[DEPTH * 5 + 1];
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(json + i * 5, "{\"a\":", 5);
    struct spec *spec = NULL;
    struct error error = {0};
    assert_int_equal(spec_parse(json, DEPTH * 5, NULL, &spec, &error), -EINVAL);
    assert_non_null(strstr(error.message, "deep"));
    memset(json, '[', DEPTH * 5);
    assert_int_equal(spec_parse(json, DEPTH * 5, NULL, &spec, &error), -EINVAL);
    assert_null(spec);
}

/* The smallest figures of the preset on its data set. */
static struct cost preset_minimum(void)
{
    struct spec *spec = specs_parse("{" BOTH "}");
    struct cost minimum = pricing_minimum(spec->pricing);
    spec_free(spec);
    return minimum;
}

static int parse_limited(const char *limit, uint64_t value, struct error *error)
{
    char json[512];
    struct spec *spec = NULL;
    snprintf(json, sizeof json, "{" BOTH ", \"constraints\": {\"%s\": %" PRIu64 "}}", limit, value);
    int r = spec_parse(json, strlen(json), NULL, &spec, error);
    spec_free(spec);
    return r;
}

static void test_infeasible_limit_names_the_nearest_value_that_works(void **state)
{
    (void)state;
    struct cost minimum = preset_minimum();
    for (int i = 0; i < LIMIT_COUNT; i++) {
        const char *name = limit_name((enum limit)i);
        uint64_t least = limit_of_cost(&minimum, (enum limit)i);
        char pointer[64], nearest[64];
        struct error error = {0};
        snprintf(pointer, sizeof pointer, "/constraints/%s", name);
        snprintf(nearest, sizeof nearest, "%s must be at least %" PRIu64 ".", name, least);
        assert_int_equal(parse_limited(name, least - 1, &error), -EINVAL);
        assert_string_equal(error.pointer, pointer);
        assert_non_null(strstr(error.message, nearest));
        assert_int_equal(parse_limited(name, least, &error), 0);
    }
}

/* Two stages that pull in opposite directions: few parameters cost many multiply-adds early, and the other way round. */
static void test_limits_that_work_alone_but_not_together_are_refused(void **state)
{
    (void)state;
    static const char space[] =
        "{\"stem\": {\"channels\": 8}, \"head\": {\"channels\": 8}, \"stages\": ["
        "{\"alternatives\": ["
        "{\"block\": \"conv\", \"channels\": 8, \"stride\": 1, \"layers\": 8},"
        "{\"block\": \"conv\", \"channels\": 64, \"stride\": 2}]}]}";
    struct spec *spec = specs_with(space, "");
    struct cost few_params = pricing_cost(spec->pricing, &(struct encoding){{0}});
    struct cost few_macs = pricing_cost(spec->pricing, &(struct encoding){{1}});
    spec_free(spec);
    assert_true(few_params.params < few_macs.params && few_params.macs > few_macs.macs);
    char json[1024], nearest[128];
    struct error error = {0};
    spec = NULL;
    snprintf(json, sizeof json,
             "{" DATA ", \"space\": %s, \"constraints\": {\"params_max\": %" PRIu64
             ", \"macs_max\": %" PRIu64 "}}",
             space, few_params.params, few_macs.macs);
    assert_int_equal(spec_parse(json, strlen(json), NULL, &spec, &error), -EINVAL);
    assert_non_null(strstr(error.message, "together with the other limits"));
    double params_factor = (double)few_macs.params / (double)few_params.params;
    double macs_factor = (double)few_params.macs / (double)few_macs.macs;
    if (params_factor < macs_factor)
        snprintf(nearest, sizeof nearest, "params_max must be at least %" PRIu64, few_macs.params);
    else
        snprintf(nearest, sizeof nearest, "macs_max must be at least %" PRIu64, few_params.macs);
    assert_non_null(strstr(error.message, nearest));
}

static const struct dataset *find_own(void *context, const char *name)
{
    return strcmp(name, "own") == 0 ? context : NULL;
}

static const struct dataset *own_at(void *context, size_t index)
{
    const struct dataset *own = context;
    return index < 1 && own->classes > 0 ? own : NULL;
}

static const struct dataset *many_at(void *context, size_t index)
{
    return index < 99 ? context : NULL;
}

static void test_data_sets_are_found_by_the_callers_function(void **state)
{
    (void)state;
    struct dataset own = {"own", 64, 3, 7, 1000, 0};
    struct spec_datasets datasets = {find_own, own_at, &own};
    struct spec *spec = NULL;
    struct error error = {0};
    static const char json[] = "{\"dataset\": {\"name\": \"own\"}, " SPACE "}";
    assert_int_equal(spec_parse(json, strlen(json), &datasets, &spec, &error), 0);
    assert_int_equal(spec->problem.classes, 7);
    assert_int_equal(spec->train_images, 900);
    spec_free(spec);
    spec = NULL;
    static const char known[] = "{" BOTH "}";
    assert_int_equal(spec_parse(known, strlen(known), &datasets, &spec, &error), -EINVAL);
    assert_string_equal(error.pointer, "/dataset/name");
    assert_string_equal(error.message, "There is no data set \"fashion-mnist\"; there are own.");
    datasets.at = many_at;
    assert_int_equal(spec_parse(known, strlen(known), &datasets, &spec, &error), -EINVAL);
    assert_non_null(strstr(error.message, "own, own and others."));
    snprintf(own.name, sizeof own.name, "%060d", 1);
    assert_int_equal(spec_parse(known, strlen(known), &datasets, &spec, &error), -EINVAL);
    assert_non_null(strstr(error.message, "0001 and others."));
    own.classes = 0;
    datasets.at = own_at;
    assert_int_equal(spec_parse(known, strlen(known), &datasets, &spec, &error), -EINVAL);
    assert_non_null(strstr(error.message, "no worker"));
}

static void test_stages_without_image_size_take_the_data_sets(void **state)
{
    (void)state;
    static const char *const forms[] = {
        PROGRESSIVE("{\"stages\": 2, \"dropout\": [0, 0.2]}"),
        PROGRESSIVE("{\"stages\": [{\"dropout\": 0}, {\"dropout\": 0.2}]}"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        struct spec *spec = specs_parse(forms[i]);
        assert_int_equal(spec->recipe.image_size, spec->dataset.image_size);
        assert_int_equal(spec->recipe.stages[0].image_size, spec->dataset.image_size);
        assert_true(spec->recipe.stages[1].dropout == 0.2);
        spec_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_documentation_is_read),
        cmocka_unit_test(test_everything_but_data_set_and_space_has_a_default),
        cmocka_unit_test(test_evolution_has_a_population_and_a_sample_by_default),
        cmocka_unit_test(test_given_reward_replaces_the_default_exponents),
        cmocka_unit_test(test_reference_is_read),
        cmocka_unit_test(test_held_out_images_fit_what_training_leaves),
        cmocka_unit_test(test_recipe_fields_replace_the_presets),
        cmocka_unit_test(test_broken_texts_are_refused),
        cmocka_unit_test(test_wrong_data_sets_spaces_and_rewards_are_refused_where_they_are),
        cmocka_unit_test(test_wrong_recipes_are_refused_where_they_are),
        cmocka_unit_test(test_a_magnitude_turns_randaugment_on),
        cmocka_unit_test(test_progressive_stages_are_read_in_each_form),
        cmocka_unit_test(test_stages_without_image_size_take_the_data_sets),
        cmocka_unit_test(test_wrong_limits_and_budgets_are_refused_where_they_are),
        cmocka_unit_test(test_default_populations_follow_the_budget),
        cmocka_unit_test(test_too_large_texts_are_refused),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_infeasible_limit_names_the_nearest_value_that_works),
        cmocka_unit_test(test_limits_that_work_alone_but_not_together_are_refused),
        cmocka_unit_test(test_data_sets_are_found_by_the_callers_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
