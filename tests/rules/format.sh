#!/usr/bin/env bash
# clang-format decides the layout of C files (version 14, Debian 12's; others lay out differently). 77: not installed.
. "$(dirname "$0")/common.sh"

formatter=
for name in clang-format-14 clang-format; do
    if command -v "$name" >/dev/null && "$name" --version | grep -q 'version 14\.'; then
        formatter=$name
        break
    fi
done
if [ -z "$formatter" ]; then
    echo "format: SKIP, clang-format 14 is not installed (deploy/debian-packages.sh test)"
    exit 77
fi
rule_files c h cu cuh
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if "$formatter" --dry-run -Werror --style=file "${files[@]}" >"$output" 2>&1; then
    rule_verdict format </dev/null
else
    { grep -E '^[^ ]+:[0-9]+:' "$output" || cat "$output"; } | rule_verdict format
fi
