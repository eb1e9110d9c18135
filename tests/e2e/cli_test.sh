#!/usr/bin/env bash
# The archscout command as a person or a script uses it, against a real daemon, a real worker and a fake trainer.
# usage: cli_test.sh BIN-DIRECTORY FAKE-TRAINER
set -uo pipefail
bin=$(realpath "$1")
trainer=$(realpath "$2")
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
PATH=$bin:$PATH
. "$(dirname "$0")/checks.sh"
unset NO_COLOR
export TERM=xterm
daemon= worker= skipped=0

cleanup() {
    [ -z "$worker" ] || kill -KILL "$worker" 2>/dev/null
    [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

start_daemon() { # ADDRESS
    : >"$work/daemon.log"
    archscoutd --state "$work/state" --listen "$1" 2>>"$work/daemon.log" &
    daemon=$!
    wait_for 60 grep -q 'listening on' "$work/daemon.log" || { cat "$work/daemon.log"; exit 1; }
    ARCHSCOUT_SERVER=$(sed -n 's,.*listening on \(http://[^ ]*\)\, state .*,\1,p' "$work/daemon.log")
    export ARCHSCOUT_SERVER
}

start_worker() { # STEP-MS
    FAKE_TRAINER_STEP_MS=$1 archscout-worker --server "$ARCHSCOUT_SERVER" --slots 2 --trainer "$trainer" \
        2>>"$work/worker.log" &
    worker=$!
}

stop() { # PID
    kill -TERM "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

json() { jq -e "$1" "$work/out" >/dev/null; }
silent() { [ ! -s "$work/$1" ]; }

# ---- without a daemon ----

unset ARCHSCOUT_SERVER
run 5 --server http://127.0.0.1:1 list && err 'archscoutd --local-worker' && silent out
check 'no daemon: says how to start one'
run 2 --server ftp://nowhere list && err 'http://HOST:PORT'
check 'a URL that is none'
run 2 && err 'usage: archscout'
check 'no command: usage on standard error'
run 0 --help && out 'submit FILE' && out 'Exit status' && silent err
check 'help'
for command in submit list show watch pause resume cancel candidates candidate frontier ranking export verify workers \
    datasets presets model version; do
    run 0 help "$command" && out "usage: archscout $command" && run 0 "$command" --help && out "usage: archscout $command"
    check "help of $command"
done
run 2 frobnicate && err 'frobnicate' && run 2 list --frobnicate && run 2 show && run 2 list extra && run 2 list --limit
check 'wrong command lines'
run 0 --version && out '^archscout [0-9]+\.[0-9]+\.[0-9]+$'
check 'version'
run 0 model efficientnetv2-b0 --image-size 192 --json &&
    json '.params == 7139704 and .params_with_bn_statistics == 7200312 and .macs == 528186752 and (.stages | length) == 6'
check 'model: exact counts as JSON'
run 0 model efficientnetv2-b0 --classes 10 && out 'Fused-MBConv4' && run 3 model efficientnetv2-b9 && err 'efficientnetv2-b0' &&
    run 2 model efficientnetv2-b0 --image-size many && run 2 model efficientnetv2-b0 --image-size 9999
check 'model: for people, and what is refused'
run 0 presets --json && json '.presets | map(.name) | index("efficientnetv2-s")' && run 0 presets && out '^efficientnet-b7 '
check 'presets'

# ---- with a daemon ----

start_daemon 127.0.0.1:0
run 3 show latest && err 'no searches yet' && run 0 list && run 3 show 99 && run 3 show nothing && run 3 candidate 99 0
check 'an empty daemon'
printf '{\n  "dataset": {"name": "fashion-mnist"},\n  "space": {"preset": "efficientnetv2-small-images"},\n  "budget": {"candidates": -3}\n}\n' >"$work/bad.json"
run 4 submit "$work/bad.json" && err 'at /budget/candidates' && err 'bad.json:4:28' && err '^ +\| +\^$' && silent out
check 'a refused spec: pointer and line'
run 4 --json submit "$work/bad.json" && jq -e '.status == 422 and .pointer == "/budget/candidates"' "$work/err" >/dev/null
check 'a refused spec as JSON'
echo '{"name": ' >"$work/broken.json"
run 4 submit "$work/broken.json" && err 'broken.json:' && run 1 submit "$work/nothing.json" && err 'No such file'
check 'broken and missing specs'
timeout 60 archscoutd --state "$work/other" --listen 127.0.0.1:0 --local-worker --data "$work/nowhere" >"$work/out" 2>"$work/err"
[ $? -eq 1 ] && err 'archscoutd: --data .*/nowhere: No such file' && [ ! -e "$work/other" ] &&
    ! timeout 60 archscoutd --state "$work/other" --listen 127.0.0.1:0 --local-worker --data "$work/bad.json" 2>"$work/err" &&
    err 'bad.json: this is no directory'
check 'a daemon does not start without the data sets that it was given'
run 0 workers && [ "$(wc -l <"$work/out")" -eq 1 ]
check 'no workers yet'

run 0 submit "$root/deploy/examples/tiny.json" && [ "$(cat "$work/out")" = 1 ]
check 'submit prints the number'
# The watcher is there before the worker, so that it sees every candidate finish.
archscout watch 1 >"$work/watch.out" 2>"$work/watch.err" &
watcher=$!
run 0 show 1 && out '^waiting +no worker is connected' && wait_for 60 grep -q 'search 1 waits: no worker is connected' "$work/watch.err"
check 'a search that nobody works on says so'
start_worker 1
wait_for 60 sh -c 'archscout workers --json | jq -e ".workers | length == 1"'
check 'a worker registers'
run 0 workers && out ' 1  cpu ' && run 0 datasets && out '^fashion-mnist +70,000' &&
    run 0 datasets --json && json '.datasets | map(select(.name == "cifar10"))[0].workers == 1'
check 'workers and data sets'

wait "$watcher" && cp "$work/watch.out" "$work/out" && out '^  8/8  #' && out 'tiny is done: 8 candidates done, 0 failed' && [ "$(grep -c '^  [1-8]/8 ' "$work/out")" -eq 8 ] &&
    ! grep -q $'\033' "$work/out" && out 'best reward so far'
check 'watch: a line for each candidate, no colours into a pipe'
run 0 watch 1 --json && [ "$(jq -r .kind "$work/out" | grep -c '^candidate.finished$')" -eq 8 ] &&
    [ "$(tail -n 1 "$work/out" | jq -r .kind)" = search.done ]
check 'watch --json: the events, the last one the end'
run 0 show latest && out '^state +done' && out '8 of 8 candidates' && run 0 show tiny && run 0 show ti
check 'show by number, name and its beginning'
run 0 show 1 --json && json '.progress.done == 8 and .spec.name == "tiny" and (.best.accuracy > 0)'
check 'show --json'
run 0 --json list && json '.searches[0].id == 1' && run 0 list && out '1  done +8/8 .* tiny$'
check 'list'
run 0 candidates 1 && [ "$(wc -l <"$work/out")" -eq 9 ] && run 0 candidates 1 --sort accuracy --limit 3 --json &&
    json '(.candidates | length) == 3 and .candidates[0].accuracy >= .candidates[1].accuracy' &&
    run 0 candidates 1 --state failed && [ "$(wc -l <"$work/out")" -eq 1 ] && run 4 candidates 1 --sort beauty && err 'sort'
check 'candidates: filter, sort, limit'
run 0 candidates 1 --limit 5 && token=$(sed -n 's/.*--page //p' "$work/out") && [ -n "$token" ] &&
    run 0 candidates 1 --limit 5 --page "$token" && [ "$(wc -l <"$work/out")" -eq 4 ]
check 'candidates: the second page'
run 0 candidate 1 0 && out 'attempt 1 on ' && out 'epoch 1: held-out' && out '^\| stem ' && run 3 candidate 1 99 && run 2 candidate 1 x
check 'candidate'
run 0 frontier 1 && out 'accuracy' && out '^hypervolume ' && run 0 frontier 1 --objectives accuracy,macs && out ' macs ' &&
    run 0 frontier 1 --json && json '.points | length >= 1' && run 4 frontier 1 --objectives beauty
check 'frontier'
run 0 ranking 1 --step-time 0 --params 0 --json && json '[.candidates[].reward] == [.candidates[].accuracy]' &&
    run 0 ranking 1 --step-time -0.5 --limit 2 && [ "$(wc -l <"$work/out")" -eq 3 ]
check 'ranking'
run 0 export 1 && json '.stages | length >= 1' && run 0 export 1 --format csv && out '^total,' &&
    run 0 export 1 --format markdown --candidate 2 && out 'candidate-2' && run 4 export 1 --format png
check 'export'
run 0 export 1 --output "$work/winner.json" && silent out && jq -e .params "$work/winner.json" >/dev/null &&
    run 1 export 1 --output "$work/nowhere/winner.json" && err 'No such file'
check 'export to a file'
run 0 verify 1 && out '^search 1 is verified: 8 candidates and 8 results follow' && run 0 verify latest --json && json '.verified' && run 3 verify 99
check 'verify'
run 4 submit - && err 'not valid JSON'
check 'an empty standard input is refused'
archscout submit - <"$root/deploy/examples/tiny.json" >"$work/out" 2>"$work/err" && [ "$(cat "$work/out")" = 2 ]
check 'submit from standard input'
run 2 show tiny && err '2 searches' && run 0 watch latest
check 'a name that two searches have'

stop "$worker" # nothing is finished before it is cancelled
for example in "$root"/deploy/examples/*.json; do
    run 0 submit "$example" && run 0 cancel latest && out 'cancelled'
    check "the example $(basename "$example") is accepted"
done
run 6 watch latest && out 'is cancelled' && run 4 pause latest && err 'cancelled'
check 'watching a cancelled search ends with 6'

# ---- a terminal ----

start_worker 100
sed 's/"candidates": 8/"candidates": 12/; s/"tiny"/"slow"/' "$root/deploy/examples/tiny.json" >"$work/slow.json"
if script -qec true /dev/null >/dev/null 2>&1; then
    archscout_on_terminal() { # COLUMNS WORD...: what the terminal gets
        local columns=$1
        shift
        script -qec "stty cols $columns; archscout $*" /dev/null </dev/null >"$work/out" 2>"$work/err"
    }
    archscout_on_terminal 80 frontier 1 && grep -q $'\033\[2m' "$work/out" && [ "$(sed 's/\x1b\[[0-9;]*m//g' "$work/out" | tr -d '\r' | awk 'length > w { w = length } END { print w }')" -le 80 ]
    check 'a terminal: colours, and no line beyond 80 columns'
    export NO_COLOR=1
    archscout_on_terminal 80 frontier 1 && ! grep -q $'\033\[[0-9]*m' "$work/out"
    check 'NO_COLOR'
    unset NO_COLOR

    archscout_on_terminal 80 submit --watch "$work/slow.json" && grep -q 'slow \[=' "$work/out" && grep -q $'\r\033\[K' "$work/out" &&
        grep -q ', best [0-9]' "$work/out"
    check 'submit --watch on a terminal: a bar with the best so far'
else
    skipped=3
    echo "SKIP: no pseudo-terminals here (is /dev/pts mounted?), the checks of what a terminal shows are left out"
fi

# ---- pause, resume, cancel, and a daemon that is killed ----

sed -i 's/"candidates": 12/"candidates": 30/' "$work/slow.json"
run 0 submit "$work/slow.json" && slow=$(cat "$work/out") && run 0 pause "$slow" && out 'paused' &&
    wait_for 60 sh -c "archscout show $slow --json | jq -e '.state == \"paused\" and .progress.leased == 0'" &&
    run 0 resume "$slow" && out 'running'
check 'pause and resume'

archscout watch "$slow" >"$work/watch.out" 2>"$work/watch.err" &
watcher=$!
wait_for 60 grep -q '^  2/30' "$work/watch.out" && kill -KILL "$daemon" && wait "$daemon" 2>/dev/null
wait_for 60 grep -q 'does not answer; waiting' "$work/watch.err"
check 'watch: a daemon that goes away is waited for'
start_daemon "${ARCHSCOUT_SERVER#http://}"
wait "$watcher"
[ $? -eq 0 ] && cp "$work/watch.out" "$work/out" && grep -q 'slow is done: 30 candidates done' "$work/watch.out" &&
    [ "$(grep -cE '^ +[0-9]+/30 ' "$work/watch.out")" -eq 30 ] && [ -z "$(grep -E '^ +[0-9]+/30 ' "$work/watch.out" | grep -oE '#[0-9]+' | sort | uniq -d)" ]
check 'watch: goes on where it was after SIGKILL and restart, each candidate told once'

run 0 submit "$work/slow.json" && slow=$(cat "$work/out")
archscout watch "$slow" >"$work/out" 2>"$work/err" &
watcher=$!
wait_for 60 grep -q '^  1/30' "$work/out" && archscout cancel "$slow" >/dev/null
wait "$watcher"
[ $? -eq 6 ] && out 'is cancelled'
check 'watch: a search that is cancelled meanwhile ends it with 6'

stop "$worker"
worker=
stop "$daemon"
daemon=
run 5 show 1
check 'the daemon has stopped'

# The form in which cmocka sums up, so that each check is counted.
echo "[  PASSED  ] $passed test(s)."
[ "$skipped" -eq 0 ] || echo "[  SKIPPED ] $skipped test(s)."
[ "$failed" -eq 0 ] || {
    echo "[  FAILED  ] $failed test(s)."
    exit 1
}
