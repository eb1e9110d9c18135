/* A small task on a synthetic data set, that is carried out in a moment. */
#ifndef TESTS_UNIT_WORKER_TASK_H
#define TESTS_UNIT_WORKER_TASK_H

#include "proto/wire_task.h"
#include "tests/unit/worker/fixture.h"

/* 8 x 8 pixels, 4 classes, 480 training images: task_of(...) trains on 320 of them and holds 96 out. */
extern const struct synthetic task_images;

/* The data set is called "bars". */
struct wire_task small_task(void);

#endif
