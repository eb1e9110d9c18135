#include "search/suggest.h"

#include <string.h>

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance; both words have at most SUGGEST_LENGTH_MAX letters. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][SUGGEST_LENGTH_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min_size(replaced, min_size(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min_size(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

const char *suggest(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t length = strlen(word);
    if (length > SUGGEST_LENGTH_MAX)
        return NULL;
    size_t nearest_distance = length / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t other = words[i] ? strlen(words[i]) : SUGGEST_LENGTH_MAX + 1;
        if (other > SUGGEST_LENGTH_MAX)
            continue;
        size_t distance = edit_distance(word, length, words[i], other);
        if (distance <= nearest_distance && (!nearest || distance < nearest_distance)) {
            nearest = words[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}
