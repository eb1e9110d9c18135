#!/usr/bin/env bash
# From a fresh clone to the result of a real search, on one machine.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
accuracy_wanted=0.84

usage() {
    cat <<'TEXT'
usage: deploy/quickstart.sh [--keep] [--again] [--state DIR] [--spec FILE]

Installs the Debian packages that are missing (as root or with sudo), builds ArchScout, starts archscoutd with a worker
on this machine's CPU cores, submits a search on Fashion-MNIST, shows how it goes, and prints the Pareto frontier and the
stage table of the best candidate. About five minutes on two cores, most of it training. The daemon is stopped at the end.

Run again, it goes on with a search that was interrupted, and shows the result of one that is finished.

  --keep        leave the daemon running
  --again       submit the search anew even where it has been done before
  --state DIR   where the daemon keeps what it knows (default: quickstart/ in the build folder)
  --spec FILE   the search to submit (default: deploy/examples/fashion-mnist.json)
TEXT
}

keep=no
again=no
state=
spec_default=$root/deploy/examples/fashion-mnist.json
spec=$spec_default
while [ $# -gt 0 ]; do
    case $1 in
        --keep) keep=yes ;;
        --again) again=yes ;;
        --state | --spec)
            [ $# -gt 1 ] || { echo "quickstart: $1 needs a value" >&2; exit 2; }
            if [ "$1" = --state ]; then state=$(realpath -m -- "$2"); else spec=$(realpath -- "$2"); fi
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

started=$SECONDS
say() { printf '\n== %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

say "Packages"
bash "$root/deploy/debian-packages.sh" build
echo "all there"

say "Build"
if [ -w "$root" ]; then
    build=$root/build/release
else
    build=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/archscout/build
fi
mkdir -p "$build"
log=$build/quickstart-build.log
options=(-G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
# The tests need a package more; a build folder that has them already keeps them.
[ -f "$build/CMakeCache.txt" ] || options+=(-DARCHSCOUT_TESTS=OFF)
if ! { cmake -S "$root" -B "$build" "${options[@]}" &&
    cmake --build "$build" --target programs; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    die "the build failed (above, whole in $log)"
fi
PATH=$build/bin:$PATH
echo "$build/bin: $(archscout version), after $((SECONDS - started)) s"

say "Daemon"
state=${state:-$build/quickstart}
mkdir -p "$state"
daemon=
watcher=
clean_up() {
    [ -z "$watcher" ] || kill -TERM "$watcher" 2>/dev/null || true
    [ -n "$daemon" ] || return 0
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    rm -f "$state/server"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A daemon that an earlier run with --keep has left is used as it is.
ARCHSCOUT_SERVER=$(cat "$state/server" 2>/dev/null || true)
export ARCHSCOUT_SERVER
if [ -n "$ARCHSCOUT_SERVER" ] && archscout list >/dev/null 2>&1; then
    echo "running already at $ARCHSCOUT_SERVER"
    keep=yes
else
    # Decoded data sets go there too, so that removing the build folder removes everything.
    ARCHSCOUT_CACHE=$state/packs setsid archscoutd --state "$state" --listen 127.0.0.1:0 --local-worker \
        >"$state/archscoutd.log" 2>&1 </dev/null &
    daemon=$!
    for _ in $(seq 100); do
        ARCHSCOUT_SERVER=$(sed -n 's,.*listening on \(http://[^ ]*\)\, state .*,\1,p' "$state/archscoutd.log")
        [ -z "$ARCHSCOUT_SERVER" ] || break
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    [ -n "$ARCHSCOUT_SERVER" ] || {
        tail -n 20 "$state/archscoutd.log" >&2
        die "archscoutd did not start (above)"
    }
    echo "$ARCHSCOUT_SERVER" >"$state/server"
    echo "$ARCHSCOUT_SERVER, log in $state/archscoutd.log"
fi

say "Search"
status=0
archscout show latest >/dev/null 2>&1 || status=$?
if [ "$again" = yes ] || [ "$status" -eq 3 ] || ! cmp -s "$spec" "$state/submitted.json"; then
    id=$(archscout submit "$spec")
    cp "$spec" "$state/submitted.json"
    echo "submitted $spec: search $id"
else
    id=latest
    echo "submitted before; --again would start it anew"
fi
# In the background, because only then are signals answered at once.
archscout watch "$id" &
watcher=$!
wait "$watcher" || die "the search did not end well; $state/archscoutd.log may say why"
watcher=

say "Pareto frontier"
archscout frontier "$id"
say "Stage table of the best candidate by reward"
archscout export "$id" --format markdown

accuracy=$(archscout candidates "$id" --sort accuracy --limit 1 --json | sed -n 's/.*"accuracy": *\([0-9.]*\).*/\1/p')
minutes=$(((SECONDS - started) / 60)) seconds=$(((SECONDS - started) % 60))
say "Done in $minutes min $seconds s. Best held-out accuracy: $accuracy"
if [ "$spec" = "$spec_default" ]; then
    awk -v a="$accuracy" -v w="$accuracy_wanted" 'BEGIN { exit !(a > w) }' ||
        die "more than $accuracy_wanted was expected of this search, but the best network has ${accuracy:-none}"
fi

cat <<TEXT

Next, with $build/bin on your PATH:
  archscoutd --local-worker &             a daemon of your own, on http://127.0.0.1:7700
  archscout submit --watch SPEC.json      your own search; docs/spec.md has every field, deploy/examples/ more specs
  archscout help                          everything else
TEXT
if [ "$keep" = yes ]; then
    daemon=
    echo
    echo "The daemon goes on: export ARCHSCOUT_SERVER=$ARCHSCOUT_SERVER; stop it with: kill $(cat "$state/archscout.lock")"
fi
