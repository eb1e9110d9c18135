# What the scripts that test a command share; sourced, with $work as a folder of their own.
passed=0 failed=0
tested=(archscout) # what `run` runs

check() { # NAME, and the status of what went before
    local status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1 (line ${BASH_LINENO[0]})"
        sed 's/^/    out: /' "$work/out" 2>/dev/null | head -n 20
        sed 's/^/    err: /' "$work/err" 2>/dev/null | head -n 20
    fi
}

# run STATUS WORD...: runs the command; its output is in $work/out and $work/err. True where it ends with STATUS.
run() {
    local expected=$1 status=0
    shift
    "${tested[@]}" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" -eq "$expected" ] || {
        echo "${tested[*]} $*: status $status, expected $expected"
        return 1
    }
}
out() { grep -qE -- "$1" "$work/out"; }
err() { grep -qE -- "$1" "$work/err"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    local tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}
