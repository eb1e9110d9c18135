/* Built in place of the CUDA backend where its libraries were not found. */
#include "worker/engine/engine.h"

const struct backend *backend_cuda(void)
{
    return NULL;
}
