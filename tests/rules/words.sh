#!/usr/bin/env bash
# Nothing is left to do in a comment, nothing is temporary.
. "$(dirname "$0")/common.sh"

rule_files c h cu cuh sh awk table md sql proto txt json cmake html css js yaml
{ grep -nHE '\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b' "${files[@]}" || true; } | rule_verdict words
