#!/usr/bin/env bash
# A header opens with a comment that says what the module is for, and has an include guard named after its path.
. "$(dirname "$0")/common.sh"

rule_files h cuh
for file in "${files[@]}"; do
    guard=$(printf '%s' "$file" | tr 'a-z/.-' 'A-Z___')
    case $(head -n 1 "$file") in
        '/*'?*) ;;
        *) echo "$file:1: no comment at the top" ;;
    esac
    awk -v file="$file" -v guard="$guard" '
        /^#ifndef / && !asked { asked = 1; if ($2 != guard) print file ":" FNR ": guard is " $2 ", not " guard }
        /^#define / && !defined && asked { defined = 1; if ($2 != guard) print file ":" FNR ": defines " $2 ", not " guard }
        /^#include/ && !defined { print file ":" FNR ": include before the guard"; defined = 1 }
        END { if (!asked) print file ":1: no include guard" }' "$file"
done | rule_verdict headers
