#!/usr/bin/env bash
# Builds ArchScout and runs its tests; one command for people and for CI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'TEXT'
usage: tests/run.sh [PART...]

Installs the Debian packages that are missing, builds with warnings as errors, runs the tests, and closes with a line
`N passed, N failed, N skipped`. Exits 0 when nothing failed and something ran.

Parts (without any: rules, release, tidy, asan, engine, in this order)
  rules     the rules of the house: who includes whom, banned functions, sizes, words, headers, links, layout
  release   all tests against the optimised build
  debug     the same against a build without optimisation
  asan      the same under AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer
  tsan      the same under ThreadSanitizer
  tidy      clang-tidy over the C files
  engine    the engine alone, as on a machine that has a compiler and a GPU and none of Debian's -dev packages

Environment
  ARCHSCOUT_SHARED   folder with facts/ and data/ for the tests that compare with published figures
                     (default ../shared; tests whose data is not there are skipped and say so)
  JOBS               parallel jobs (default 2)
TEXT
}

jobs=${JOBS:-2}
passed=0
failed=0
skipped=0
export ARCHSCOUT_SHARED=${ARCHSCOUT_SHARED:-$PWD/../shared}

# count PASSED FAILED SKIPPED WHAT: adds to the totals and says so.
count() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
    printf '== %s: %d passed, %d failed, %d skipped\n' "$4" "$1" "$2" "$3"
}

part_rules() {
    local p=0 f=0 s=0 script status
    for script in includes banned size words headers links format selftest; do
        status=0
        bash "tests/rules/$script.sh" || status=$?
        case $status in
            0) p=$((p + 1)) ;;
            77) s=$((s + 1)) ;;
            *) f=$((f + 1)) ;;
        esac
    done
    count $p $f $s rules
}

# build PRESET: configures and builds everything.
build() {
    cmake --preset "$1" -DARCHSCOUT_TESTS=ON -DARCHSCOUT_WERROR=ON >"build/$1.configure.log" || {
        cat "build/$1.configure.log"
        return 1
    }
    cmake --build --preset "$1" -j "$jobs"
}

# run_tests DIRECTORY NAME CTEST-ARGUMENT...: what ctest finds in a build, counted.
run_tests() {
    local log=$1/Testing/Temporary/LastTest.log name=$2
    shift 2
    rm -f "$log"
    ctest "$@" -j "$jobs" -LE rules 2>&1 | tee "build/$name.ctest" || true
    if [ ! -f "$log" ] || ! grep -qE 'Test +#[0-9]+:' "build/$name.ctest"; then
        count 0 1 0 "$name (ctest ran nothing)"
        return
    fi
    awk -f tests/count.awk "build/$name.ctest" "$log" >"build/$name.count"
    sed '$d' "build/$name.count"
    # shellcheck disable=SC2046
    count $(tail -n 1 "build/$name.count") "$name"
}

part_engine() {
    local build=build/engine-alone
    mkdir -p build
    echo "== engine: building"
    if ! cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DARCHSCOUT_PARTS=engine -DARCHSCOUT_ONEDNN=OFF \
        -DARCHSCOUT_CMOCKA=OFF -DARCHSCOUT_WERROR=ON >build/engine.configure.log || ! cmake --build "$build" -j "$jobs"; then
        tail -n 20 build/engine.configure.log
        count 0 1 0 "engine (does not build)"
        return
    fi
    # What runs on the emulated device has run in the other parts.
    run_tests "$build" engine --test-dir "$build" --output-on-failure -E '^(emulated|emulator|kernels)_'
}

# part_preset PRESET: builds and runs everything ctest knows but the rules, which look at no binary.
part_preset() {
    mkdir -p build
    echo "== $1: building"
    if ! build "$1"; then
        count 0 1 0 "$1 (does not build)"
        return
    fi
    run_tests "build/$1" "$1" --preset "$1"
}

part_tidy() {
    mkdir -p build
    if ! command -v clang-tidy >/dev/null; then
        echo "tidy: SKIP, clang-tidy is not installed (deploy/debian-packages.sh test)"
        count 0 0 1 tidy
        return
    fi
    if ! build release >build/tidy.build.log 2>&1; then
        tail -n 20 build/tidy.build.log
        count 0 1 0 "tidy (the release preset does not build)"
        return
    fi
    if find search proto daemon worker cli -name '*.c' -print0 |
        xargs -0 -n 4 -P "$jobs" clang-tidy -p build/release --quiet --warnings-as-errors='*' 2>build/tidy.log; then
        count 1 0 0 tidy
    else
        grep -v 'warnings generated' build/tidy.log | tail -n 20 || true
        count 0 1 0 tidy
    fi
}

part_asan() {
    export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=print_stacktrace=1
    part_preset asan
}

parts=()
for argument in "$@"; do
    case $argument in
        rules | release | debug | asan | tsan | tidy | engine) parts+=("$argument") ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(rules release tidy asan engine)

deploy/debian-packages.sh test
started=$SECONDS
for part in "${parts[@]}"; do
    case $part in
        rules) part_rules ;;
        tidy) part_tidy ;;
        asan) part_asan ;;
        engine) part_engine ;;
        *) part_preset "$part" ;;
    esac
done
echo "== $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
