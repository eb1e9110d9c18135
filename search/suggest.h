/* "Did you mean ...?": the known word nearest to a misspelt one. */
#ifndef SEARCH_SUGGEST_H
#define SEARCH_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_LENGTH_MAX = 64 }; /* longer words get no suggestion */

/* The one of `words` (entries may be NULL, they are passed over) with the smallest edit distance
 * (insertions, deletions, replacements, swaps of neighbours), or NULL where more than a third of
 * the letters would have to change. */
const char *suggest(const char *word, const char *const *words, size_t count);

#endif
