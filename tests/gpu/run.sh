#!/usr/bin/env bash
# Builds the engine on a machine with an NVIDIA GPU, tests it there and measures it; closes with one table.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2

usage() {
    cat <<'TEXT'
usage: tests/gpu/run.sh [quick | all | STAGE...]

For a machine with a GPU, nvcc, cuDNN, CMake and ninja; none of the libraries that the rest of ArchScout needs. Each stage has a
time of its own, a failed one does not keep the next from running, and the table at the end has a line for each: what came out and
its figure. `all` (the default) ends within ten minutes. Exit status: 0 where every stage passed or was skipped with a reason, 1
where one failed, 77 where there is no GPU, 2 for wrong arguments.

Stages
  build       the engine alone, with what CMake finds of CUDA and cuDNN
  operators   every kernel against its reference in C, odd sizes, poisoned outputs
  engine      the backend against the reference backend: gradients, loss curves of ten steps
  repeat      one training twice, in two processes: the same bits
  sanitizer   compute-sanitizer's memcheck and racecheck over some of these
  training    CIFAR-10 to the accuracy and loss that the CPU backend reaches by the same recipe
  kernels     bytes a second of each kernel, beside a copy on the device
  step        where the time of a step goes, and the bytes a second of its launches: efficientnetv2-s, 128 px, 128 images
  turnaround  making a plan and its first step: without plans on disk, with them, and for the second time in a process
  benchmark   images a second beside PyTorch on the same GPU, in turn, with what time is left. torch.compile of a large network may
              take longer than that, which the page then says: `benchmark` alone with ROWS naming one has nine minutes for it,
              and what has been compiled is kept in BUILD/inductor
quick is build, operators, engine and repeat. A stage alone needs the build that is there, or `build` before it.

Environment
  OUT          folder for gpu.md (the results as a page) and gpu.log (everything said); default build/gpu/results
  BUILD        the build's folder; default build/gpu
  PYTHON       Python with PyTorch, and timm if there is one; default python3
  CUDNN_ROOT   where cuDNN is; default: PYTHON's package nvidia-cudnn where there is one, else with CUDA
  CIFAR10      a folder with data_batch_1.bin and the others, or a tar archive with one in it; default
               $ARCHSCOUT_SHARED/data/cifar10-lossless-subset.tar.xz, ARCHSCOUT_SHARED being ../shared
  DEVICE       cuda, cuda:N or cuda:GPU-UUID; default cuda
  LIMIT_S      seconds for all of it; default 590
  ROWS         networks of the benchmark, NETWORK:PIXELS:CLASSES, with blanks between them
  TUNE         1: before it is measured beside PyTorch, the engine times what cuDNN offers for each convolution, minutes for a
               large network the first time; what it finds is kept in BUILD/tuned. Give LIMIT_S more, or ROWS less
  JOBS         parallel jobs of the build; default: the processors
  EMULATOR     1: the programs on the emulated device instead, to try this script without a GPU; nothing is measured
TEXT
}

build=${BUILD:-build/gpu}
out=${OUT:-$build/results}
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
limit_s=${LIMIT_S:-590}
emulator=${EMULATOR:-}
started=$SECONDS
stages=(build operators engine repeat sanitizer training kernels step turnaround benchmark)
# What the CPU backend (oneDNN, bf16) reached with five seeds, `train_cifar --backend onednn`: mean and range by training images.
declare -A cpu_accuracy=([7044]=57.24:4.87) cpu_loss=([7044]=1.4014:0.038)

wanted=()
for argument in "$@"; do
    case $argument in
        quick) wanted+=(build operators engine repeat) ;;
        all) wanted+=("${stages[@]}") ;;
        -h | --help) usage; exit 0 ;;
        *)
            case " ${stages[*]} " in
                *" $argument "*) wanted+=("$argument") ;;
                *) usage >&2; exit 2 ;;
            esac
            ;;
    esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${stages[@]}")

