#!/usr/bin/env bash
# `archscout dataset` as a person uses it: images of one's own are added, shown, offered by a worker that is running, and
# trained on; what is wrong with them is said in one line.
# usage: dataset_test.sh BIN-DIRECTORY PICTURE-FOLDER
set -uo pipefail
bin=$(realpath "$1")
picture_folder=$(realpath "$2")
work=$(mktemp -d)
PATH=$bin:$PATH
. "$(dirname "$0")/checks.sh"
export TERM=xterm ARCHSCOUT_DATASETS=$work/home ARCHSCOUT_CACHE=$work/cache
daemon=

cleanup() {
    [ -z "$daemon" ] || kill -TERM "$daemon" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

one_line() { [ "$(wc -l <"$work/$1")" -eq 1 ]; }
home_has() { [ "$(ls -A "$work/home" 2>/dev/null | tr '\n' ' ')" = "$1" ]; }

"$picture_folder" "$work/pictures" 40 20 || exit 1

# ---- the command line ----
run 0 help dataset && out 'dataset add NAME' ; check "help"
run 0 dataset --help && out 'fashion-mnist' ; check "help of its own"
run 2 dataset ; check "a word is missing"
run 2 dataset frobnicate && err 'add, list, show' && one_line err ; check "an unknown word"
run 2 dataset add ; check "a name is missing"
run 2 dataset add nowhere && err 'cifar10' && one_line err ; check "no place and not known"
run 2 dataset add x "$work/pictures" --test-share 2 ; check "a share that cannot be"
run 2 dataset add x "$work/pictures" --sha256 abc ; check "a sum that cannot be"
run 2 dataset add x "$work/pictures" --imagesize 32 && err 'there is no option --imagesize' ; check "a misspelt option"
run 2 dataset list -lx && err 'there is no option -l\.' ; check "an unknown letter"
run 2 dataset add x "$work/pictures" --seed && err '\-\-seed lacks its value' ; check "an option without its value"
run 2 dataset add x "$work/pictures" --image-size 4 && err '8 to 1024 pixels, not 4' ; check "a size that cannot be"
run 2 dataset list --seed 3 ; check "an option of add"
run 2 --json dataset list ; check "no JSON"
run 0 dataset list && out 'no data sets' ; check "an empty list"
run 3 dataset show flowers && err 'no data set called flowers' ; check "show of nothing"
run 3 dataset remove flowers ; check "remove of nothing"

# ---- images of one's own, while a worker runs ----
archscoutd --state "$work/state" --listen 127.0.0.1:0 --local-worker >"$work/daemon.log" 2>&1 &
daemon=$!
wait_for 60 grep -q 'listening on' "$work/daemon.log" || { cat "$work/daemon.log"; exit 1; }
ARCHSCOUT_SERVER=$(sed -n 's,.*listening on \(http://[^ ]*\)\, state .*,\1,p' "$work/daemon.log")
export ARCHSCOUT_SERVER
wait_for 60 grep -q 'is ready on' "$work/daemon.log"; check "the worker is ready"
run 0 datasets && ! out '^flowers' ; check "not offered yet"

run 0 dataset add flowers "$work/pictures" --test-share 0.2 --seed 5
out 'flowers: 20 x 20 x 3, 3 classes, 96 training and 24 test images' ; check "add"
home_has 'flowers.pack ' ; check "nothing else is left"
run 1 dataset add flowers "$work/pictures" && err 'there is a data set called flowers' ; check "the name is taken"
run 0 dataset list && out '^flowers: ' && one_line out ; check "list"
run 0 dataset show flowers --sheet "$work/sheet.png" && out '32 +8  green' && out '96 +24  all 3 classes' ; check "show"
head -c 8 "$work/sheet.png" | cmp -s - <(printf '\x89PNG\r\n\x1a\n') ; check "the sheet is a PNG"
run 1 dataset show flowers --sheet /nowhere/sheet.png && one_line err ; check "a sheet that cannot be written"

offered() { archscout datasets | grep -q '^flowers'; }
wait_for 60 offered ; check "a running worker offers it"

cat >"$work/spec.json" <<'JSON'
{
  "name": "flowers",
  "dataset": {"name": "flowers", "train": 64, "validation": 24},
  "space": {
    "stem": {"kernel": 3, "stride": 2, "channels": 8},
    "head": {"channels": 16},
    "stages": [{"block": "fused_mbconv", "layers": [1, 2], "kernel": 3, "expansion": 1, "channels": 8, "stride": 1}]
  },
  "strategy": {"name": "random"},
  "budget": {"candidates": 2, "epochs": 2},
  "recipe": {"preset": "search-short", "batch": 16, "image_size": 20},
  "seed": 1
}
JSON
sed 's/"flowers"/"cifar10"/; s/"image_size": 20/"image_size": 32/' "$work/spec.json" >"$work/absent.json"
run 0 submit "$work/absent.json" ; check "a well-known data set that no worker has"
run 0 show latest && out '^waiting +no worker has the data set cifar10; .archscout dataset add' && run 0 cancel latest ; check "it says what it waits for"
sed 's/"flowers", "train"/"flowres", "train"/' "$work/spec.json" >"$work/misspelt.json"
run 4 submit "$work/misspelt.json" && err 'no data set "flowres"; did you mean "flowers"' ; check "a misspelt one"
run 0 submit --watch "$work/spec.json" ; check "a search on it"
run 0 show latest && out 'completed|done|finished' ; check "it has ended"

# ---- under the same name again, otherwise ----
offered_as() { archscout datasets | grep -qE "$1"; }
run 0 dataset add roses "$work/pictures" --image-size 10 ; check "another data set"
wait_for 60 offered_as '^roses .*10x10x3' ; check "it is offered"
run 0 dataset remove roses && run 0 dataset add roses "$work/pictures" --image-size 12 ; check "it is added again"
wait_for 60 offered_as '^roses .*12x12x3' ; check "what no search names is replaced"
run 0 dataset remove flowers && run 0 dataset add flowers "$work/pictures" --image-size 12 ; check "one that a search names"
wait_for 60 grep -q 'warning .*data set flowers is left out: it is known as 20 x 20 x 3, .* search 2 names it' "$work/daemon.log"
check "the worker warns"
offered_as '^flowers .*20x20x3' && offered_as '^roses .*12x12x3' ; check "the facts of the search stay"
sed 's/"flowers"/"roses"/; s/: 20$/: 12/; s/"image_size": 20/"image_size": 12/' "$work/spec.json" >"$work/roses.json"
run 0 submit --watch "$work/roses.json" && run 0 show latest && out 'completed|done|finished' ; check "others are trained on"
[ "$(grep -c 'data set flowers is left out' "$work/daemon.log")" -eq 1 ] ; check "it warns once"
run 0 dataset remove roses ; check "roses are removed"

# ---- what is refused ----
half() { local size; size=$(stat -c %s "$1"); truncate -s $((size / 2)) "$1"; }
cp -r "$work/pictures" "$work/bad"
half "$work/bad/blue/007.jpg"
run 1 dataset add bad "$work/bad" && err 'bad/blue/007.jpg: damaged JPEG' && one_line err ; check "a truncated JPEG"
home_has 'flowers.pack ' ; check "nothing of it is left"
tar -C "$work" -czf "$work/bad.tar.gz" bad
run 1 dataset add bad "$work/bad.tar.gz" && err 'bad.tar.gz: bad/blue/007.jpg: damaged' ; check "the same in an archive"
home_has 'flowers.pack ' ; check "nothing of the archive is left"
tar -C "$work" -P -czf "$work/evil.tar.gz" --transform 's,^,../,' pictures/red
run 1 dataset add bad "$work/evil.tar.gz" && err 'evil.tar.gz: \.\./pictures/red' && one_line err ; check "a tar with ../"
[ ! -e "$work/home/pictures" ] && [ ! -e "$work/home/red" ] ; check "it wrote nothing"
tar -C "$work" -czf "$work/good.tar.gz" pictures
sum=$(sha256sum "$work/good.tar.gz" | cut -d ' ' -f 1)
run 1 dataset add good "$work/good.tar.gz" --sha256 "${sum//[0-9]/0}" && err "has SHA-256 $sum" ; check "a wrong checksum"
run 0 dataset add good "$work/good.tar.gz" --sha256 "$sum" --image-size 10 && out 'good: 10 x 10 x 3' ; check "the right one"
half "$work/home/good.pack"
run 1 dataset show good && err 'good.pack: has [0-9]+ bytes, expected' && one_line err ; check "a pack cut short"
run 0 dataset list && out '^good: cannot be used: .*good.pack' ; check "list names it"

# ---- interrupted ----
mkdir "$work/many"
"$picture_folder" "$work/many/set" 700 200
archscout-dataset add many "$work/many/set" >"$work/out" 2>"$work/err" &
adding=$!
wait_for 30 sh -c "ls -A '$work/home' | grep -q tmp"
kill -INT "$adding"
wait "$adding"
status=$?
if [ -e "$work/home/many.pack" ]; then
    echo "SKIP: the import was done before it could be interrupted"
else
    [ "$status" -ne 0 ] && home_has "flowers.pack good.pack " ; check "interrupted, nothing is left (status $status)"
fi

# ---- remove ----
run 0 dataset remove good ; check "remove"
run 0 dataset remove flowers ; check "remove what was trained on"
[ ! -e "$work/home/flowers.pack" ] ; check "it is gone"

echo "$passed checks passed, $failed failed"
[ "$failed" -eq 0 ]
