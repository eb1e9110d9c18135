/* archscout-dataset: the data sets of this machine. `archscout dataset` runs it. */
#include "proto/http_client.h"
#include "worker/data/home.h"
#include "worker/data/import.h"
#include "worker/dataset_add.h"
#include "worker/dataset_options.h"
#include "worker/dataset_show.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2, EXIT_NOT_FOUND = 3 };

static void print_report(const struct import_report *report)
{
    const struct dataset *dataset = &report->dataset;
    printf("%s: %u x %u x %u, %u classes, %" PRIu64 " training and %" PRIu64 " test images\n",
           dataset->name, dataset->image_size, dataset->image_size, dataset->image_channels,
           dataset->classes, dataset->train_images, dataset->test_images);
    if (report->test_drawn)
        printf("The test images were drawn from all of them, by class.\n");
    if (report->val_is_training)
        printf("The folder has test and val: the images of val are among the training images.\n");
    if (report->grey_converted)
        printf("%" PRIu64 " grey images were made RGB.\n", report->grey_converted);
    if (report->ignored)
        printf("%" PRIu64 " files that are no images were left out, such as %s\n", report->ignored,
               report->ignored_first);
}

static int run_add(const struct dataset_options *options, const char *home, struct error *error)
{
    struct dataset_progress progress;
    struct import_report report;
    if (http_startup() < 0)
        return error_set(error, -ENOMEM, "", "out of memory");
    dataset_progress_init(&progress);
    int r = dataset_add(options, home, &progress, &report, error);
    http_shutdown();
    dataset_progress_clear(&progress);
    dataset_progress_release(&progress);
    if (r == 0)
        print_report(&report);
    return r;
}

static int run(const struct dataset_options *options, struct error *error)
{
    char home[FILE_PATH_SIZE];
    int r = dataset_home(home, error);
    if (r < 0)
        return r;
    switch (options->command) {
    case DATASET_ADD:
        return run_add(options, home, error);
    case DATASET_LIST:
        return dataset_list(home, error);
    case DATASET_SHOW:
        return dataset_show(options, home, error);
    case DATASET_REMOVE:
        return dataset_remove(options, home, error);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct dataset_options options;
    struct error error = {0};
    /* Names in archives are UTF-8, whatever the locale says. */
    setlocale(LC_CTYPE, "C.UTF-8");
    int r = dataset_options_parse(argc, argv, &options, &error);
    if (r == DATASET_OPTIONS_HELP) {
        fputs(dataset_options_usage(), stdout);
        return EXIT_SUCCESS;
    }
    if (r == DATASET_OPTIONS_VERSION) {
        puts("archscout-dataset " ARCHSCOUT_VERSION);
        return EXIT_SUCCESS;
    }
    if (r < 0) {
        fprintf(stderr, "archscout dataset: %s. `archscout dataset --help` says what it takes.\n",
                error.message);
        return EXIT_USAGE;
    }
    r = run(&options, &error);
    if (r != 0)
        fprintf(stderr, "archscout dataset: %s\n", error.message);
    if (fflush(stdout) != 0 && r == 0) {
        fprintf(stderr, "archscout dataset: standard output: %m\n");
        return EXIT_FAILURE;
    }
    return r == DATASET_UNKNOWN ? EXIT_NOT_FOUND
           : r == -EINVAL       ? EXIT_USAGE
           : r < 0              ? EXIT_FAILURE
                                : EXIT_SUCCESS;
}