export CUDA_DEVICE_ORDER=PCI_BUS_ID # as nvidia-smi counts
gpu=${device#cuda}
gpu=${gpu#:}
gpu=${gpu:-0}

# What a stage sets: passed, FAILED or SKIP, one line beside it, and a table for the page.
result=
figure=
table=
rows=()
tables=()
failed=0

left_s() { echo $((limit_s - (SECONDS - started))); }

# bounded SECONDS COMMAND...: at most that long, and never beyond the whole run's limit; 124 where time was up.
bounded() {
    local most=$1 left
    shift
    left=$(left_s)
    [ "$left" -gt 1 ] || return 124
    [ "$most" -le "$left" ] || most=$left
    timeout --kill-after=5 "$most" "$@"
}

# Into the log, and to the screen as it comes.
logged() { "$@" 2>&1 | tee -a "$out/gpu.log"; return "${PIPESTATUS[0]}"; }

figure_of() { grep '^figure: ' "$1" | tail -1 | cut -c9-; }

# finish STATUS FIGURE: passed or failed by a status; 77 is a skip, 124 says so.
finish() {
    figure=$2
    case $1 in
        0) result=passed ;;
        77) result=SKIP ;;
        124 | 137) result=FAILED; figure="out of time${2:+; $2}" ;;
        *) result=FAILED; [ -n "$2" ] || figure="status $1" ;;
    esac
}

# used STATUS SAID: finish, for a program that uses the GPU: one that skips itself has not found the GPU that is here.
used() {
    if [ "$1" -eq 77 ]; then
        finish 1 "$(grep -h '^SKIP' "$2" | head -1)"
    else
        finish "$1" "$(figure_of "$2")"
    fi
}

program() { echo "$build/$1${emulator:+_emulated}"; }

# Where the GPU is not, and why; nothing where one is.
gpu_missing() {
    [ -z "$emulator" ] || return 0
    local said
    if command -v nvidia-smi >/dev/null; then
        said=$(nvidia-smi -L 2>&1) && grep -q '^GPU ' <<<"$said" && return 0
        echo "nvidia-smi -L says: ${said%%$'\n'*}"
    elif ! compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
        echo "there is no nvidia-smi and no /dev/nvidia0"
    fi
}

gpu_query() { nvidia-smi -i "$gpu" --query-gpu="$1" --format=csv,noheader,nounits 2>/dev/null | head -1; }

# Clock, what holds it down, temperature: they explain a slow run.
gpu_state() {
    [ -z "$emulator" ] || return 0
    printf 'SM %s MHz of %s, memory %s MHz, %s C, held down by %s' "$(gpu_query clocks.sm)" "$(gpu_query clocks.max.sm)" \
        "$(gpu_query clocks.mem)" "$(gpu_query temperature.gpu)" "$(gpu_query clocks_event_reasons.active)"
}

# ---- build ----

cudnn_root() {
    "$python" - <<'PYTHON' 2>/dev/null
import importlib.util, os
package = importlib.util.find_spec("nvidia.cudnn")
print(list(package.submodule_search_locations)[0] if package else "")
PYTHON
}

stage_build() {
    local root=${CUDNN_ROOT:-$(cudnn_root)} status=0
    local options=(-DARCHSCOUT_PARTS=engine -DCMAKE_BUILD_TYPE=RelWithDebInfo)
    [ -n "$emulator" ] || options+=(-DARCHSCOUT_CUDA=ON)
    [ -z "$root" ] || options+=("-DCUDNN_ROOT=$root")
    logged bounded 60 cmake -S . -B "$build" -G Ninja "${options[@]}" || status=$?
    if [ $status -eq 0 ]; then
        logged bounded 240 cmake --build "$build" -j "${JOBS:-$(nproc)}" --target "gpu_suite${emulator:+_emulated}" || status=$?
    fi
    finish $status "${root:+cuDNN in $root}"
}

# ---- tests ----

