#!/usr/bin/env bash
# Functions that no code, or only some folders, may call: banned.table.
. "$(dirname "$0")/common.sh"

rule_files c h cu cuh
rule_code | awk -v table="$rules/banned.table" '
    BEGIN {
        while ((getline line < table) > 0) {
            if (line ~ /^#/ || split(line, part, "[ ]+[|]") < 3)
                continue
            count++
            functions[count] = part[1]
            places[count] = part[2]
            why[count] = part[3]
        }
    }
    function may_call(rule, path,   n, i, place) {
        n = split(places[rule], place, " ")
        for (i = 1; i <= n; i++)
            if (index(path, place[i]) == 1)
                return 1
        return 0
    }
    {
        split($0, field, ":")
        if (field[1] == "search/banned.h")
            next
        text = substr($0, length(field[1]) + length(field[2]) + 3)
        if (text ~ /^[ \t]*#/)
            next
        for (i = 1; i <= count; i++)
            if (match(text, "(^|[^A-Za-z0-9_.>])(" functions[i] ")[ ]*\\(") && !may_call(i, field[1])) {
                name = substr(text, RSTART, RLENGTH)
                gsub(/[^A-Za-z0-9_]/, "", name)
                print field[1] ":" field[2] ": " name "():" why[i]
            }
    }' | rule_verdict banned
