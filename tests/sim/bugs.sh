#!/bin/bash
# Tests the tests: builds the pure parts with each of the bugs that are kept in
# them under a macro, and demands that the simulator finds it.
#
#   bugs.sh GENERATED BUILD [BUG...]
set -euo pipefail
gen=$(realpath "$1")
build=$2
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
    [ONE_NAK]="--workload migrate"
    [NO_DEDUP]="--workload migrate"
    [LEAVE_FLOWS]="--workload migrate"
    [LEAVE_GROUP]="--workload migrate"
    [ACCEPT_DISORDER]="--workload migrate --preset swarm"
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

rm -rf "$build"
mkdir -p "$build"
sim_generated "$build/generated" gcc
for folder in $sim_folders; do
    sim_compile "$build/good/$folder" "$folder" gcc -O1
done

missed=0
for name in "${names[@]}"; do
    folder=${bugs[$name]}
    files=$(grep -l "MOTET_BUG_$name" "$folder"/*.c) || {
        echo "$name: not in $folder"
        missed=1
        continue
    }
    if grep -q "MOTET_BUG_$name" "$folder"/*.h; then
        files=$(printf '%s\n' "$folder"/*.c) # all of them see the header
    fi
    rm -rf "$build/bad"
    cp -r "$build/good/$folder" "$build/bad"
    sim_files "$build/bad" gcc -O1 -w "-DMOTET_BUG_$name" <<<"$files"
    parts=("$build/generated" "$build/bad")
    for other in $sim_folders; do
        [[ $other == "$folder" ]] || parts+=("$build/good/$other")
    done
    sim_link "$build/motet-sim-$name" gcc "${parts[@]}"
    code=0
    # shellcheck disable=SC2086
    "$build/motet-sim-$name" ${command[$name]:-run --seeds 1..500} --jobs 2 \
        --fail-fast ${options[$name]:-} \
        >"$build/$name.out" 2>"$build/$name.err" || code=$?
    if [[ $code == 8 || $code == 10 ]]; then
        echo "$name: found: $(grep -m1 FAIL "$build/$name.out")"
    else
        echo "$name: NOT found (exit $code)"
        missed=1
    fi
done
exit $missed
