/* For builds without cuDNN. */
#include "worker/plan_check.h"

#include <stdio.h>

int plan_check_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("--plan-check: this build has no cuDNN, so that no plan can be made; configure it where "
          "cuDNN 9 is, or with -DCUDNN_ROOT=DIR\n",
          stderr);
    return PLAN_CHECK_NO_CUDNN;
}
