# Sourced by every rule. A rule is called as `RULE.sh [ROOT]`, looks at the tree under ROOT (this repository unless told),
# prints `FILE:LINE: what is wrong` for each breach and exits 1 where there is one.
set -euo pipefail
rules=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$rules/../..}"

folders="search proto schema daemon worker kernels cli tests deploy docs .ci"

# rule_files EXTENSION...: sets `files` to the tree's files with these extensions, sorted, those in the top folder included.
# A rule that finds nothing to look at has not been kept: it ends with status 2.
rule_files() {
    mapfile -t files < <(rule_find "$@")
    [ ${#files[@]} -gt 0 ] || {
        echo "$0: no files of kind $* under $PWD"
        exit 2
    }
}

rule_find() {
    local extension names=()
    for extension in "$@"; do
        names+=(-o -name "*.$extension")
    done
    {
        find . -maxdepth 1 -type f \( "${names[@]:1}" \)
        for folder in $folders; do
            [ ! -d "$folder" ] || find "$folder" -type f \( "${names[@]:1}" \)
        done
    } | sed 's,^\./,,' | LC_ALL=C sort
}

# rule_code: the lines of `files` as FILE:LINE:TEXT, with comments and the insides of literals blanked.
rule_code() {
    awk -f "$rules/code.awk" "${files[@]}"
}

# rule_verdict NAME: reads breaches on standard input, prints them, and ends the rule.
rule_verdict() {
    local count=0 line
    while IFS= read -r line; do
        printf '%s\n' "$line"
        count=$((count + 1))
    done
    [ "$count" -eq 0 ] || {
        echo "$1: $count breaches"
        exit 1
    }
    echo "$1: kept"
}
