/* What a training step of the CUDA backend launches, and how many bytes that moves: counted, for no device is needed. The program
 * is compiled for the emulated one. */
#include "tests/bench/cuda_network.h"
#include "worker/engine/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

static const char USAGE[] = "usage: cuda_schedule PRESET [PIXELS [IMAGES]]\n"
                            "\n"
                            "Prints a line a launch (the tensors that it reads and writes, and "
                            "their bytes), then the bytes of each kind of launch. "
                            "One\n"
                            "image of the preset's size unless told otherwise; most bytes grow "
                            "with the images, those of weights do not.\n";

enum { KINDS_MAX = 64 };

struct kind {
    char name[64];
    size_t launches, bytes;
};

static void kind_count(struct kind *kinds, const char *text, size_t bytes)
{
    char name[sizeof kinds->name];
    cuda_launch_name(text, sizeof name, name);
    size_t k = 0;
    while (k + 1 < KINDS_MAX && kinds[k].launches > 0 && strcmp(kinds[k].name, name) != 0)
        k++;
    memcpy(kinds[k].name, name, sizeof name);
    kinds[k].launches++;
    kinds[k].bytes += bytes;
}

static void program_print(const struct program *program)
{
    struct kind kinds[KINDS_MAX] = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < cuda_launch_count(program); i++) {
        char text[CUDA_LAUNCH_TEXT_SIZE];
        cuda_launch_text(program, i, text);
        puts(text);
        kind_count(kinds, text, cuda_launch_bytes(program, i));
        bytes += cuda_launch_bytes(program, i);
    }
    puts("");
    for (size_t k = 0; k < KINDS_MAX && kinds[k].launches > 0; k++)
        printf("%-40s %5zu launches %15zu bytes\n", kinds[k].name, kinds[k].launches,
               kinds[k].bytes);
    printf("%-40s %5zu launches %15zu bytes\n", "all", cuda_launch_count(program), bytes);
}

int main(int argc, char **argv)
{
    struct plan_options options;
    struct engine *engine = NULL;
    struct plan *plan = NULL;
    struct error error = {{0}, {0}};
    if (argc < 2 || argc > 4) {
        fputs(USAGE, stderr);
        return 2;
    }
    const struct cuda_network network = {argv[1], argc > 2 ? argv[2] : NULL,
                                         argc > 3 ? argv[3] : NULL};
    int r = cuda_network_options(&network, &options, &error);
    if (r == 0)
        r = engine_new(backend_cuda(), &engine, &error);
    if (r == 0)
        r = plan_new(engine, &options, &plan, &error);
    if (r == 0) {
        program_print(plan_program(plan));
        printf("%-40s %31zu bytes\n", "memory", plan_bytes(plan));
    } else
        fprintf(stderr, "cuda_schedule: %s %s\n", error.pointer, error.message);
    plan_free(plan);
    engine_free(engine);
    return r < 0 ? 1 : 0;
}
