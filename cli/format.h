/* Numbers as a person reads them: fixed, short texts. Pure. */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <stdint.h>

enum { FORMAT_SIZE = 32 };

/* "987", "12.3k", "4.57M", "1.2G": three digits. */
void format_count(uint64_t count, char ret_text[FORMAT_SIZE]);
/* "1,234,567" */
void format_grouped(uint64_t count, char ret_text[FORMAT_SIZE]);
/* "87.21 %" of a fraction; "-" for NaN. */
void format_percent(double fraction, char ret_text[FORMAT_SIZE]);
/* "12.3 ms", "1.24 s", "850 us" of seconds; "-" for NaN and what is not positive. */
void format_step_time(double seconds, char ret_text[FORMAT_SIZE]);
/* "45 s", "3 min 20 s", "2 h 05 min", "3 d 4 h"; "?" for what is negative or NaN. */
void format_duration(double seconds, char ret_text[FORMAT_SIZE]);

#endif
