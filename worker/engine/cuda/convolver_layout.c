#include "worker/engine/cuda/convolver_layout.h"

#include "worker/engine/cuda/convolver.h"

#include <assert.h>
#include <errno.h>

static size_t round_up(size_t bytes)
{
    return (bytes + CONVOLVER_ALIGNMENT - 1) / CONVOLVER_ALIGNMENT * CONVOLVER_ALIGNMENT;
}

size_t convolution_weight_count(const struct convolution *convolution)
{
    assert(!convolution->depthwise);
    return (size_t)convolution->out_channels * convolution->kernel * convolution->kernel *
           convolution->in_channels;
}

static size_t gradient_bytes(const struct convolution *convolution, enum convolution_pass pass)
{
    if (pass != CONVOLUTION_BACKWARD_FILTER)
        return 0;
    return round_up(convolution_weight_count(convolution) * sizeof(uint16_t));
}

int convolver_request(const struct convolution *convolution, enum convolution_pass pass,
                      size_t bytes_max, struct plan_request *ret_request, struct error *error)
{
    const size_t ours = gradient_bytes(convolution, pass);
    const size_t limit = bytes_max / CONVOLVER_ALIGNMENT * CONVOLVER_ALIGNMENT;
    if (bytes_max != 0 && limit < ours) {
        char text[CONVOLUTION_TEXT_SIZE];
        convolution_text(convolution, text);
        return error_set(
            error, -ENOTSUP, "",
            "%s of %s: %zu bytes of workspace are allowed, its gradient alone takes %zu",
            convolution_pass_name(pass), text, bytes_max, ours);
    }
    *ret_request = (struct plan_request){.convolution = *convolution,
                                         .pass = pass,
                                         .workspace_bytes_max =
                                             bytes_max == 0 ? PLAN_WORKSPACE_ANY : limit - ours};
    ret_request->convolution.first = false; /* asks for the same plans */
    return 0;
}

size_t convolver_gradient_offset(size_t plan_bytes)
{
    return round_up(plan_bytes);
}

size_t convolver_workspace_bytes(const struct convolution *convolution, enum convolution_pass pass,
                                 size_t plan_bytes)
{
    return round_up(plan_bytes) + gradient_bytes(convolution, pass);
}