# run_ctest SECONDS CTEST-ARGUMENT...: result and figure from what ctest counted.
run_ctest() {
    local most=$1 log=$build/Testing/Temporary/LastTest.log said=$build/ctest.said status=0 passes fails skips
    shift
    rm -f "$log"
    bounded "$most" ctest --test-dir "$build" "$@" --output-on-failure --timeout "$most" >"$said" 2>&1 || status=$?
    cat "$said" >>"$out/gpu.log"
    if [ ! -f "$log" ] || ! grep -qE 'Test +#[0-9]+:' "$said"; then
        finish 1 "ctest ran nothing of $*"
        return
    fi
    awk -f tests/count.awk "$said" "$log" >"$build/ctest.count"
    sed '$d' "$build/ctest.count"
    read -r passes fails skips <<<"$(tail -n 1 "$build/ctest.count")"
    if [ $status -eq 0 ] && { [ "$fails" -ne 0 ] || [ "$skips" -ne 0 ] || [ "$passes" -eq 0 ]; }; then
        status=1 # a GPU is here: what skips itself did not find it
    fi
    finish $status "$passes passed, $fails failed, $skips skipped"
}

stage_operators() {
    if [ -n "$emulator" ]; then
        run_ctest 180 -R '^kernels_'
    else
        run_ctest 120 -R '^gpu_' -E '^gpu_cuda_'
    fi
}

stage_engine() {
    if [ -n "$emulator" ]; then
        run_ctest 240 -R '^emulated_(cuda|cuda_step|engine|plan)_test$'
    else
        run_ctest 120 -R '^(gpu_cuda|gpu_cuda_step|ops_engine|ops_plan)_test$'
    fi
}

# ---- CIFAR-10 ----

# The folder with the binary files, unpacked where it is an archive.
cifar_folder() {
    local from=${CIFAR10:-${ARCHSCOUT_SHARED:-../shared}/data/cifar10-lossless-subset.tar.xz} found
    if [ -f "$from" ]; then
        mkdir -p "$build/cifar10"
        tar xf "$from" -C "$build/cifar10" || return 1
        from=$build/cifar10
    fi
    found=$(find "$from" -name data_batch_1.bin 2>/dev/null | head -1)
    [ -n "$found" ] && dirname "$found"
}

# Images that are trained on: 3073 bytes each.
cifar_images() { cat "$1"/data_batch_?.bin | wc -c | awk '{ print $1 / 3073 }'; }

# train SAID OPTION...: into a file, and the log.
train() {
    local said=$1 status=0
    shift
    [ -z "$emulator" ] || set -- "$@" --images 16 --batch 8 --epochs 1 --seeds 1
    bounded 90 "$(program tests/train_cifar)" --backend cuda --device "$device" "$@" >"$said" 2>>"$out/gpu.log" || status=$?
    logged cat "$said"
    return $status
}

stage_repeat() {
    local data status=0 run
    data=$(cifar_folder) || { finish 77 "no CIFAR-10 (CIFAR10 says where it is)"; return; }
    for run in 1 2; do
        train "$build/repeat.$run" --data "$data" --epochs 1 --seeds 1 || status=$?
    done
    if [ $status -ne 0 ]; then
        used $status "$build/repeat.$run"
    elif ! grep -q checksum "$build/repeat.1"; then
        finish 1 "no checksum was printed"
    elif cmp -s "$build/repeat.1" "$build/repeat.2"; then
        finish 0 "$(grep -o 'checksum .*' "$build/repeat.1" | head -1) twice"
    else
        finish 1 "the runs differ: $(grep -ho 'checksum .*' "$build"/repeat.[12] | paste -sd ' ')"
    fi
}

stage_training() {
    local data images status=0 expected=()
    data=$(cifar_folder) || { finish 77 "no CIFAR-10 (CIFAR10 says where it is)"; return; }
    images=$(cifar_images "$data")
    if [ -z "$emulator" ] && [ -n "${cpu_accuracy[$images]:-}" ]; then
        expected=(--accuracy "${cpu_accuracy[$images]}" --loss "${cpu_loss[$images]}")
    fi
    train "$build/training.said" --data "$data" --epochs 6 --seeds 5 "${expected[@]}" || status=$?
    used $status "$build/training.said"
}

# ---- compute-sanitizer ----

# cuDNN's own kernels are not ours to check for races, so the backend's test is not among those of racecheck.
sanitizer_runs() {
    local name
    for name in batch_norm depthwise squeeze augment matrix optimizer cross_entropy cuda; do echo "memcheck gpu_${name}_test"; done
    for name in batch_norm batch_norm_sums depthwise squeeze augment matrix; do echo "racecheck gpu_${name}_test"; done
}

