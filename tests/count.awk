# usage: awk -f count.awk CTEST-OUTPUT LastTest.log
# Counts test cases: prints a line for each that was skipped, then "PASSED FAILED SKIPPED".
#
# A cmocka program counts each of its cases, so that a skipped case inside a passing program is seen; any other program
# counts as one. A program that ctest calls failed although no case of it failed (a crash, a time-out, a leak found at
# exit) counts one failure. How a program ended stands in what ctest prints, its cases in LastTest.log.
FNR == NR {
    if (match($0, /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: [^ ]+ \.+/)) {
        name = $0
        sub(/^[^:]*: /, "", name)
        sub(/ .*/, "", name)
        rest = substr($0, RSTART + RLENGTH)
        outcome[name] = rest ~ /^ +Passed/ ? "passed" : rest ~ /\*\*\*Skipped/ ? "skipped" : "failed"
    }
    next
}
/^[0-9]+\/[0-9]+ Testing: / { current = $3 }
/^\[  PASSED  \] [0-9]+ test/ { case_passed[current] += $4 }
/^\[  FAILED  \] [0-9]+ test/ { case_failed[current] += $4 }
/^\[  SKIPPED \] [0-9]+ test/ { case_skipped[current] += $4 }
/SKIP/ && !/^\[  SKIPPED \] [0-9]/ && !/[0-9]+ SKIPPED TEST/ && !/^Command:/ && !((current, $0) in told) {
    told[current, $0] = 1
    print "   skipped in " current ": " $0
}
END {
    for (name in outcome) {
        cases = case_passed[name] + case_failed[name] + case_skipped[name]
        if (outcome[name] == "failed" && case_failed[name] == 0)
            case_failed[name] = 1
        else if (cases == 0 && outcome[name] == "passed")
            case_passed[name] = 1
        else if (cases == 0)
            case_skipped[name] = 1
        passed += case_passed[name]
        failed += case_failed[name]
        skipped += case_skipped[name]
    }
    print passed + 0, failed + 0, skipped + 0
}
