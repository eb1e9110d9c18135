/* Digests of FIPS 180-4's examples and of texts around the block size (figures by coreutils' sha256sum). */
#include "proto/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void digest_of(const void *bytes, size_t length, size_t piece,
                      char ret_text[SHA256_TEXT_SIZE])
{
    struct sha256 sha256;
    uint8_t digest[SHA256_SIZE];
    sha256_init(&sha256);
    for (size_t done = 0; done < length; done += piece)
        sha256_add(&sha256, (const char *)bytes + done,
                   length - done < piece ? length - done : piece);
    sha256_finish(&sha256, digest);
    sha256_text(digest, ret_text);
}

static void test_examples_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[SHA256_TEXT_SIZE];
        digest_of(cases[i].text, strlen(cases[i].text), 7, text);
        assert_string_equal(text, cases[i].digest);
    }
}

/* 'a' so many times, in pieces of every size up to two blocks. */
static void test_pieces_do_not_matter(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        const char *digest;
    } cases[] = {
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"},
    };
    char bytes[1000];
    memset(bytes, 'a', sizeof bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece <= 2 * SHA256_BLOCK_SIZE; piece++) {
            char text[SHA256_TEXT_SIZE];
            digest_of(bytes, cases[i].length, piece, text);
            assert_string_equal(text, cases[i].digest);
        }
    }
}

static void test_texts_are_read_back_and_checked(void **state)
{
    (void)state;
    static const char good[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    uint8_t digest[SHA256_SIZE];
    char text[SHA256_TEXT_SIZE];
    assert_true(sha256_from_text(good, digest));
    sha256_text(digest, text);
    assert_string_equal(text, good);
    for (size_t i = 0; i < SHA256_TEXT_SIZE - 1; i++) {
        memcpy(text, good, sizeof text);
        text[i] = 'A';
        assert_false(sha256_from_text(text, digest));
        text[i] = '\0';
        assert_false(sha256_from_text(text, digest));
    }
    assert_false(sha256_from_text("", digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_standard),
        cmocka_unit_test(test_pieces_do_not_matter),
        cmocka_unit_test(test_texts_are_read_back_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
