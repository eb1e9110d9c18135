#!/usr/bin/env bash
# Files of up to 600 lines; functions of up to 70 lines, six parameters and three levels of nesting.
. "$(dirname "$0")/common.sh"

rule_files c h cu cuh
rule_code | awk '
    BEGIN { file_max = 600; lines_max = 70; parameters_max = 6; nesting_max = 3 }
    function end_of_file() {
        if (path != "" && last > file_max)
            print path ":" last ": file of " last " lines, more than " file_max
    }
    function check_parameters(   text, i, c, depth, commas) {
        if (signature ~ /struct MHD_Connection \*/) # libmicrohttpd fixes its callbacks
            return
        text = signature
        depth = 0
        commas = 0
        for (i = index(text, "("); i > 0 && i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c == "(") depth++
            else if (c == ")" && --depth == 0) break
            else if (c == "," && depth == 1) commas++
        }
        if (commas + 1 > parameters_max)
            print path ":" start ": function of " commas + 1 " parameters, more than " parameters_max
    }
    {
        split($0, field, ":")
        text = substr($0, length(field[1]) + length(field[2]) + 3)
        if (field[1] != path) {
            end_of_file()
            path = field[1]
            inside = 0
            signature = ""
        }
        last = field[2]
        if (!inside && text == "{") {
            inside = 1
            start = last
            depth = 1
            deepest = 0
            check_parameters()
            next
        }
        if (!inside) {
            signature = (text ~ /[;}]$/ || text ~ /^#/ || text == "") ? "" : signature " " text
            next
        }
        if (text == "}") {
            inside = 0
            signature = ""
            if (last - start - 1 > lines_max)
                print path ":" start ": function of " last - start - 1 " lines, more than " lines_max
            if (deepest > nesting_max)
                print path ":" deepest_line ": nested " deepest " deep, more than " nesting_max
            next
        }
        for (i = 1; i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c == "{") {
                depth++
                # Initialisers are data, not control flow.
                if (depth - 1 > deepest && text ~ /(\)|else|do) \{$/) {
                    deepest = depth - 1
                    deepest_line = last
                }
            } else if (c == "}")
                depth--
        }
    }
    END { end_of_file() }' | rule_verdict size
