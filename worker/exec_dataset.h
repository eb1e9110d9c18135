/* What a user says of a data set that a command can train on: the value of --exec-dataset. */
#ifndef WORKER_EXEC_DATASET_H
#define WORKER_EXEC_DATASET_H

#include "search/dataset.h"

/* Reads "NAME", a well-known data set, or "NAME:SIZExSIZExCHANNELS:CLASSES:TRAIN[:TEST]", such as
 * "flowers:64x64x3:5:3670". -EINVAL with a message for a person. */
int exec_dataset_read(const char *text, struct dataset *ret_dataset, struct error *error) MUST_USE;

#endif
