#!/usr/bin/env bash
# `archscout rehearse` as a person or a script uses it: over a small table that is made here, and over NAS-Bench-Macro where
# its table is (../shared/data beside the source tree).
# usage: rehearse_test.sh BIN-DIRECTORY
set -uo pipefail
bin=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
macro=$root/../shared/data/nas-bench-macro.csv
work=$(mktemp -d)
PATH=$bin:$PATH
. "$(dirname "$0")/checks.sh"
tested=(archscout rehearse)
skipped=0
trap 'rm -rf "$work"' EXIT

json() { jq -e "$1" "$work/out" >/dev/null; }
silent() { [ ! -s "$work/$1" ]; }

# Four stages of three choices; the best is 2012, and a training takes 1 to 9 hours.
cat >"$work/spec.json" <<'END'
{"dataset": {"name": "fashion-mnist"},
 "space": {"stem": {"channels": 8}, "head": {"channels": 16}, "stages": [
  {"block": "mbconv", "expansion": [1, 2, 4], "channels": 8, "stride": 2},
  {"block": "mbconv", "expansion": [1, 2, 4], "channels": 12},
  {"block": "mbconv", "kernel": [3, 5, 7], "channels": 16},
  {"block": "mbconv", "layers": [1, 2, 3], "channels": 24}]},
 "objectives": ["accuracy", "params"], "reward": {"accuracy": 1},
 "strategy": {"name": "evolution", "population": 10, "sample": 3},
 "budget": {"candidates": 60}, "parallel_max": 4, "seed": 1}
END
awk 'BEGIN {
    print "encoding,accuracy_1,accuracy_2,seconds"
    for (i = 0; i < 81; i++) {
        a = int(i / 27); b = int(i / 9) % 3; c = int(i / 3) % 3; d = i % 3
        accuracy = 0.9 - 0.05 * (2 - a) - 0.04 * b - 0.03 * (c - 1) * (c - 1) - 0.02 * (2 - d)
        printf "%d%d%d%d,%.3f,%.3f,%d\n", a, b, c, d, accuracy - 0.01, accuracy + 0.01, 3600 * (1 + i * 7 % 9)
    }
}' >"$work/table.csv"
spec=$work/spec.json table=$work/table.csv

run 0 "$spec" --table "$table" --seeds 5 && out '81 rows, 81 architectures, all that meet' && out '^best +2:0:1:2 with accuracy 90.000 %' &&
    out '^evolution +25 ' && out '^ +60 .* 0.000 \+- 0.000$' && out 'hours' && out '^evolution +5 of 5 ' && silent err
check 'a table for people'
run 0 "$spec" --table "$table" --seeds 5 --json --workers 1 --strategy evolution --strategy random --strategy grid &&
    json '[.strategies[].name] == ["evolution", "random", "grid"] and .table.complete and .table.best.encoding == "2:0:1:2"' &&
    json '[.strategies[0].standings[].results] == [25, 50, 60] and .seeds == 5 and .workers == 1 and .time_unit == "second"' &&
    json '[.strategies[].standings[].hypervolume_ratio.mean] | all(. > 0.3 and . <= 1)' &&
    json '.strategies[0].standings[0] | .accuracy.mean + .regret.mean | . > 0.8999999 and . < 0.9000001'
check 'strategies compared, as JSON'
cp "$work/out" "$work/first" && run 0 "$spec" --table "$table" --seeds 5 --json --workers 1 --strategy evolution --strategy random --strategy grid &&
    cmp -s "$work/first" "$work/out"
check 'the same call prints the same to the byte'
jq -S '.strategies[0]' "$work/first" >"$work/evolution" && run 0 "$spec" --table "$table" --seeds 5 --json --workers 1 &&
    jq -S '.strategies[0]' "$work/out" | cmp -s - "$work/evolution"
check "the spec's own strategy with its own fields is the default"
run 0 "$spec" --table "$table" --seeds 5 --json && jq '.strategies[0].standings[2].time.mean' "$work/out" >"$work/four" &&
    jq '.strategies[0].standings[2].time.mean' "$work/first" >"$work/one" && json '.workers == 4' &&
    awk -v four="$(cat "$work/four")" -v one="$(cat "$work/one")" 'BEGIN { exit !(four > one / 5 && four < one / 3) }'
check 'four workers take about a quarter of the time'
sed 's/"seed": 1/"deterministic": true, "seed": 1/' "$spec" >"$work/deterministic.json"
for workers in 1 2 4; do
    run 0 "$work/deterministic.json" --table "$table" --seeds 3 --noise --json --workers $workers &&
        jq '.strategies[0].standings[2] | .accuracy, .regret, .hypervolume_ratio' "$work/out" >"$work/with$workers"
done
cmp -s "$work/with1" "$work/with2" && cmp -s "$work/with1" "$work/with4"
check 'a deterministic search ends alike with any number of workers'
run 0 "$spec" --table "$table" --seeds 4 --noise && out 'each evaluation one run at random' && cp "$work/out" "$work/noisy" &&
    run 0 "$spec" --table "$table" --seeds 4 && ! cmp -s "$work/noisy" "$work/out"
