/* 128-bit counts in decimal. */
#ifndef SEARCH_DECIMAL_H
#define SEARCH_DECIMAL_H

enum { DECIMAL_SIZE = 40 }; /* holds any 128-bit number, terminator included */

void decimal_format(unsigned __int128 value, char ret_text[DECIMAL_SIZE]);

#endif