stage_sanitizer() {
    local tool=${SANITIZER:-$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)}
    local kind name passes=0 bad=() late=() status end=$((SECONDS + 75))
    [ -z "$emulator" ] || { finish 77 "not for the emulated device: its own checks are AddressSanitizer's"; return; }
    [ -n "$tool" ] || { finish 77 "compute-sanitizer is not installed"; return; }
    while read -r kind name; do
        [ -x "$build/tests/$name" ] || continue
        status=124
        if [ $SECONDS -lt $end ]; then
            status=0
            bounded 25 "$tool" --tool "$kind" --error-exitcode 99 "$build/tests/$name" </dev/null >"$build/sanitizer.said" 2>&1 ||
                status=$?
            { echo "-- $kind $name"; tail -n 30 "$build/sanitizer.said"; } >>"$out/gpu.log"
        fi
        case $status in
            0) passes=$((passes + 1)) ;;
            124 | 137) late+=("$kind $name") ;;
            *) bad+=("$kind $name") ;;
        esac
    done < <(sanitizer_runs)
    status=0
    [ ${#bad[@]} -eq 0 ] && [ $passes -gt 0 ] || status=1
    finish $status "$passes passed${late:+, no time for ${late[*]}}${bad:+, FAILED: ${bad[*]}}"
}

# ---- measurements ----

stage_kernels() {
    local status=0 options=(--device "$device" --block-ms 5 --blocks 9)
    [ -z "$emulator" ] || options=(--small --blocks 1)
    bounded 80 "$(program bin/kernel_bench)" "${options[@]}" >"$build/kernels.said" 2>>"$out/gpu.log" || status=$?
    logged cat "$build/kernels.said"
    used $status "$build/kernels.said"
    table=$(grep '^|' "$build/kernels.said")
}

stage_step() {
    local status=0 network=(efficientnetv2-s 128 128 10)
    [ -z "$emulator" ] || network=(archscout-reference 8 2 2)
    bounded 60 env CUDA_VISIBLE_DEVICES="$gpu" "$(program bin/cuda_profile)" "${network[@]}" >"$build/step.said" \
        2>>"$out/gpu.log" || status=$?
    logged cat "$build/step.said"
    [ $status -ne 77 ] || status=1
    finish $status "$(awk -F' *[|] *' '$2 == "the step, recorded" { print $4 " ms, " $6 " GB/s" }' "$build/step.said")"
    table=$(grep '^|' "$build/step.said")
}

turnaround_networks() {
    if [ -n "$emulator" ]; then
        echo archscout-reference 8 10 2
    else
        echo archscout-reference 32 10 128
        echo efficientnetv2-s 128 1000 128
    fi
}

# turnaround_rows SAID: each network twice over one folder of plans, empty the first time.
turnaround_rows() {
    local network pixels classes batch when cache=$build/plans
    rm -rf "$cache"
    mkdir -p "$cache"
    for when in cold warm; do
        while read -r network pixels classes batch; do
            bounded 60 env ARCHSCOUT_CACHE="$cache" "$(program bin/engine_bench)" --backend cuda --device "$device" --preset "$network" \
                --size "$pixels" --classes "$classes" --batch "$batch" --bf16 --turnaround >"$build/turnaround.one" \
                2>>"$out/gpu.log" || return $?
            tail -1 "$build/turnaround.one" | sed "s/^|/| $when |/" >>"$1"
        done < <(turnaround_networks)
    done
}

# By network: without plans on disk, with them in a new process, and in one that has had the network before.
turnaround_figure() {
    awk -F' *[|] *' '
        { sum[$2, $3] = $6 + $7; again[$3] = $8 + $9; if (!($3 in seen)) { seen[$3] = 1; names[++count] = $3 } }
        END {
            for (i = 1; i <= count; i++)
                printf "%s%s %.0f, %.0f, %.0f", (i > 1 ? "; " : ""), names[i], sum["cold", names[i]], sum["warm", names[i]],
                    again[names[i]]
        }' "$1"
}

stage_turnaround() {
    local status=0 said=$build/turnaround.said
    : >"$said"
    turnaround_rows "$said" || status=$?
    table="| plans on disk | network | batch | engine, ms | plan, ms | its first step, ms | second plan, ms | its first step, ms |
|---|---|---|---|---|---|---|---|
$(cat "$said")"
    logged echo "$table"
    finish $status "plan and first step, ms: $(turnaround_figure "$said")"
}

stage_benchmark() {
    local status=0 options=() row copy memory limit engine
    limit=$(($(left_s) - 10))
    [ -z "$emulator" ] || { finish 77 "nothing is measured on an emulated device"; return; }
    "$python" -c 'import torch' 2>>"$out/gpu.log" || { finish 77 "$python has no PyTorch"; return; }
    for row in ${ROWS:-}; do options+=(--row "$row"); done
    engine="$build/bin/engine_bench --backend cuda --device $device"
    if [ -n "${TUNE:-}" ]; then
        mkdir -p "$build/tuned"
        engine="env ARCHSCOUT_CACHE=$build/tuned $engine --tune"
        options+=(--engine-search 200)
    fi
    memory=$(gpu_query memory.total)
    copy=$(bounded 30 "$build/bin/kernel_bench" --device "$device" --copy 2>>"$out/gpu.log") || copy=0
    bounded $((limit + 5)) "$python" tests/gpu/benchmark.py --limit "$limit" --memory-mib $((${memory:-0} * 45 / 100)) \
        --copy-gb-s "${copy:-0}" --log "$out/gpu.log" --engine "$engine" \
        --torch "env CUDA_VISIBLE_DEVICES=$gpu TORCHINDUCTOR_CACHE_DIR=$build/inductor $python tests/peers/gpu_torch_bench.py" "${options[@]}" \
        >"$build/benchmark.said" || status=$?
    cat "$build/benchmark.said"
    finish $status "$(figure_of "$build/benchmark.said")"
    table=$(grep -v '^figure: ' "$build/benchmark.said")
}

# ---- the page ----

versions() {
    "$python" -c 'import torch; print("PyTorch", torch.__version__)' 2>/dev/null || true
    "$python" -c 'import timm; print("timm", timm.__version__)' 2>/dev/null || true
    nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/nvcc \1/p'
}

page() {
    echo "# The engine on a GPU"
    echo
    if [ -n "$emulator" ]; then
        echo "**An emulated device**: this says that the script works, and nothing of a GPU."
    else
        echo "$(gpu_query name), $(gpu_query memory.total) MiB, driver $(gpu_query driver_version);" \
            "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores;" \
            "$(versions | paste -sd, | sed 's/,/, /g'); $(date -u +%F), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)."
    fi
    echo
    echo "\`tests/gpu/run.sh ${wanted[*]}\`"
    echo
    summary
    [ ${#tables[@]} -eq 0 ] || printf '%s\n' "${tables[@]}"
}

summary() {
    echo "| stage | result | figure | s | GPU before, and after |"
    echo "|---|---|---|---|---|"
    printf '%s\n' "${rows[@]}"
}

run_stage() {
    case $1 in
        build) stage_build ;;
        operators) stage_operators ;;
        engine) stage_engine ;;
        repeat) stage_repeat ;;
        sanitizer) stage_sanitizer ;;
        training) stage_training ;;
        kernels) stage_kernels ;;
        step) stage_step ;;
        turnaround) stage_turnaround ;;
        benchmark) stage_benchmark ;;
    esac
}

main() {
    local missing stage before
    missing=$(gpu_missing)
    if [ -n "$missing" ]; then
        echo "SKIP: no GPU: $missing"
        exit 77
    fi
    mkdir -p "$build" "$out"
    : >"$out/gpu.log"
    for stage in "${wanted[@]}"; do
        local began=$SECONDS
        echo "== $stage" | tee -a "$out/gpu.log"
        result=FAILED
        figure=
        table=
        before=$(gpu_state)
        run_stage "$stage"
        rows+=("| $stage | $result | ${figure//|//} | $((SECONDS - began)) | $before; $(gpu_state) |")
        [ -z "$table" ] || tables+=("" "## $stage" "" "$table")
        [ "$result" != FAILED ] || failed=1
        echo "== $stage: $result, $figure"
    done
    page >"$out/gpu.md"
    echo
    summary
    echo "$out/gpu.md, $out/gpu.log; $((SECONDS - started)) s"
    exit $failed
}

main
