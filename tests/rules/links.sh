#!/usr/bin/env bash
# Links between pages lead somewhere: [text](path) of a Markdown file is relative to it, and the path exists.
. "$(dirname "$0")/common.sh"

rule_files md
for file in "${files[@]}"; do
    { grep -noE '\]\([^) ]+\)' "$file" || true; } | while IFS=: read -r line link; do
        target=${link#\](}
        target=${target%)}
        case $target in
            http://* | https://* | mailto:* | \#*) continue ;;
        esac
        [ -e "$(dirname "$file")/${target%%#*}" ] || echo "$file:$line: $target is not there"
    done
done | rule_verdict links
