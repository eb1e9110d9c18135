#include "worker/data/import_folder.h"

#include "search/architecture.h"
#include "worker/data/folder.h"
#include "worker/data/image_file.h"
#include "worker/data/pack_writer.h"
#include "worker/data/parallel.h"
#include "worker/data/resize.h"
#include "worker/data/split.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DECODE_MARGIN = 2 /* a JPEG is not decoded to less than so many times the size that is wanted */
};

/* What a thread keeps between images. */
struct decoder {
    struct decoded_image image;
    uint8_t *square;  /* (side, side, channels) the middle of the image */
    uint8_t *resized; /* (size, size, channels) */
    size_t square_capacity;
    struct resizer *resizer; /* from resizer_side, with resizer_channels */
    uint32_t resizer_side, resizer_channels;
};

struct job {
    const struct import_request *request;
    struct folder folder;
    struct image_shape *shapes; /* (count) in the folder's order */
    uint32_t *order;            /* (count) the pack's order, indices into the folder */
    uint32_t image_size, channels;
    struct decoder *decoders; /* (threads) */
    uint32_t threads;
    enum import_phase phase;
    struct pack_writer *writer;
};

static void decoder_release(struct decoder *decoder)
{
    image_file_release(&decoder->image);
    free(decoder->square);
    free(decoder->resized);
    resizer_free(decoder->resizer);
    *decoder = (struct decoder){0};
}

static void job_release(struct job *job)
{
    for (uint32_t i = 0; job->decoders && i < job->threads; i++)
        decoder_release(&job->decoders[i]);
    free(job->decoders);
    free(job->shapes);
    free(job->order);
    folder_release(&job->folder);
    pack_writer_free(job->writer);
}

static int on_progress(void *context, uint64_t done, uint64_t total)
{
    const struct job *job = context;
    const struct import_request *request = job->request;
    return request->on_progress ? request->on_progress(request->context, job->phase, done, total)
                                : 0;
}

static int job_run(struct job *job, enum import_phase phase,
                   int (*work)(void *context, uint32_t thread, uint64_t index, struct error *error),
                   struct error *error)
{
    job->phase = phase;
    const struct parallel parallel = {.count = job->folder.count,
                                      .threads = job->threads,
                                      .context = job,
                                      .work = work,
                                      .on_progress = on_progress,
                                      .progress_context = job};
    return parallel_run(&parallel, error);
}

/* ---- looking: the shape of every image ---- */

static int look_at(void *context, uint32_t thread, uint64_t index, struct error *error)
{
    (void)thread;
    struct job *job = context;
    char path[FILE_PATH_SIZE];
    int r = folder_image_path(&job->folder, index, path, error);
    return r < 0 ? r : image_file_look(path, &job->shapes[index], error);
}

static uint32_t shorter_side(const struct image_shape *shape)
{
    return shape->width < shape->height ? shape->width : shape->height;
}

