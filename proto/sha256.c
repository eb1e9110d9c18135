#include "proto/sha256.h"

#include <assert.h>
#include <string.h>

#include <nettle/sha2.h>

/* nettle renames its functions by macros. */
#undef sha256_init

static_assert(sizeof(struct sha256_ctx) <= sizeof(struct sha256), "nettle's state fits");
static_assert(_Alignof(struct sha256_ctx) <= sizeof(uint64_t), "nettle's state is aligned");

static struct sha256_ctx *state_of(struct sha256 *sha256)
{
    return (struct sha256_ctx *)(void *)sha256->state;
}

void sha256_init(struct sha256 *sha256)
{
    nettle_sha256_init(state_of(sha256));
}

void sha256_add(struct sha256 *sha256, const void *bytes, size_t length)
{
    nettle_sha256_update(state_of(sha256), length, bytes);
}

void sha256_finish(struct sha256 *sha256, uint8_t ret_digest[SHA256_SIZE])
{
    nettle_sha256_digest(state_of(sha256), SHA256_SIZE, ret_digest);
}

void sha256_text(const uint8_t digest[SHA256_SIZE], char ret_text[SHA256_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_SIZE; i++) {
        ret_text[2 * i] = digits[digest[i] >> 4];
        ret_text[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_text[2 * SHA256_SIZE] = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool sha256_from_text(const char *text, uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    if (strlen(text) != 2 * SHA256_SIZE)
        return false;
    for (int i = 0; i < SHA256_SIZE; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_digest, digest, sizeof digest);
    return true;
}
