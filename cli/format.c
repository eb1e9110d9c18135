#include "cli/format.h"

#include <math.h>
#include <stdio.h>

void format_count(uint64_t count, char ret_text[FORMAT_SIZE])
{
    static const char units[] = {'k', 'M', 'G', 'T', 'P', 'E'};
    if (count < 1000) {
        snprintf(ret_text, FORMAT_SIZE, "%u", (unsigned)count);
        return;
    }
    double value = (double)count / 1000;
    size_t unit = 0;
    /* What would round to 1000 belongs to the next unit. */
    while (value >= 999.5 && unit + 1 < sizeof units) {
        value /= 1000;
        unit++;
    }
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(ret_text, FORMAT_SIZE, "%.*f%c", decimals, value, units[unit]);
}

void format_grouped(uint64_t count, char ret_text[FORMAT_SIZE])
{
    char digits[FORMAT_SIZE];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *out = ret_text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
}

void format_percent(double fraction, char ret_text[FORMAT_SIZE])
{
    if (isnan(fraction))
        snprintf(ret_text, FORMAT_SIZE, "-");
    else
        snprintf(ret_text, FORMAT_SIZE, "%.2f %%", 100 * fraction);
}

void format_step_time(double seconds, char ret_text[FORMAT_SIZE])
{
    if (!(seconds > 0)) {
        snprintf(ret_text, FORMAT_SIZE, "-");
        return;
    }
    const char *unit = seconds < 0.9995e-3 ? "us" : seconds < 0.9995 ? "ms" : "s";
    double value = seconds * (seconds < 0.9995e-3 ? 1e6 : seconds < 0.9995 ? 1e3 : 1);
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(ret_text, FORMAT_SIZE, "%.*f %s", decimals, value, unit);
}

void format_duration(double seconds, char ret_text[FORMAT_SIZE])
{
    enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
    if (!(seconds >= 0) || seconds > 1e9) {
        snprintf(ret_text, FORMAT_SIZE, "?");
        return;
    }
    unsigned whole = (unsigned)(seconds + 0.5);
    if (whole < MINUTE)
        snprintf(ret_text, FORMAT_SIZE, "%u s", whole);
    else if (whole < HOUR)
        snprintf(ret_text, FORMAT_SIZE, "%u min %02u s", whole / MINUTE, whole % MINUTE);
    else if (whole < DAY)
        snprintf(ret_text, FORMAT_SIZE, "%u h %02u min", whole / HOUR, whole % HOUR / MINUTE);
    else
        snprintf(ret_text, FORMAT_SIZE, "%u d %u h", whole / DAY, whole % DAY / HOUR);
}