static int compare_sides(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static int median_side(const struct job *job, uint32_t *ret_median, struct error *error)
{
    uint32_t *sides = calloc(job->folder.count, sizeof *sides);
    if (!sides)
        return file_error(error, -ENOMEM, job->folder.root);
    for (uint64_t i = 0; i < job->folder.count; i++)
        sides[i] = shorter_side(&job->shapes[i]);
    qsort(sides, job->folder.count, sizeof *sides, compare_sides);
    *ret_median = sides[(job->folder.count - 1) / 2];
    free(sides);
    return 0;
}

static int choose_shape(struct job *job, struct import_report *report, struct error *error)
{
    uint64_t grey = 0;
    for (uint64_t i = 0; i < job->folder.count; i++)
        grey += job->shapes[i].channels == 1;
    job->channels = grey == job->folder.count ? 1 : 3;
    report->grey_converted = job->channels == 1 ? 0 : grey;
    job->image_size = job->request->image_size;
    int r = job->image_size ? 0 : median_side(job, &job->image_size, error);
    if (!job->request->image_size && job->image_size > IMPORT_IMAGE_SIZE_DEFAULT_MAX)
        job->image_size = IMPORT_IMAGE_SIZE_DEFAULT_MAX;
    return r;
}

/* ---- the test split ---- */

static int draw_test(struct job *job, uint64_t test_images, struct error *error)
{
    struct folder *folder = &job->folder;
    uint16_t *labels = calloc(folder->count, sizeof *labels);
    if (!labels)
        return file_error(error, -ENOMEM, folder->root);
    for (uint64_t i = 0; i < folder->count; i++)
        labels[i] = folder->images[i].label;
    const struct split_request request = {.labels = labels,
                                          .images = folder->count,
                                          .classes = folder->class_names.count,
                                          .seed = job->request->seed,
                                          .train_images = folder->count - test_images,
                                          .validation_images = test_images};
    struct split split = {0};
    int r = split_init(&split, &request, error);
    for (uint64_t i = 0; r == 0 && i < test_images; i++)
        folder->images[split.validation[i]].test = true;
    split_release(&split);
    free(labels);
    return r;
}

/* Decides which images are the test split. */
static int choose_test(struct job *job, struct import_report *report, struct error *error)
{
    struct folder *folder = &job->folder;
    double share = job->request->test_share;
    if (folder->has_test && share >= 0)
        return error_set(error, -EINVAL, "",
                         "%.300s: has a test split of its own; a share cannot be drawn as well",
                         folder->root);
    if (folder->has_test)
        return 0;
    if (share < 0)
        share = IMPORT_TEST_SHARE_DEFAULT;
    uint64_t test_images = (uint64_t)llround(share * (double)folder->count);
    if (test_images == 0)
        return 0;
    int r = draw_test(job, test_images, error);
    if (r < 0)
        return r;
    folder->test_count = test_images;
    folder->train_count = folder->count - test_images;
    report->test_drawn = true;
    return 0;
}

/* Training images first, each split in the folder's order. */
static int set_order(struct job *job, struct error *error)
{
    const struct folder *folder = &job->folder;
    job->order = calloc(folder->count, sizeof *job->order);
    if (!job->order)
        return file_error(error, -ENOMEM, folder->root);
    uint64_t train = 0, test = folder->train_count;
    for (uint64_t i = 0; i < folder->count; i++)
        job->order[folder->images[i].test ? test++ : train++] = (uint32_t)i;
    return 0;
}

/* ---- decoding ---- */

/* Cuts the middle of the image out into decoder->square. Returns the side, or a negative errno. */
static int cut_square(struct decoder *decoder, uint32_t *ret_side)
{
    const struct image_shape *shape = &decoder->image.shape;
    const uint32_t side = shorter_side(shape), channels = shape->channels;
    const size_t row_bytes = (size_t)side * channels;
    if (row_bytes * side > decoder->square_capacity) {
        uint8_t *square = realloc(decoder->square, row_bytes * side);
        if (!square)
            return -ENOMEM;
        decoder->square = square;
        decoder->square_capacity = row_bytes * side;
    }
    const uint32_t left = (shape->width - side) / 2, top = (shape->height - side) / 2;
    for (uint32_t y = 0; y < side; y++)
        memcpy(decoder->square + y * row_bytes,
               decoder->image.pixels + ((size_t)(top + y) * shape->width + left) * channels,
               row_bytes);
    *ret_side = side;
    return 0;
}

/* Makes decoder->resized (size, size, channels) of the square. */
static int resize_square(struct decoder *decoder, uint32_t side, uint32_t size)
{
    const uint32_t channels = decoder->image.shape.channels;
    if (decoder->resizer_side != side || decoder->resizer_channels != channels) {
        resizer_free(decoder->resizer);
        decoder->resizer = NULL;
        decoder->resizer_side = 0;
        int r = resizer_new(side, size, channels, &decoder->resizer);
        if (r < 0)
            return r;
        decoder->resizer_side = side;
        decoder->resizer_channels = channels;
    }
    const struct crop whole = crop_whole(side);
    resizer_run(decoder->resizer, decoder->square, &whole, decoder->resized);
    return 0;
}

/* The square as bytes (size, size, channels), grey repeated where the pack is in colour. */
static int write_square(struct decoder *decoder, const struct job *job, uint8_t *ret_pixels)
{
    uint32_t side;
    int r = cut_square(decoder, &side);
    const bool as_it_is = r == 0 && side == job->image_size;
    if (r == 0 && !as_it_is)
        r = resize_square(decoder, side, job->image_size);
    if (r < 0)
        return r;
    const size_t values = (size_t)job->image_size * job->image_size * decoder->image.shape.channels;
    const uint32_t copies = job->channels / decoder->image.shape.channels;
    const uint8_t *from = as_it_is ? decoder->square : decoder->resized;
    for (size_t i = 0; i < values; i++)
        for (uint32_t copy = 0; copy < copies; copy++)
            ret_pixels[i * copies + copy] = from[i];
    return 0;
}

static int decode_at(void *context, uint32_t thread, uint64_t index, struct error *error)
{
    struct job *job = context;
    struct decoder *decoder = &job->decoders[thread];
    const uint32_t source = job->order[index];
    char path[FILE_PATH_SIZE];
    int r = folder_image_path(&job->folder, source, path, error);
    if (r == 0)
        r = image_file_decode(path, DECODE_MARGIN * job->image_size, &decoder->image, error);
    if (r < 0)
        return r;
    if (decoder->image.shape.channels > job->channels)
        return error_set(error, -EBADMSG, "", "%.300s: changed while it was read", path);
    r = write_square(decoder, job, pack_writer_image(job->writer, index));
    if (r < 0)
        return file_error(error, r, path);
    pack_writer_labels(job->writer)[index] = job->folder.images[source].label;
    return 0;
}

/* ---- all of it ---- */

static int job_allocate(struct job *job, struct error *error)
{
    job->threads = parallel_processors();
    job->shapes = calloc(job->folder.count, sizeof *job->shapes);
    job->decoders = calloc(job->threads, sizeof *job->decoders);
    return job->shapes && job->decoders ? 0 : file_error(error, -ENOMEM, job->folder.root);
}

static int job_open_pack(struct job *job, const struct import_target *target, struct error *error)
{
    const size_t values = (size_t)job->image_size * job->image_size * 3;
    for (uint32_t i = 0; i < job->threads; i++) {
        job->decoders[i].resized = calloc(values, 1);
        if (!job->decoders[i].resized)
            return file_error(error, -ENOMEM, job->folder.root);
    }
    struct pack_content content = {.class_names = &job->folder.class_names,
                                   .format = "image folder",
                                   .origin = target->origin,
                                   .dataset = {.image_size = job->image_size,
                                               .image_channels = job->channels,
                                               .classes = job->folder.class_names.count,
                                               .train_images = job->folder.train_count,
                                               .test_images = job->folder.test_count}};
    memcpy(content.dataset.name, job->request->name,
           strnlen(job->request->name, sizeof content.dataset.name - 1));
    return pack_writer_new(target->fd, target->path, &content, &job->writer, error);
}

static void report_folder(const struct folder *folder, struct import_report *report)
{
    report->val_is_training = folder->val_is_training;
    report->ignored = folder->ignored;
    memcpy(report->ignored_first, folder->ignored_first, sizeof report->ignored_first);
}

int import_folder(const struct import_request *request, const char *root,
                  const struct import_target *target, struct import_report *report,
                  struct error *error)
{
    CLEANUP(job_release) struct job job = {.request = request};
    int r = folder_scan(root, &job.folder, error);
    if (r == 0)
        r = job_allocate(&job, error);
    if (r == 0)
        r = job_run(&job, IMPORT_LOOKING, look_at, error);
    if (r == 0)
        r = choose_shape(&job, report, error);
    if (r == 0)
        r = choose_test(&job, report, error);
    if (r == 0)
        r = set_order(&job, error);
    if (r == 0)
        r = job_open_pack(&job, target, error);
    if (r == 0)
        r = job_run(&job, IMPORT_DECODING, decode_at, error);
    if (r == 0)
        r = pack_writer_finish(job.writer, error);
    if (r == 0)
        report_folder(&job.folder, report);
    return r;
}
