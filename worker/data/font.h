/* A font of 5 x 7 pixels for printable ASCII. */
#ifndef WORKER_DATA_FONT_H
#define WORKER_DATA_FONT_H

#include <stdint.h>

enum { FONT_WIDTH = 5, FONT_HEIGHT = 7 };

/* FONT_WIDTH columns, the lowest bit on top. Other characters than ASCII 32 to 126 look like '?'. */
const uint8_t *font_glyph(char character);

#endif
