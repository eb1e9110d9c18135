#include "cli/search_view.h"

#include "cli/api.h"
#include "cli/candidate_table.h"
#include "cli/format.h"

#include <math.h>
#include <string.h>

struct search_view search_view_of(const json_t *search)
{
    struct search_view view = {.id = api_integer(search, "id"),
                               .name = api_text(search, "name"),
                               .state = api_text(search, "state"),
                               .budget = api_integer(search, "progress.budget"),
                               .done = api_integer(search, "progress.done"),
                               .failed = api_integer(search, "progress.failed"),
                               .running = api_integer(search, "progress.leased"),
                               .best = api_field(search, "best")};
    view.finished = view.done + view.failed + api_integer(search, "progress.cancelled");
    view.is_final = strcmp(view.state, "done") == 0 || strcmp(view.state, "cancelled") == 0 ||
                    strcmp(view.state, "failed") == 0;
    double eta_s = api_number(search, "eta_seconds");
    view.eta_s = view.is_final || isnan(eta_s) ? -1 : eta_s;
    if (!json_is_object(view.best))
        view.best = NULL;
    return view;
}

static void print_best(const json_t *best)
{
    char accuracy[CANDIDATE_CELL_SIZE], step[CANDIDATE_CELL_SIZE], relative[CANDIDATE_CELL_SIZE];
    char params[CANDIDATE_CELL_SIZE], stages[CANDIDATE_CELL_SIZE];
    candidate_cell(best, CANDIDATE_ACCURACY, accuracy);
    candidate_cell(best, CANDIDATE_STEP, step);
    candidate_cell(best, CANDIDATE_RELATIVE, relative);
    candidate_cell(best, CANDIDATE_PARAMS, params);
    candidate_cell(best, CANDIDATE_STAGES, stages);
    printf("best        #%llu: accuracy %s, step %s (%s of the baseline), %s parameters\n"
           "            %s\n",
           (unsigned long long)api_integer(best, "number"), accuracy, step, relative, params,
           stages);
}

static void print_objectives(const json_t *search)
{
    size_t index;
    json_t *objective;
    printf("objectives ");
    json_array_foreach(api_field(search, "objectives"), index, objective)
        printf(" %s", json_string_value(objective));
    printf("\n");
}

void search_view_print(const struct cli *cli, const json_t *search, const char *waiting)
{
    struct search_view view = search_view_of(search);
    char spent[FORMAT_SIZE], left[FORMAT_SIZE], images[FORMAT_SIZE];
    printf("%s%llu  %s%s\n", terminal_begin(&cli->terminal, COLOUR_BOLD),
           (unsigned long long)view.id, view.name, terminal_end(&cli->terminal, COLOUR_BOLD));
    printf("state       %s%s\n", view.state,
           json_is_true(api_field(search, "exhausted")) ? ", nothing left to propose" : "");
    if (*api_text(search, "problem"))
        printf("problem     %s\n", api_text(search, "problem"));
    printf("created     %s\n", api_text(search, "created_at"));
    if (*api_text(search, "finished_at"))
        printf("finished    %s\n", api_text(search, "finished_at"));
    printf("data set    %s\nstrategy    %s\n", api_text(search, "dataset"),
           api_text(search, "strategy"));
    print_objectives(search);
    printf("progress    %llu of %llu candidates: %llu done, %llu failed, %llu running\n",
           (unsigned long long)view.finished, (unsigned long long)view.budget,
           (unsigned long long)view.done, (unsigned long long)view.failed,
           (unsigned long long)view.running);
    if (*waiting)
        printf("waiting     %s\n", waiting);
    format_duration(api_number(search, "spend.seconds"), spent);
    format_count(api_integer(search, "spend.images"), images);
    printf("spent       %s of training, %s images\n", spent, images);
    if (view.eta_s >= 0) {
        format_duration(view.eta_s, left);
        printf("left        about %s\n", left);
    }
    if (view.best)
        print_best(view.best);
}
