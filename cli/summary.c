#include "cli/summary.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct part {
    char block;
    unsigned layers, kernel, stride, expansion, channels;
    bool se;
};

/* Takes `mark` and the number behind it, of at most six digits. */
static bool take_number(const char **text, const char *mark, unsigned *ret_number)
{
    size_t length = strlen(mark);
    if (strncmp(*text, mark, length) != 0)
        return false;
    const char *digits = *text + length;
    size_t count = strspn(digits, "0123456789");
    if (count < 1 || count > 6)
        return false;
    *ret_number = (unsigned)strtoul(digits, NULL, 10);
    *text = digits + count;
    return true;
}

/* One stage's text, up to the next '|'. */
static bool read_part(const char *text, struct part *ret_part)
{
    struct part part = {.block = text[0] == 'm' ? 'M' : 'F'};
    if (strncmp(text, "mb_", 3) == 0)
        text += 3;
    else if (strncmp(text, "fused_", 6) == 0)
        text += 6;
    else
        return false;
    if (!take_number(&text, "r", &part.layers) || !take_number(&text, "_k", &part.kernel) ||
        !take_number(&text, "_s", &part.stride) || !take_number(&text, "_e", &part.expansion) ||
        !take_number(&text, "_c", &part.channels))
        return false;
    part.se = strncmp(text, "_se", 3) == 0;
    *ret_part = part;
    return true;
}

static void print_part(const struct part *part, char *ret_text, size_t size)
{
    char kernel[16] = "";
    if (part->kernel != 3)
        snprintf(kernel, sizeof kernel, "k%u", part->kernel);
    snprintf(ret_text, size, "%c%u%s%s %ux%u", part->block, part->expansion, kernel,
             part->se ? "se" : "", part->layers, part->channels);
}

void summary_of(const char *architecture, char ret_summary[SUMMARY_SIZE])
{
    size_t used = 0;
    ret_summary[0] = '\0';
    for (const char *at = strchr(architecture, '|'); at; at = strchr(at, '|')) {
        struct part part;
        char text[64];
        at++;
        if (strncmp(at, "head_", 5) == 0)
            return;
        if (!read_part(at, &part))
            break;
        print_part(&part, text, sizeof text);
        int length =
            snprintf(ret_summary + used, SUMMARY_SIZE - used, "%s%s", used ? ", " : "", text);
        if (length < 0 || (size_t)length >= SUMMARY_SIZE - used)
            return;
        used += (size_t)length;
    }
    snprintf(ret_summary, SUMMARY_SIZE, "%s", architecture);
}
