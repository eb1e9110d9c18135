/* A contact sheet: a PNG with some training images of each class, a row a class under its name. */
#ifndef WORKER_DATA_SHEET_H
#define WORKER_DATA_SHEET_H

#include "worker/data/pack.h"

enum { SHEET_COLUMNS = 10, SHEET_CLASSES_MAX = 200 /* rows; further classes are left out */ };

/* Replaces the file when the sheet is complete. -ENOMEM, other errno values. */
int sheet_write(const struct pack *pack, const char *path, struct error *error) MUST_USE;

#endif
