#!/usr/bin/env bash
# archscout-worker --plan-check on a small space: all plans are there, a second time from disk. plan_check_test.sh BIN
set -euo pipefail
bin=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ARCHSCOUT_CACHE=$work
cat >"$work/space.json" <<'END'
{"stem": {"kernel": 3, "stride": 1, "channels": 16},
 "stages": [{"block": ["mbconv", "fused_mbconv"], "layers": [1, 2], "kernel": 3, "expansion": 4, "se": 0.25, "stride": 2,
   "channels": 24}],
 "head": {"channels": 64}}
END

fail() {
  echo "FAIL: $1" >&2
  cat "$work"/out "$work"/err >&2
  exit 1
}

# expect STATUS ARGUMENT...
expect() {
  local want=$1 status=0
  shift
  "$bin/archscout-worker" "$@" >"$work/out" 2>"$work/err" || status=$?
  if [ "$status" = 4 ]; then
    grep -q 'no cuDNN' "$work/err" || fail "status 4 without the reason"
    echo "SKIP: this build has no cuDNN"
    exit 77
  fi
  [ "$status" = "$want" ] || fail "$*: status $status, not $want"
}

check=(--plan-check "$work/space.json" --batch 8 --image-size 16 --classes 10)
expect 0 "${check[@]}"
grep -q ' 0 missing, 0 from disk' "$work/out" || fail "the first time all are built"
grep -q 'all .*depthwise3x3/2 batch 8, 64 x 16 px to 64 x 8 px *own kernel' "$work/out" || fail "a shape is not there"
grep -q 'backward-filter .*conv3x3/2 batch 8, 16 x 16 px to 64 x 8 px' "$work/out" || fail "a shape is not there"
expect 0 "${check[@]}"
grep -q ' 0 missing, .* from disk, 0 built' "$work/out" || fail "the second time all come from disk"
for file in "$work"/cudnn/*.plan; do echo damaged >"$file"; done
expect 0 "${check[@]}"
grep -q ' 0 missing, 0 from disk' "$work/out" || fail "damaged files are not used"

expect 2 --plan-check "$work/space.json" --batch 0
expect 2 --plan-check "$work/space.json" --device-description "$work/space.json"
expect 3 --plan-check "$work/no-such-space"
