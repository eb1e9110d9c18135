#include "tests/unit/proto/corruption.h"

#include <string.h>

void corrupt(void *value, const struct corruption *corruption)
{
    unsigned char *field = (unsigned char *)value + corruption->offset;
    uint32_t narrow = (uint32_t)corruption->number;
    switch (corruption->kind) {
    case CORRUPT_U32:
        memcpy(field, &narrow, sizeof narrow);
        break;
    case CORRUPT_U64:
        memcpy(field, &corruption->number, sizeof corruption->number);
        break;
    case CORRUPT_DOUBLE:
        memcpy(field, &corruption->real, sizeof corruption->real);
        break;
    case CORRUPT_TEXT:
        memcpy(field, corruption->text, strlen(corruption->text) + 1);
        break;
    }
}
