/* Memory of a CUDA device for C code that must not see CUDA's headers. Everything works on the current device and the
 * default stream, and waits. CUDA's codes become -ENODEV, -ENOMEM or -EIO, with its own words in the error. */
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "search/error.h"

/* 0 where device 0 can be used; -ENODEV otherwise. */
int device_check(struct error *error) MUST_USE;
int device_buffer_new(size_t bytes, void **ret_buffer, struct error *error) MUST_USE;
void device_buffer_free(void *buffer); /* NULL is legal */
int device_write(void *to_device, const void *from, size_t bytes, struct error *error) MUST_USE;
/* Waits for what was launched before. */
int device_read(void *ret_to, const void *from_device, size_t bytes, struct error *error) MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
