#include "worker/engine/normal.h"

#include <math.h>
#include <string.h>

enum { PAIRS = NORMAL_GROUP / 2 };

/* Natural logarithm of u in (0, 1]. u = 2^e m, m about 1; log m = 2 artanh((m - 1) / (m + 1)). */
static inline float log_of(float u)
{
    const int32_t half_root = 0x3f3504f3; /* sqrt(1/2) */
    int32_t bits;
    memcpy(&bits, &u, sizeof bits);
    const int32_t exponent = (bits - half_root) >> 23;
    bits -= exponent * (1 << 23);
    float m;
    memcpy(&m, &bits, sizeof m);
    const float s = (m - 1.0f) / (m + 1.0f), t = s * s;
    const float series = ((t * (1.0f / 9) + 1.0f / 7) * t + 1.0f / 5) * t + 1.0f / 3;
    return (float)exponent * 0.69314718f + (2.0f * s + 2.0f * s * t * series);
}

/* Sine and cosine of r quarters of a circle, r in [-1/2, 1/2]: Taylor's series, whose next terms are below 4e-7. */
static inline void sine_cosine(float r, float *ret_sine, float *ret_cosine)
{
    const float x = r * 1.57079633f, t = x * x;
    *ret_sine = x + x * t * ((t * (-1.0f / 5040) + 1.0f / 120) * t - 1.0f / 6);
    *ret_cosine = 1.0f + t * (((t * (1.0f / 40320) - 1.0f / 720) * t + 1.0f / 24) * t - 1.0f / 2);
}

/* Two words make two values. The loop has no branches, so that the compiler makes vectors of it. */
static void group_make(const uint32_t words[NORMAL_GROUP], float deviation,
                       float ret_values[NORMAL_GROUP])
{
    for (int i = 0; i < PAIRS; i++) {
        const float u = (float)((int32_t)(words[i] >> 8) + 1) * 0x1p-24f;
        const int32_t turn = (int32_t)(words[PAIRS + i] >> 8); /* of 2^24 */
        const int32_t quarter = (turn + (1 << 21)) >> 22;
        const float r = (float)(turn - quarter * (1 << 22)) * 0x1p-22f;
        const float radius = deviation * sqrtf(-2.0f * log_of(u));
        float sine, cosine;
        sine_cosine(r, &sine, &cosine);
        const float first = quarter & 1 ? sine : cosine, second = quarter & 1 ? cosine : sine;
        ret_values[2 * i] = (quarter + 1) & 2 ? -radius * first : radius * first;
        ret_values[2 * i + 1] = quarter & 2 ? -radius * second : radius * second;
    }
}

void normal_fill(struct random_stream *stream, float deviation, size_t count, float *ret_values)
{
    for (size_t done = 0; done < count; done += NORMAL_GROUP) {
        uint32_t words[NORMAL_GROUP];
        float values[NORMAL_GROUP];
        const size_t left = count - done;
        for (int i = 0; i < NORMAL_GROUP; i++)
            words[i] = random_u32(stream);
        group_make(words, deviation, values);
        memcpy(ret_values + done, values,
               (left < NORMAL_GROUP ? left : NORMAL_GROUP) * sizeof *values);
    }
}
