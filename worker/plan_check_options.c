#include "worker/plan_check_options.h"

#include "worker/engine/cuda/convolver.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

enum {
    OPTION_SPACE = 256,
    OPTION_DESCRIPTION,
    OPTION_BATCH,
    OPTION_IMAGE_SIZE,
    OPTION_CLASSES,
    OPTION_WORKSPACE
};

static const struct option long_options[] = {
    {"plan-check", required_argument, NULL, OPTION_SPACE},
    {"device-description", required_argument, NULL, OPTION_DESCRIPTION},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"image-size", required_argument, NULL, OPTION_IMAGE_SIZE},
    {"classes", required_argument, NULL, OPTION_CLASSES},
    {"workspace-mib", required_argument, NULL, OPTION_WORKSPACE},
    {NULL, 0, NULL, 0},
};

static int read_number(const char *text, const char *option, uint32_t min, uint32_t max,
                       uint32_t *ret_number, struct error *error)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || value < min || value > max)
        return error_set(error, -EINVAL, "", "%s must be %u to %u, not \"%.40s\"", option, min, max,
                         text);
    *ret_number = (uint32_t)value;
    return 0;
}

int plan_check_options_parse(int argc, char *const *argv, struct plan_check_options *ret_options,
                             struct error *error)
{
    struct plan_check_options options = {
        .batch = 256, .image_size = 224, .classes = 1000, .workspace_mib = CONVOLVER_WORKSPACE_MIB};
    int r = 0;
    for (int key; r == 0 && (key = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (key == OPTION_SPACE)
            options.space = optarg;
        else if (key == OPTION_DESCRIPTION)
            options.description = optarg;
        else if (key == OPTION_BATCH)
            r = read_number(optarg, "--batch", 1, PLAN_CHECK_BATCH_MAX, &options.batch, error);
        else if (key == OPTION_IMAGE_SIZE)
            r = read_number(optarg, "--image-size", 1, IMAGE_SIZE_MAX, &options.image_size, error);
        else if (key == OPTION_CLASSES)
            r = read_number(optarg, "--classes", 2, CLASSES_MAX, &options.classes, error);
        else if (key == OPTION_WORKSPACE)
            r = read_number(optarg, "--workspace-mib", 0, PLAN_CHECK_WORKSPACE_MIB_MAX,
                            &options.workspace_mib, error);
        else
            r = error_set(error, -EINVAL, "", "an option is unknown or lacks its value");
    }
    if (r == 0 && (optind < argc || !options.space))
        r = error_set(error, -EINVAL, "", "one SPACE is wanted");
    if (r == 0)
        *ret_options = options;
    return r;
}

int plan_check_read(const char *path, char **ret_text, struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, -errno, "", "%.300s: %s", path, strerror(errno));
    char *text = malloc(TEXT_MAX + 1);
    const size_t length = text ? fread(text, 1, TEXT_MAX, file) : 0;
    const bool whole = text && !ferror(file) && fgetc(file) == EOF;
    fclose(file);
    if (!whole) {
        free(text);
        return error_set(error, -EIO, "", "%.300s cannot be read or exceeds 1 MiB", path);
    }
    text[length] = '\0';
    *ret_text = text;
    return 0;
}

int plan_check_space(const char *name, struct space **ret_space, struct error *error)
{
    const char *preset = space_preset_find(name);
    if (preset)
        return space_parse(preset, strlen(preset), ret_space, error);
    char *text;
    int r = plan_check_read(name, &text, error);
    if (r < 0)
        return r;
    r = space_parse(text, strlen(text), ret_space, error);
    free(text);
    return r;
}
