#!/usr/bin/env bash
# Who may include whom: includes.table, which is DESIGN's picture of the folders.
. "$(dirname "$0")/common.sh"

rule_files c h cu cuh
rule_code | awk -v table="$rules/includes.table" '
    BEGIN {
        while ((getline line < table) > 0) {
            sub(/#.*/, "", line)
            count = split(line, word)
            if (count < 2)
                continue
            if (word[1] == "folder") {
                folders[++folder_count] = word[2]
                for (i = 3; i <= count; i++)
                    allowed[word[2], word[i]] = 1
            } else if (word[1] == "header") {
                headers[++header_count] = word[2]
                for (i = 3; i <= count; i++)
                    places[header_count] = places[header_count] " " word[i]
            } else {
                print table ": unknown line: " line
            }
        }
    }
    # The longest folder of the table that holds the path.
    function folder_of(path,   i, best) {
        best = ""
        for (i = 1; i <= folder_count; i++)
            if (index(path, folders[i] "/") == 1 && length(folders[i]) > length(best))
                best = folders[i]
        return best
    }
    function may_stand(header_index, path,   n, i, place) {
        n = split(places[header_index], place, " ")
        for (i = 1; i <= n; i++)
            if (index(path, place[i]) == 1)
                return 1
        return 0
    }
    {
        split($0, field, ":")
        text = substr($0, length(field[1]) + length(field[2]) + 3)
        if (text !~ /^[ \t]*#[ \t]*include/)
            next
        from = folder_of(field[1])
        where = field[1] ":" field[2] ": "
        if (match(text, /"[^"]+"/)) {
            name = substr(text, RSTART + 1, RLENGTH - 2)
            to = folder_of(name)
            if (to == "")
                print where "\"" name "\" is not a path from the root"
            else if (from == "")
                print where "stands in a folder that includes.table does not know"
            else if (to != from && !((from, to) in allowed) && !((from, "*") in allowed))
                print where from " may not include " to " (" name ")"
        } else if (match(text, /<[^>]+>/)) {
            name = substr(text, RSTART + 1, RLENGTH - 2)
            for (i = 1; i <= header_count; i++)
                if (name ~ headers[i] && !may_stand(i, field[1]))
                    print where "<" name "> may stand only in" places[i]
        }
    }' | rule_verdict includes
