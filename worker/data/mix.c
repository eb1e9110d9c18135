#include "worker/data/mix.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

/* Of each try of a rejection method less than half fails. */
enum { MIX_TRIES = 128 };

/* ---- Beta(alpha, alpha) ---- */

/* Johnk: u^(1/a) / (u^(1/a) + v^(1/a)) where the sum is at most 1; by logarithms, because for a small alpha both powers
 * underflow. */
static double beta_small(struct random_stream *stream, double alpha)
{
    for (int i = 0; i < MIX_TRIES; i++) {
        const double log_x = log(1 - random_unit(stream)) / alpha;
        const double log_y = log(1 - random_unit(stream)) / alpha;
        if (exp(log_x) + exp(log_y) <= 1)
            return 1 / (1 + exp(log_y - log_x));
    }
    return 0.5;
}

/* Marsaglia and Tsang, alpha >= 1. */
static double gamma_draw(struct random_stream *stream, double alpha)
{
    const double d = alpha - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (int i = 0; i < MIX_TRIES; i++) {
        const double x = random_normal(stream), root = 1 + c * x, u = 1 - random_unit(stream);
        const double v = root * root * root;
        if (root > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
    return alpha;
}

double mix_beta(struct random_stream *stream, double alpha)
{
    assert(alpha > 0);
    if (alpha <= 1)
        return beta_small(stream, alpha);
    const double x = gamma_draw(stream, alpha), y = gamma_draw(stream, alpha);
    return x / (x + y);
}

/* ---- mixing ---- */

/* One image of a batch. */
struct mixed {
    uint32_t index;
    float *image;
    float share;
    struct mix_box box; /* CutMix */
};

static bool box_has(const struct mix_box *box, uint32_t x, uint32_t y)
{
    return x >= box->left && x < box->right && y >= box->top && y < box->bottom;
}

/* low = middle - half, high = middle + half, inside the image. */
static void set_range(uint32_t middle, uint32_t half, uint32_t size, uint32_t *ret_low,
                      uint32_t *ret_high)
{
    *ret_low = middle > half ? middle - half : 0;
    *ret_high = half < size - middle ? middle + half : size;
}

struct mix_box mix_box_draw(struct random_stream *stream, double kept, uint32_t size)
{
    const uint32_t x = (uint32_t)random_below(stream, size),
                   y = (uint32_t)random_below(stream, size);
    const uint32_t half = (uint32_t)(sqrt(1 - kept) * size) / 2;
    struct mix_box box;
    set_range(x, half, size, &box.left, &box.right);
    set_range(y, half, size, &box.top, &box.bottom);
    return box;
}

static struct mixed mixed_draw(const struct mix_batch *batch, const struct mix_rules *rules,
                               uint32_t index, bool cut)
{
    const size_t elements = (size_t)batch->size * batch->size * batch->channels;
    const uint64_t number = (uint64_t)rules->epoch << 32 | batch->numbers[index];
    struct random_stream stream = random_stream_of(rules->seed, number, RANDOM_MIX);
    struct mixed mixed = {.index = index, .image = batch->images + index * elements};
    if (cut) {
        mixed.box = mix_box_draw(&stream, mix_beta(&stream, rules->cutmix), batch->size);
        const double area =
            (double)(mixed.box.right - mixed.box.left) * (double)(mixed.box.bottom - mixed.box.top);
        mixed.share = (float)(1 - area / ((double)batch->size * batch->size));
    } else {
        const double share = mix_beta(&stream, rules->mixup);
        mixed.share = (float)fmax(share, 1 - share);
    }
    return mixed;
}

static void mix_pair(const struct mixed *a, const struct mixed *b, size_t elements)
{
    float *restrict image_a = a->image;
    float *restrict image_b = b->image;
    const float share_a = a->share, share_b = b->share;
    for (size_t i = 0; i < elements; i++) {
        const float value_a = image_a[i], value_b = image_b[i];
        image_a[i] = share_a * value_a + (1 - share_a) * value_b;
        image_b[i] = share_b * value_b + (1 - share_b) * value_a;
    }
}

/* Each image takes its own box from the other one as it was. */
static void cut_pair(const struct mixed *a, const struct mixed *b, uint32_t size, uint32_t channels)
{
    for (uint32_t y = 0; y < size; y++)
        for (uint32_t x = 0; x < size; x++) {
            const bool a_takes = box_has(&a->box, x, y), b_takes = box_has(&b->box, x, y);
            const size_t first = ((size_t)y * size + x) * channels;
            for (size_t i = first; i < first + channels && (a_takes || b_takes); i++) {
                const float value_a = a->image[i], value_b = b->image[i];
                a->image[i] = a_takes ? value_b : value_a;
                b->image[i] = b_takes ? value_a : value_b;
            }
        }
}

/* Images first .. first + count - 1, reversed among themselves. The middle one of an odd number is its own partner and
 * stays as it is. */
static void mix_range(const struct mix_batch *batch, const struct mix_rules *rules, uint32_t first,
                      uint32_t count, bool cut)
{
    const size_t elements = (size_t)batch->size * batch->size * batch->channels;
    for (uint32_t i = 0; i < (count + 1) / 2; i++) {
        const uint32_t one = first + i, other = first + count - 1 - i;
        struct mixed a = mixed_draw(batch, rules, one, cut);
        struct mixed b = mixed_draw(batch, rules, other, cut);
        if (one == other)
            a.share = b.share = 1;
        else if (cut)
            cut_pair(&a, &b, batch->size, batch->channels);
        else
            mix_pair(&a, &b, elements);
        batch->partners[one] = batch->labels[other];
        batch->partners[other] = batch->labels[one];
        batch->shares[one] = a.share;
        batch->shares[other] = b.share;
    }
}

void mix_run(const struct mix_batch *batch, const struct mix_rules *rules)
{
    const uint32_t half = batch->count / 2;
    if (rules->mixup > 0 && rules->cutmix > 0) {
        mix_range(batch, rules, 0, half, false);
        mix_range(batch, rules, half, batch->count - half, true);
    } else if (rules->mixup > 0 || rules->cutmix > 0) {
        mix_range(batch, rules, 0, batch->count, rules->cutmix > 0);
    } else {
        for (uint32_t i = 0; i < batch->count; i++) {
            batch->partners[i] = batch->labels[i];
            batch->shares[i] = 1;
        }
    }
}
