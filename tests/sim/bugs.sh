#!/bin/bash
# Tests the tests: builds the simulator with each of the bugs that are kept in
# the pure parts under a macro, and demands that it finds it.
#
#   bugs.sh BUILD OUT [BUG...]      BUILD: the folder of a release build
set -euo pipefail
build=$(realpath "$1")
out=$(realpath -m "$2")
gen=$build/gen
shift 2
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

# Bug, and the folder it is in.
declare -A bugs=(
    [FORGET_ACK]=netmgr/core
    [ACCEPT_DISORDER]=netmgr/core
    [NO_DUP_CHECK]=netmgr/core
    [LEAK_CREDIT]=netmgr/core
    [REUSE_UI]=nucleus/core
    [ANSWER_TWICE]=nucleus/core
    [IGNORE_LIMIT]=nucleus/core
    [SKIP_DEATH]=nucleus/core
    [NO_REPAIR]=netmgr/path
    # Of moves: the six wrong variants of the model, then what is left behind.
    [ONE_NAK]=sites/core
    [TAKEOVER]=sites/core
    [RESUME]=sites/core
    [FORGET_XID]=sites/core
    [LATE_ABORT]=sites/core
    [NO_DEDUP]=netmgr/core
    [LEAVE_FLOWS]=netmgr/core
    [LEAVE_GROUP]=nucleus/core
)
declare -A options=(
    [ONE_NAK]="--workload migrate --preset lossy"
    [NO_DEDUP]="--workload migrate"
    [LEAVE_FLOWS]="--workload migrate"
    [LEAVE_GROUP]="--workload migrate"
    [ACCEPT_DISORDER]="--workload migrate --preset tight"
    [NO_REPAIR]="--transport udp --preset lossy"
)
# Found not by seeds but at a crash point of a move.
declare -A command=(
    [RESUME]="crashpoints --every 37"
    [TAKEOVER]="crashpoints --every 37"
    [LATE_ABORT]="crashpoints --every 37"
    [FORGET_XID]="crashpoints --every 37"
)
names=("$@")
[[ ${#names[@]} -gt 0 ]] || names=("${!bugs[@]}")

rm -rf "$out"
missed=0
for name in "${names[@]}"; do
    folder=$out/$name
    bug_compile "$folder" "$name" "${bugs[$name]}" || {
        missed=1
        continue
    }
    bug_sim "$folder/motet-sim" "$build" "$folder"
    code=0
    # shellcheck disable=SC2086
    "$folder/motet-sim" ${command[$name]:-run --seeds 1..500} --jobs 2 \
        --fail-fast ${options[$name]:-} \
        >"$folder/out" 2>"$folder/err" || code=$?
    if [[ $code == 8 || $code == 10 ]]; then
        echo "$name: found: $(grep -m1 FAIL "$folder/out")"
    else
        echo "$name: NOT found (exit $code)"
        missed=1
    fi
done
exit $missed
