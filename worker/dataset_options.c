#include "worker/dataset_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *dataset_options_usage(void)
{
    return "usage: archscout dataset add NAME [PATH-or-URL] [OPTION...]\n"
           "       archscout dataset list\n"
           "       archscout dataset show NAME [--sheet FILE.png]\n"
           "       archscout dataset remove NAME\n"
           "\n"
           "Data sets of this machine, as its workers find them. `add` decodes a directory, an\n"
           "archive (tar, also .gz, .bz2, .xz, .zst; zip) or what a URL gives into one file:\n"
           "folders of JPEG or PNG images with a directory for each class, CIFAR-10 and CIFAR-100\n"
           "in their binary form, IDX. Without a place NAME is one of the known ones: cifar10,\n"
           "cifar100, eurosat, fashion-mnist, imagenette.\n"
           "\n"
           "  --sha256 HEX      what the archive must have; a download that was interrupted is "
           "only\n"
           "                    continued with it\n"
           "  --size BYTES      the archive's size\n"
           "  --image-size N    pixels a side of a folder's images; default: the median of their\n"
           "                    shorter sides, at most 256\n"
           "  --test-share X    of a folder without a test split, 0 to below 1; default 0.1\n"
           "  --seed N          which images these are; default 0\n"
           "  --sheet FILE.png  write a picture with some images of each class\n"
           "  --help, --version\n"
           "\n"
           "They are kept in $ARCHSCOUT_DATASETS, else $XDG_DATA_HOME/archscout/datasets, else\n"
           "~/.local/share/archscout/datasets. Exit status: 0 done, 1 failed, 2 wrong usage, 3 no\n"
           "such data set.\n";
}

enum option_key {
    OPTION_SHA256 = 256,
    OPTION_SIZE,
    OPTION_IMAGE_SIZE,
    OPTION_TEST_SHARE,
    OPTION_SEED,
    OPTION_SHEET,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"sha256", required_argument, NULL, OPTION_SHA256},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"image-size", required_argument, NULL, OPTION_IMAGE_SIZE},
    {"test-share", required_argument, NULL, OPTION_TEST_SHARE},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"sheet", required_argument, NULL, OPTION_SHEET},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

struct command_words {
    const char *name;
    enum dataset_command command;
    int operands_min, operands_max;
};

static const struct command_words command_table[] = {
    {"add", DATASET_ADD, 1, 2},
    {"list", DATASET_LIST, 0, 0},
    {"show", DATASET_SHOW, 1, 1},
    {"remove", DATASET_REMOVE, 1, 1},
};

static int read_whole(const char *text, const char *option, uint64_t max, uint64_t *ret_number,
                      struct error *error)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || value > max)
        return error_set(error, -EINVAL, "", "%s must be a whole number up to %llu, not \"%.40s\"",
                         option, (unsigned long long)max, text);
    *ret_number = value;
    return 0;
}

static int read_share(const char *text, double *ret_share, struct error *error)
{
    char *end = NULL;
    double share = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(share) || share < 0 || share >= 1)
        return error_set(error, -EINVAL, "",
                         "--test-share must be a number from 0 to below 1, not \"%.40s\"", text);
    *ret_share = share;
    return 0;
}

static int read_sha256(const char *text, const char **ret_sha256, struct error *error)
{
    if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
        return error_set(error, -EINVAL, "", "--sha256 must be 64 hexadecimal digits");
    *ret_sha256 = text;
    return 0;
}

/* `word` is what stands on the command line, `value` the option's value. */
static int read_option(int key, const char *word, const char *value,
                       struct dataset_options *options, struct error *error)
{
    uint64_t number = 0;
    int r;
    switch (key) {
    case OPTION_SHA256:
        return read_sha256(value, &options->sha256, error);
    case OPTION_SIZE:
        return read_whole(value, "--size", UINT64_C(1) << 50, &options->bytes, error);
    case OPTION_IMAGE_SIZE:
        r = read_whole(value, "--image-size", UINT16_MAX, &number, error);
        options->image_size = (uint32_t)number;
        return r == 0 && number == 0
                   ? error_set(error, -EINVAL, "", "--image-size must be at least 1")
                   : r;
    case OPTION_TEST_SHARE:
        return read_share(value, &options->test_share, error);
    case OPTION_SEED:
        return read_whole(value, "--seed", UINT64_MAX, &options->seed, error);
    case OPTION_SHEET:
        options->sheet = value;
        return 0;
    case OPTION_HELP:
        return DATASET_OPTIONS_HELP;
    case OPTION_VERSION:
        return DATASET_OPTIONS_VERSION;
    default:
        return key == ':' ? error_set(error, -EINVAL, "", "%.40s lacks its value", word)
                          : error_set(error, -EINVAL, "", "there is no option %.40s", word);
    }
}

static int take_command(const char *word, int operands, const struct command_words **ret_command,
                        struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(command_table); i++) {
        const struct command_words *command = &command_table[i];
        if (strcmp(command->name, word) != 0)
            continue;
        if (operands < command->operands_min || operands > command->operands_max)
            return error_set(error, -EINVAL, "", "`%s` has too %s words behind it", word,
                             operands < command->operands_min ? "few" : "many");
        *ret_command = command;
        return 0;
    }
    return error_set(error, -EINVAL, "", "\"%.40s\" is none of add, list, show and remove", word);
}

/* Options that the command would not look at are refused. */
static int check_options(const struct dataset_options *options, struct error *error)
{
    bool is_add = options->command == DATASET_ADD;
    bool of_add = options->sha256 || options->bytes || options->image_size ||
                  options->test_share >= 0 || options->seed;
    if (of_add && !is_add)
        return error_set(error, -EINVAL, "", "an option that only `add` takes");
    if (options->sheet && options->command != DATASET_SHOW)
        return error_set(error, -EINVAL, "", "--sheet is only for `show`");
    return 0;
}

int dataset_options_parse(int argc, char *const *argv, struct dataset_options *ret_options,
                          struct error *error)
{
    struct dataset_options options = {.test_share = -1};
    optind = 0; /* getopt starts anew, so that this function may be called again */
    opterr = 0;
    int key;
    while ((key = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        /* An unknown letter may be followed by more of them in the same word. */
        const char letter[] = {'-', (char)optopt, '\0'};
        bool is_letter = key == '?' && optopt > 0 && optopt < OPTION_SHA256;
        int r = read_option(key, is_letter ? letter : argv[optind - 1], optarg, &options, error);
        if (r != 0)
            return r;
    }
    if (optind == argc)
        return error_set(error, -EINVAL, "", "needs one of add, list, show and remove");
    const struct command_words *command = NULL;
    int operands = argc - optind - 1;
    int r = take_command(argv[optind], operands, &command, error);
    if (r < 0)
        return r;
    options.command = command->command;
    options.name = operands >= 1 ? argv[optind + 1] : NULL;
    options.place = operands >= 2 ? argv[optind + 2] : NULL;
    r = check_options(&options, error);
    if (r == 0)
        *ret_options = options;
    return r;
}
