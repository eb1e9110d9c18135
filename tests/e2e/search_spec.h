/* Specs for tests: small, and valid unless a test spoils them. */
#ifndef TESTS_E2E_SEARCH_SPEC_H
#define TESTS_E2E_SEARCH_SPEC_H

#include "tests/e2e/daemon_process.h"

enum { SPEC_TEST_SIZE = 4096 };

/* A search of `candidates` candidates on Fashion-MNIST, two epochs each. */
void spec_write(char text[SPEC_TEST_SIZE], const char *name, int candidates);
/* The same with `old` (which occurs once) replaced. */
void spec_write_with(char text[SPEC_TEST_SIZE], const char *old, const char *new);

/* Submits such a search and returns its id. */
int64_t search_submit(const struct daemon_process *process, const char *name, int candidates);
/* POST /v1/searches/ID:VERB; the status. */
int search_steer(const struct daemon_process *process, int64_t search, const char *verb);

#endif
