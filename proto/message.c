#include "proto/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What one unpacking has taken and whether it was refused more. */
struct allowance {
    size_t left;
    int refused_code; /* 0, -EMSGSIZE or -ENOMEM */
};

static void *allowance_alloc(void *context, size_t size)
{
    struct allowance *allowance = context;
    if (size > allowance->left) {
        allowance->refused_code = -EMSGSIZE;
        return NULL;
    }
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        allowance->refused_code = -ENOMEM;
        return NULL;
    }
    allowance->left -= size;
    return memory;
}

static void allowance_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

int message_pack(const ProtobufCMessage *message, struct buffer *ret_bytes)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    int code = buffer_reserve(ret_bytes, size);
    if (code < 0)
        return code;
    if (size)
        ret_bytes->length += protobuf_c_message_pack(message, ret_bytes->data + ret_bytes->length);
    return 0;
}

int message_unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
                   ProtobufCMessage **ret_message, struct error *error)
{
    if (length > MESSAGE_BYTES_MAX)
        return error_set(error, -EMSGSIZE, "", "a message has at most %d bytes", MESSAGE_BYTES_MAX);
    struct allowance allowance = {.left = MESSAGE_MEMORY_MAX};
    ProtobufCAllocator allocator = {
        .alloc = allowance_alloc, .free = allowance_free, .allocator_data = &allowance};
    const uint8_t *data = length ? bytes : (const uint8_t *)"";
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, length, data);
    if (message) {
        *ret_message = message;
        return 0;
    }
    if (allowance.refused_code == -ENOMEM)
        return error_set(error, -ENOMEM, "", "out of memory");
    if (allowance.refused_code == -EMSGSIZE)
        return error_set(error, -EMSGSIZE, "", "the message has too many parts");
    return error_set(error, -EBADMSG, "", "not a %s message", descriptor->short_name);
}

void message_free(ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = {.alloc = allowance_alloc, .free = allowance_free};
    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}

void message_free_pointer(void *message_pointer)
{
    ProtobufCMessage *message = NULL;
    memcpy(&message, message_pointer, sizeof message);
    message_free(message);
}