check 'noise'
archscout rehearse "$spec" --table - --seeds 1 <"$table" >"$work/out" 2>"$work/err" && out '^evolution +25 ' && ! out '\+-'
check 'a table on standard input; of a single seed there is no interval'

head -n 60 "$table" >"$work/part.csv"
run 1 "$spec" --table "$work/part.csv" && err 'The table has no result for [0-2]:[0-2]:[0-2]:[0-2], which candidate [0-9]+ of strategy evolution with seed [0-9]+ is' && silent out
check 'a missing row fails'
run 0 "$spec" --table "$work/part.csv" --missing refuse --seeds 3 && out 'not all that the spec allows' && out '^ +60 .* -$'
check 'a missing row is refused where that is asked for, and there is no regret'
sed 's/accuracy_1/arch/; s/^encoding/a/' "$table" >"$work/columns.csv"
run 1 "$spec" --table "$work/columns.csv" && err 'columns.csv: line 1: the header has no column "encoding"' &&
    run 1 "$spec" --table "$table" --accuracy accuracy_7 && err 'no column "accuracy_7" .*did you mean "accuracy_1"'
check 'unknown columns'
while IFS='|' read -r change message; do
    sed "$change" "$table" >"$work/bad.csv"
    run 1 "$spec" --table "$work/bad.csv" && err "bad.csv: $message" && silent out
    check "a bad table: $change"
done <<'END'
7s/,.*/,nan,0.5,1/|line 7, column "accuracy_1": "nan" is no finite number
7s/,.*/,0.5/|line 7 has 2 fields; the header has 4 columns
7s/^..../2003/|line 7, column "encoding": "2003": stage 4 of the space has no choice 3
7s/^..../0000/|line 7, column "encoding": line 2 is the same architecture
7s/,.*/,0.5,0.5,many/|line 7, column "seconds": "many" is no number
2,$d|The table is empty
d|The table is empty
END
sed 's/"objectives": \[[^]]*\]/"objectives": ["accuracy", "loss"]/' "$spec" >"$work/loss.json"
run 1 "$work/loss.json" --table "$table" && err 'objectives have loss, for which the table has no column'
check 'an objective that the table does not have'
run 2 "$spec" && err 'needs --table' && run 2 "$spec" --table "$table" --seeds 0 && err 'whole number from 1' &&
    run 2 "$spec" --table "$table" --workers many && run 2 "$spec" --table "$table" --missing maybe && err 'takes fail or refuse' && run 2 "$spec" --table "$table" --unit metre &&
    run 2 "$spec" --table "$table" --within far && run 2 "$spec" --table "$table" --strategy luck && err 'There is no strategy "luck"' &&
    run 2 "$spec" --table "$table" --strategy list && err 'strategy list'
check 'wrong command lines'
sed 's/"candidates": 60/"candidates": 0/' "$spec" >"$work/zero.json"
run 4 "$work/zero.json" --table "$table" && err 'at /budget/candidates' && err 'zero.json:9:27' &&
    run 1 "$work/nowhere.json" --table "$table" && run 1 "$spec" --table "$work/nowhere.csv" && err 'nowhere.csv: No such file'
check 'a refused spec shows its line; files that are not there'

if [ -r "$macro" ]; then
    mapping=(--encoding arch --accuracy mean_acc --runs acc_seed1,acc_seed2,acc_seed3)
    example=$root/docs/examples/nas-bench-macro.spec.json
    run 0 "$example" --table "$macro" "${mapping[@]}" --seeds 20 --strategy random --strategy evolution --workers 1 --json &&
        json '.table | .rows == 6561 and .architectures == 3969 and .complete and .runs == 3 and .accuracy_unit == "percent"' &&
        json '.table.best.accuracy | . > 0.93126 and . < 0.93128' && json '.time_unit == "training"' &&
        json '.strategies[0].standings[3].accuracy.mean | . > 0.925 and . < 0.931'
    check 'NAS-Bench-Macro'
    run 0 "$example" --table "$macro" "${mapping[@]}" --unit percent --noise --seeds 5 &&
        out '6,561 rows, 3,969 architectures, all that meet' && out '3 runs of each'
    check 'NAS-Bench-Macro with noise'
    run 1 "$example" --table "$macro" --encoding canonical --accuracy mean_acc --seeds 1 &&
        err 'line [0-9]+, column "canonical": line [0-9]+ is the same architecture'
    check 'a column that names architectures more than once'
else
    skipped=3
    echo "SKIP: $macro is not here, the checks on NAS-Bench-Macro are left out"
fi

# The form in which cmocka sums up, so that each check is counted.
echo "[  PASSED  ] $passed test(s)."
[ "$skipped" -eq 0 ] || echo "[  SKIPPED ] $skipped test(s)."
[ "$failed" -eq 0 ] || {
    echo "[  FAILED  ] $failed test(s)."
    exit 1
}
