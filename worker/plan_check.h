/* --plan-check: whether cuDNN has a plan for every convolution of a space on a described device. Part of the program
 * archscout-trainer: prints. */
#ifndef WORKER_PLAN_CHECK_H
#define WORKER_PLAN_CHECK_H

enum {
    PLAN_CHECK_MISSING = 1,
    PLAN_CHECK_USAGE = 2,
    PLAN_CHECK_FAILED = 3, /* out of memory, a file that cannot be read, ... */
    PLAN_CHECK_NO_CUDNN = 4
};

/* argv[1] is "--plan-check"; an exit status. */
int plan_check_main(int argc, char **argv);

#endif
