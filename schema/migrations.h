/* The numbered SQL migrations, embedded by embed.cmake. Forward only: a migration that was released never changes. */
#ifndef SCHEMA_MIGRATIONS_H
#define SCHEMA_MIGRATIONS_H

#include <stddef.h>
#include <stdint.h>

struct migration {
    uint32_t version; /* 1, 2, 3, ... */
    const char *name;
    const char *sql;
};

extern const struct migration schema_migrations[]; /* by version, without gaps */
extern const size_t schema_migration_count;

#endif
