#!/usr/bin/env bash
# Our engine and PyTorch in turn on the same networks: images a second of the whole machine, and how many times PyTorch's.
#
# usage: tests/bench/engine_vs_pytorch.sh [--runs N] [--python PATH]... [--network NAME]... [--build DIRECTORY]
#
# Ours is one single-threaded engine a core, PyTorch one process on all cores, at the fastest of these settings, which one
# short run each finds: as it comes, and tuned (channels last or not, AVX-512 where there is, glibc's malloc thresholds raised,
# subnormals flushed). Medians of N alternating runs (default 5), on an idle machine and again beside one busy loop. --python
# may be given several times; each is a PyTorch to try, the fastest counts. Needs nothing else to run on the machine: the load
# found at the start is printed.
set -euo pipefail
cd "$(dirname "$0")/../.."

runs=5
pythons=()
networks=()
build=build/release
while [ $# -gt 0 ]; do
    case $1 in
        --runs) runs=$2; shift 2 ;;
        --python) pythons+=("$2"); shift 2 ;;
        --network) networks+=("$2"); shift 2 ;;
        --build) build=$2; shift 2 ;;
        -h | --help) sed -n '2,/^set/{/^#/p}' "$0" | cut -c3-; exit 0 ;;
        *) "$0" --help >&2; exit 2 ;;
    esac
done
[ ${#pythons[@]} -gt 0 ] || pythons=(/usr/bin/python3)
[ ${#networks[@]} -gt 0 ] || networks=(archscout-reference efficientnetv2-b0 efficientnet-b0)
cores=$(nproc)
work=$(mktemp -d)
busy=
finish() {
    [ -z "$busy" ] || kill "$busy" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Pixels, images of a batch, and steps that ours takes some seconds for.
declare -A shape=([archscout-reference]="32 128 12" [efficientnetv2-b0]="64 64 8" [efficientnet-b0]="96 32 10")

median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

# ours NETWORK PRECISION: the sum over one engine a core.
ours() {
    local size batch steps flag=() pids=() core
    read -r size batch steps <<<"${shape[$1]}"
    [ "$2" = f32 ] || flag=(--bf16)
    for core in $(seq "$cores"); do
        "$build/bin/engine_bench" --brief --preset "$1" --size "$size" --batch "$batch" --steps "$steps" --runs 1 \
            "${flag[@]}" >"$work/$core" &
        pids+=($!)
    done
    wait "${pids[@]}"
    cat "$work"/[0-9]* | awk '{ sum += $1 } END { print sum }'
}

# theirs NETWORK PRECISION PYTHON SETTING SECONDS
theirs() {
    local size batch flag=() environment=()
    read -r size batch _ <<<"${shape[$1]}"
    case $4 in
        default) ;;
        default-last) flag=(--format channels_last) ;;
        tuned | tuned-last)
            flag=(--threads "$cores" --flush-denormal)
            [ "$4" = tuned ] || flag+=(--format channels_last)
            environment=(MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592)
            ! grep -qw avx512f /proc/cpuinfo || environment+=(ATEN_CPU_CAPABILITY=avx512)
            ;;
    esac
    env "${environment[@]}" timeout 180 "$3" tests/peers/torch_bench.py --network "$1" --size "$size" --batch "$batch" \
        --seconds "$5" --precision "$2" "${flag[@]}" 2>"$work/errors" || echo 0
}

# best NETWORK PRECISION: PYTHON and SETTING of the fastest, all of them on the standard error output.
best() {
    local python setting rate
    for python in "${pythons[@]}"; do
        for setting in default default-last tuned tuned-last; do
            rate=$(theirs "$1" "$2" "$python" "$setting" 1)
            echo "  $1 $2 $python $setting: $rate" >&2
            echo "$rate $python $setting"
        done
    done | sort -n | tail -1 | cut -d' ' -f2-
}

# compare NETWORK PRECISION PYTHON SETTING WHAT: a row.
compare() {
    : >"$work/ours"
    : >"$work/theirs"
    : >"$work/ratio"
    for _ in $(seq "$runs"); do
        ours "$1" "$2" >>"$work/ours"
        theirs "$1" "$2" "$3" "$4" 3 >>"$work/theirs"
        paste "$work/ours" "$work/theirs" | tail -1 | awk '{ print ($2 > 0 ? $1 / $2 : 0) }' >>"$work/ratio"
    done
    printf '| %s | %s | %s | %.0f | %.0f | %.2f | %.2f .. %.2f | %s, %s |\n' "$1" "$2" "$5" "$(median <"$work/ours")" \
        "$(median <"$work/theirs")" "$(median <"$work/ratio")" "$(sort -n "$work/ratio" | head -1)" \
        "$(sort -n "$work/ratio" | tail -1)" "$(version "$3")" "$4"
}

version() { "$1" -c 'import torch; print("PyTorch", torch.__version__)'; }

echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $cores cores, load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
"$build/bin/engine_bench" --floors
echo
echo "| network | precision | beside | ours, images/s | PyTorch, images/s | ratio, median of $runs | least .. most | PyTorch's best |"
echo "|---|---|---|---|---|---|---|---|"
for network in "${networks[@]}"; do
    for precision in f32 bf16; do
        read -r python setting <<<"$(best "$network" "$precision")"
        compare "$network" "$precision" "$python" "$setting" nothing
        while :; do :; done &
        busy=$!
        compare "$network" "$precision" "$python" "$setting" "a busy loop"
        kill "$busy"
        wait "$busy" 2>/dev/null || true
        busy=
    done
done
