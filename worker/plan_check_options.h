/* What --plan-check is asked. */
#ifndef WORKER_PLAN_CHECK_OPTIONS_H
#define WORKER_PLAN_CHECK_OPTIONS_H

#include "search/space.h"

struct plan_check_options {
    const char *space, *description; /* description: a file, or NULL */
    uint32_t batch, image_size, classes;
    uint32_t workspace_mib; /* of one pass of one convolution; 0: no limit */
};

enum { PLAN_CHECK_BATCH_MAX = 65536, PLAN_CHECK_WORKSPACE_MIB_MAX = 1 << 20 };

/* -EINVAL */
int plan_check_options_parse(int argc, char *const *argv, struct plan_check_options *ret_options,
                             struct error *error) MUST_USE;

/* The whole file, terminated, of at most 1 MiB; the caller frees it. */
int plan_check_read(const char *path, char **ret_text, struct error *error) MUST_USE;

/* A preset by name, or the space in a file. */
int plan_check_space(const char *name, struct space **ret_space, struct error *error) MUST_USE;

const char *h200_description(void); /* deploy/devices/h200.json */

#endif
