/* What the text of --device means: a backend of this build, and a device that it can be opened on. For the program around the
 * trainer. */
#ifndef WORKER_DEVICE_CHOICE_H
#define WORKER_DEVICE_CHOICE_H

#include "proto/worker_api.h"
#include "worker/engine/engine.h"

/* The backend for `device`: "cpu", "cuda", "cuda:N" or "cuda:GPU-UUID". `name` is the one that was asked for, NULL: the
 * fastest. -EINVAL for another text or name, -ENODEV where this build has no backend for such a device. */
int device_choose(const char *device, const char *name, const struct backend **ret_backend,
                  struct error *error) MUST_USE;

enum { DEVICE_LINE_SIZE = 256 };
/* For --list-devices: id, UUID (- where it has none), bytes of its own memory and, to the end of the line, its name (- again), a
 * space between. */
void device_line(const struct device_info *device, char ret_line[DEVICE_LINE_SIZE]);

/* "cpu", or "cuda:0 NVIDIA H200, 143771 MiB, GPU-...", in printable ASCII. */
void device_text(const struct device_info *device, char ret_text[WIRE_DEVICE_SIZE]);

/* Puts into the error, which says that a GPU is not there, what to do about it. `visible` is CUDA_VISIBLE_DEVICES; NULL: unset. */
void device_advise(const char *visible, struct error *error);

#endif
