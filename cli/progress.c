#include "cli/progress.h"

#include "cli/format.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <string.h>

enum { BAR_MIN = 8, BAR_MAX = 40, TAIL_SIZE = 256, NAME_COLUMNS_MAX = 24 };

static void tail_text(const struct progress *progress, char ret_text[TAIL_SIZE])
{
    char eta[FORMAT_SIZE], best[FORMAT_SIZE];
    int used = snprintf(ret_text, TAIL_SIZE, " %llu/%llu", (unsigned long long)progress->finished,
                        (unsigned long long)progress->budget);
    size_t length = (size_t)used;
    if (strcmp(progress->state, "running") != 0)
        used = snprintf(ret_text + length, TAIL_SIZE - length, ", %.32s", progress->state);
    else
        used = snprintf(ret_text + length, TAIL_SIZE - length, ", %llu running",
                        (unsigned long long)progress->running);
    length += (size_t)used;
    if (progress->eta_s >= 0) {
        format_duration(progress->eta_s, eta);
        length += (size_t)snprintf(ret_text + length, TAIL_SIZE - length, ", %s left", eta);
    }
    if (progress->best_known) {
        format_percent(progress->best_accuracy, best);
        snprintf(ret_text + length, TAIL_SIZE - length, ", best %s (#%llu)", best,
                 (unsigned long long)progress->best);
    }
}

static void bar_text(double fraction, size_t columns, char *ret_text)
{
    size_t full = (size_t)(fraction * (double)columns);
    for (size_t i = 0; i < columns; i++)
        ret_text[i] = i < full ? '=' : i == full ? '>' : ' ';
    ret_text[columns] = '\0';
}

void progress_line(const struct progress *progress, size_t width, char ret_text[PROGRESS_SIZE])
{
    char tail[TAIL_SIZE], bar[BAR_MAX + 1];
    tail_text(progress, tail);
    size_t name = terminal_columns(progress->name);
    size_t fixed = strlen("[]") + strlen(tail);
    bool with_name = name > 0 && name <= NAME_COLUMNS_MAX && name + 1 + fixed + BAR_MIN <= width;
    if (with_name)
        fixed += name + 1;

    double done = (double)progress->finished + progress->part_done;
    double fraction = progress->budget ? done / (double)progress->budget : 0;
    if (fraction < 0 || fraction > 1)
        fraction = fraction < 0 ? 0 : 1;
    size_t columns = width > fixed ? width - fixed : 0;
    if (columns > BAR_MAX)
        columns = BAR_MAX;
    if (columns >= BAR_MIN) {
        bar_text(fraction, columns, bar);
        snprintf(ret_text, PROGRESS_SIZE, "%s%s[%s]%s", with_name ? progress->name : "",
                 with_name ? " " : "", bar, tail);
    } else
        snprintf(ret_text, width + 1 < PROGRESS_SIZE ? width + 1 : PROGRESS_SIZE, "%s", tail + 1);
}
