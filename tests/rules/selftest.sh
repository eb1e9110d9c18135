#!/usr/bin/env bash
# Each rule refuses what it is there to refuse: every case is a tree of one bad file, and one good tree passes them all.
set -euo pipefail
rules=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
passed=0

fresh_tree() {
    rm -rf "${tree:?}"/*
    cp "$rules/../../.clang-format" "$tree/"
}

verdict() {
    if [ "$1" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $2"
        sed 's/^/    /' <<<"$output"
    fi
}

# refuses RULE EXPECTED PATH: the file on standard input, at PATH, makes the rule fail and say EXPECTED.
refuses() {
    fresh_tree
    mkdir -p "$tree/$(dirname "$3")"
    cat >"$tree/$3"
    local status=0
    output=$("$rules/$1.sh" "$tree" 2>&1) || status=$?
    if [ "$status" -eq 77 ]; then
        echo "$output"
        skipped=yes
        return
    fi
    if [ "$status" -eq 1 ] && grep -qF -- "$2" <<<"$output"; then
        verdict yes
    else
        verdict no "$1 on $3 ended with $status, expected 1 and: $2"
    fi
}

repeat() {
    local i
    for ((i = 0; i < $1; i++)); do printf '%s\n' "$2"; done
}

refuses includes 'search may not include proto' search/a.c <<<'#include "proto/frame.h"'
refuses includes 'worker/engine may not include proto' worker/engine/a.c <<<'#include "proto/frame.h"'
refuses includes 'daemon may not include worker' daemon/a.c <<<'#include "worker/agent.h"'
refuses includes 'worker may not include daemon' worker/a.c <<<'#include "daemon/store.h"'
refuses includes 'cli may not include daemon' cli/a.c <<<'#include "daemon/store.h"'
refuses includes 'is not a path from the root' search/a.c <<<'#include "space.h"'
refuses includes '<sqlite3.h> may stand only in' daemon/scheduler.c <<<'#include <sqlite3.h>'
refuses includes '<microhttpd.h> may stand only in' daemon/store.c <<<'#include <microhttpd.h>'
refuses includes '<dnnl.h> may stand only in' worker/engine/plan.c <<<'#include <dnnl.h>'
refuses includes '<oneapi/dnnl/dnnl.h> may stand only in' worker/trainer.c <<<'#include <oneapi/dnnl/dnnl.h>'
refuses includes '<cudnn.h> may stand only in' worker/engine/onednn.c <<<'#include <cudnn.h>'
refuses includes '<cuda_runtime.h> may stand only in' search/a.c <<<'#include <cuda_runtime.h>'
refuses includes '<jansson.h> may stand only in' worker/engine/a.c <<<'#include <jansson.h>'
refuses includes '<curl/curl.h> may stand only in' cli/a.c <<<'#include <curl/curl.h>'
refuses includes '<time.h> may stand only in' search/a.c <<<'#include <time.h>'

refuses banned 'strcpy(): writes without a bound' cli/a.c <<<'    strcpy(a, b);'
refuses banned 'atoi(): reports no error' cli/a.c <<<'    return atoi(a);'
refuses banned 'strtok(): hidden state' daemon/a.c <<<'    strtok (a, b);'
refuses banned 'rand(): search/random.h' worker/a.c <<<'    return rand();'
refuses banned 'exit(): only main ends a program' proto/a.c <<<'    exit(1);'
refuses banned 'fprintf(): only programs log' worker/engine/a.c <<<'    fprintf(stderr, "hello");'
refuses banned 'fopen(): search is pure' search/a.c <<<'    fopen("a", "r");'

refuses size 'file of 601 lines' search/a.c < <(repeat 601 'int a;')
refuses size 'function of 71 lines' search/a.c < <(echo 'int f(void)'; echo '{'; repeat 71 '    ;'; echo '}')
refuses size 'function of 7 parameters' search/a.c <<'END'
int f(int a, int b, int c,
      int (*d)(int, int), int e, int g, int h)
{
}
END
refuses size 'nested 4 deep' search/a.c <<'END'
int f(int a)
{
    if (a) {
        while (a) {
            for (;;) {
                if (a) {
                    a--;
                }
            }
        }
    }
}
END

for word in "TO""DO" "FIX""ME" "XX""X"; do
    refuses words "$word" search/a.c <<<"/* $word: later */"
done

refuses headers 'no comment at the top' search/a.h <<'END'
#ifndef SEARCH_A_H
#define SEARCH_A_H
#endif
END
refuses headers 'no include guard' search/a.h <<<'/* A. */'
refuses headers 'guard is A_H, not WORKER_ENGINE_A_H' worker/engine/a.h <<'END'
/* A. */
#ifndef A_H
#define A_H
#endif
END
refuses headers 'defines SEARCH_B_H, not SEARCH_A_H' search/a.h <<'END'
/* A. */
#ifndef SEARCH_A_H
#define SEARCH_B_H
#endif
END

refuses links 'b.md#part is not there' docs/a.md <<<'See [b](b.md#part) and [c](https://example.org).'

refuses format 'clang-formatted' search/a.c <<<'int f (void) { return 1 ; }'

fresh_tree
mkdir "$tree/search" "$tree/daemon" "$tree/docs"
cat >"$tree/search/good.h" <<'END'
/* A module that keeps every rule; it names strcpy() and "exit(1)" in a comment only. */
#ifndef SEARCH_GOOD_H
#define SEARCH_GOOD_H

#include <stdint.h>

/* The answer to `question`, which ends with '"' or '\''. */
uint32_t good_answer(const char *question);

#endif
END
cat >"$tree/daemon/store.c" <<'END'
#include "search/good.h"

#include <sqlite3.h>

static const char *const text = "strcpy(a, b); /* exit(1)";

uint32_t good_answer(const char *question)
{
    static const struct {
        int a[2];
    } table[] = {{{1, 2}}, {{3, 4}}};
    for (int i = 0; i < 2; i++) {
        if (table[i].a[0] && question == text) {
            while (question) {
                question = NULL;
            }
        }
    }
    return 42;
}
END
echo '[the store](../daemon/store.c#L1), [here](#part)' >"$tree/docs/good.md"
for rule in includes banned size words headers links format; do
    status=0
    output=$("$rules/$rule.sh" "$tree" 2>&1) || status=$?
    if [ "$status" -eq 77 ]; then
        skipped=yes
    elif [ "$status" -eq 0 ]; then
        verdict yes
    else
        verdict no "$rule refuses the good tree (status $status)"
    fi
done

# clang-tidy is no rule of ctest (it needs a build), but its configuration has to find something, too.
if command -v clang-tidy >/dev/null; then
    fresh_tree
    cp "$rules/../../.clang-tidy" "$tree/"
    printf '#include <string.h>\nvoid f(int *p);\nvoid f(int *p)\n{\n    memset(p, 6000, 4);\n}\n' >"$tree/a.c"
    output=$(clang-tidy "$tree/a.c" -- 2>&1) && status=0 || status=$?
    if [ "$status" -eq 1 ] && grep -qF bugprone-suspicious-memset-usage <<<"$output"; then
        verdict yes
    else
        verdict no "clang-tidy ended with $status on a memset with 6000"
    fi
else
    echo "clang-tidy: SKIP, not installed"
fi

fresh_tree
status=0
output=$("$rules/size.sh" "$tree" 2>&1) || status=$?
if [ "$status" -eq 2 ]; then verdict yes; else verdict no "an empty tree ends with $status, expected 2"; fi

echo "selftest: $passed passed, $failed failed"
[ "$failed" -eq 0 ] || exit 1
[ -z "${skipped:-}" ] || exit 77
