/* usage: import_bench [IMAGES]   (1000 where not given)
 *
 * Imports image folders: photographs' size (500 x 375, to 256 pixels a side), large ones (2000 x
 * 1500), and small ones (64 x 64), as JPEG of smooth noise, on all processors. Images a second of
 * the third of three imports, when the files are in memory, the processors' time an image, and the
 * most memory of its own that the process had, mapped files left out. Writes below the current
 * directory and cleans up. Prints a Markdown table. */
#include "worker/data/import.h"
#include "worker/data/parallel.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jpeglib.h>

enum { CLASSES = 4, RUNS = 3, KINDS = 8, STEP = 16, PATH_SIZE = 256 };

struct set {
    uint32_t width, height, share; /* share: one image for so many of the small sets */
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Of the processors, by all threads. */
static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "import_bench: %s: %m\n", what);
    exit(EXIT_FAILURE);
}

/* Blocks of random brightness with gradients between them. */
static uint8_t noise(uint32_t x, uint32_t y, uint32_t channel, uint32_t kind)
{
    uint32_t corner[4];
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t key =
            ((x / STEP + i % 2) * 1000003 + (y / STEP + i / 2) * 8191 + kind) * 3 + channel;
        corner[i] = (key * 2654435761u) >> 24;
    }
    uint32_t u = x % STEP, v = y % STEP;
    uint32_t top = corner[0] * (STEP - u) + corner[1] * u;
    uint32_t bottom = corner[2] * (STEP - u) + corner[3] * u;
    return (uint8_t)((top * (STEP - v) + bottom * v) / (STEP * STEP));
}

static void write_jpeg(const char *path, const struct set *set, uint32_t kind)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "wb");
    uint8_t *row = calloc(set->width, 3);
    must(file && row, path);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = set->width;
    jpeg.image_height = set->height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 90, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (uint32_t y = 0; y < set->height; y++) {
        for (uint32_t i = 0; i < set->width * 3; i++)
            row[i] = noise(i / 3, y, i % 3, kind);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    must(fclose(file) == 0, path);
}

/* A few different images, the others links to them. Returns the bytes of all. */
static double write_folder(const char *folder, const struct set *set, uint32_t images)
{
    char path[PATH_SIZE], first[PATH_SIZE];
    double bytes = 0;
    for (uint32_t class = 0; class < CLASSES; class ++) {
        snprintf(path, sizeof path, "%s/%u", folder, class);
        must(file_make_directories(path, 0777, NULL) == 0, path);
    }
    for (uint32_t i = 0; i < images; i++) {
        struct stat status;
        snprintf(path, sizeof path, "%s/%u/%u.jpg", folder, i % CLASSES, i);
        snprintf(first, sizeof first, "%s/%u/%u.jpg", folder, i % KINDS % CLASSES, i % KINDS);
        if (i < KINDS)
            write_jpeg(path, set, i);
        else
            must(link(first, path) == 0, path);
        must(stat(path, &status) == 0, path);
        bytes += (double)status.st_size;
    }
    return bytes;
}

/* Kilobytes of anonymous memory. */
static long own_memory(void)
{
    char line[128];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "RssAnon:", 8) == 0)
            kilobytes = strtol(line + 8, NULL, 10);
    if (file)
        fclose(file);
    return kilobytes;
}

static int on_progress(void *context, enum import_phase phase, uint64_t done, uint64_t total)
{
    long *most = context;
    (void)phase, (void)total;
    long now = done % 64 == 0 ? own_memory() : 0;
    *most = now > *most ? now : *most;
    return 0;
}

static void run_set(const char *directory, const struct set *set, uint32_t images)
{
    char folder[PATH_SIZE / 2], home[PATH_SIZE / 2];
    snprintf(folder, sizeof folder, "%s/folder", directory);
    snprintf(home, sizeof home, "%s/home", directory);
    images /= set->share;
    double bytes = write_folder(folder, set, images), taken = 0, worked = 0;
    long most = 0;
    struct import_report report;
    for (int run = 0; run < RUNS; run++) {
        struct import_request request = {.name = "set",
                                         .path = folder,
                                         .test_share = -1,
                                         .on_progress = on_progress,
                                         .context = &most};
        struct error error;
        double start = seconds(), work_start = processor_seconds();
        if (import_run(&request, home, &report, &error) < 0) {
            fprintf(stderr, "import_bench: %s\n", error.message);
            exit(EXIT_FAILURE);
        }
        taken = seconds() - start;
        worked = processor_seconds() - work_start;
        file_remove_tree(home);
    }
    printf("| %u x %u | %u | %u | %.1f | %.0f | %.2f | %ld |\n", set->width, set->height,
           report.dataset.image_size, images, bytes / 1e6, images / taken, 1e3 * worked / images,
           most / 1024);
    file_remove_tree(folder);
}

int main(int argc, char **argv)
{
    static const struct set sets[] = {{500, 375, 1}, {2000, 1500, 8}, {64, 64, 1}};
    uint32_t images = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000;
    char directory[] = "import-bench-XXXXXX";
    must(images >= 100 && mkdtemp(directory), "a directory of its own");
    printf("%u processors\n\n| image | pack | images | MB | images/s | processor, ms an image | "
           "own memory, MB |\n"
           "|---|---|---|---|---|---|---|\n",
           parallel_processors());
    for (size_t i = 0; i < ARRAY_LENGTH(sets); i++)
        run_set(directory, &sets[i], images);
    file_remove_tree(directory);
    return EXIT_SUCCESS;
}
