#!/usr/bin/env bash
# shared_memory_test.sh ARCHIVE: every static variable of the emulated kernels is shared memory in its file's own section, so that it is
# poisoned before every block. One in the common section is shared memory of a template, or a mutable global.
set -euo pipefail
found=$(nm --demangle "$1" 2>/dev/null | grep -E ' [bBuV] ' | grep -vE ' (__|std::|completed)' || true)
sections=$(nm "$1" 2>/dev/null | grep -c ' [dD] _ZZ' || true)
if [ -n "$found" ]; then
    echo "shared memory that is not poisoned (KERNEL_SHARED in a template):"
    echo "$found"
    exit 1
fi
[ "$sections" -gt 0 ] || {
    echo "no shared memory was found in $1"
    exit 1
}
echo "$sections variables of shared memory, all in their sections"
