/* Packing and unpacking of generated messages with bounded memory. Inside proto/ only. */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "proto/buffer.h"
#include "search/error.h"

#include <protobuf-c/protobuf-c.h>

enum {
    MESSAGE_BYTES_MAX = 1 << 20,  /* of a packed message */
    MESSAGE_MEMORY_MAX = 4 << 20, /* that unpacking one may take; small fields grow when unpacked */
};

/* Appends the packed message. -EMSGSIZE, -ENOMEM. */
int message_pack(const ProtobufCMessage *message, struct buffer *ret_bytes) MUST_USE;

/* -EBADMSG where the bytes are not such a message, -EMSGSIZE, -ENOMEM. The caller frees with
 * message_free. */
int message_unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
                   ProtobufCMessage **ret_message, struct error *error) MUST_USE;
void message_free(ProtobufCMessage *message);
/* For CLEANUP on a variable that points to any generated message. */
void message_free_pointer(void *message_pointer);

#endif
