/* What the agent tells archscout-exec-trainer in its environment, beside what it tells every trainer (proto/trainer_pipe.h). */
#ifndef WORKER_EXEC_ENVIRONMENT_H
#define WORKER_EXEC_ENVIRONMENT_H

#define EXEC_ENV_COMMAND "ARCHSCOUT_EXEC" /* for /bin/sh -c */
#define EXEC_ENV_DATASETS                                                                          \
    "ARCHSCOUT_EXEC_DATASETS" /* values of --exec-dataset, spaces between them */
#define EXEC_ENV_WORK                                                                              \
    "ARCHSCOUT_EXEC_WORK" /* where candidates have their directories; unset: they have none */

#endif
