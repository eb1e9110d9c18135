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

/* Images first .. first + count - 1 of a batch, reversed among themselves. */
struct mix_range {
    uint32_t first, count;
    bool cut;
};

static struct mix_range range_of(const struct mix_rules *rules, uint32_t place, uint32_t count)
{
    const uint32_t half = count / 2;
    if (rules->mixup <= 0 || rules->cutmix <= 0)
        return (struct mix_range){0, count, rules->cutmix > 0};
    if (place < half)
        return (struct mix_range){0, half, false};
    return (struct mix_range){half, count - half, true};
}

struct mixing mix_draw(const struct mix_rules *rules, uint32_t place, uint32_t number,
                       uint32_t count, uint32_t size)
{
    const struct mix_range range = range_of(rules, place, count);
    struct mixing mixing = {.partner = 2 * range.first + range.count - 1 - place, .share = 1};
    if (mixing.partner == place || (rules->mixup <= 0 && rules->cutmix <= 0)) {
        mixing.partner = place;
        return mixing;
    }
    struct random_stream stream =
        random_stream_of(rules->seed, (uint64_t)rules->epoch << 32 | number, RANDOM_MIX);
    if (!range.cut) {
        const double share = mix_beta(&stream, rules->mixup);
        mixing.kind = MIXING_MIXUP;
        mixing.share = (float)fmax(share, 1 - share);
        return mixing;
    }
    mixing.kind = MIXING_CUTMIX;
    mixing.box = mix_box_draw(&stream, mix_beta(&stream, rules->cutmix), size);
    const double area =
        (double)(mixing.box.right - mixing.box.left) * (double)(mixing.box.bottom - mixing.box.top);
    mixing.share = (float)(1 - area / ((double)size * size));
    return mixing;
}

/* One image of a batch. */
struct mixed {
    float *image;
    struct mixing mixing;
};

static void mix_pair(const struct mixed *a, const struct mixed *b, size_t elements)
{
    float *restrict image_a = a->image;
    float *restrict image_b = b->image;
    const float share_a = a->mixing.share, share_b = b->mixing.share;
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
            const bool a_takes = box_has(&a->mixing.box, x, y),
                       b_takes = box_has(&b->mixing.box, x, y);
            const size_t first = ((size_t)y * size + x) * channels;
            for (size_t i = first; i < first + channels && (a_takes || b_takes); i++) {
                const float value_a = a->image[i], value_b = b->image[i];
                a->image[i] = a_takes ? value_b : value_a;
                b->image[i] = b_takes ? value_a : value_b;
            }
        }
}

static struct mixed mixed_at(const struct mix_batch *batch, const struct mix_rules *rules,
                             uint32_t place)
{
    const size_t elements = (size_t)batch->size * batch->size * batch->channels;
    return (struct mixed){batch->images + place * elements,
                          mix_draw(rules, place, batch->numbers[place], batch->count, batch->size)};
}

void mix_run(const struct mix_batch *batch, const struct mix_rules *rules)
{
    const size_t elements = (size_t)batch->size * batch->size * batch->channels;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct mixed a = mixed_at(batch, rules, i);
        batch->partners[i] = batch->labels[a.mixing.partner];
        batch->shares[i] = a.mixing.share;
        if (a.mixing.partner <= i)
            continue; /* alone, or done with its partner */
        const struct mixed b = mixed_at(batch, rules, a.mixing.partner);
        if (a.mixing.kind == MIXING_CUTMIX)
            cut_pair(&a, &b, batch->size, batch->channels);
        else
            mix_pair(&a, &b, elements);
    }
}
