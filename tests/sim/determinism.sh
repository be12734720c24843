#!/bin/bash
# P14: the same seeds have the same trace hash under gcc -O0, gcc -O2 and clang.
#
#   determinism.sh GENERATED BUILD
set -euo pipefail
gen=$(realpath "$1")
build=$2
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

rm -rf "$build"
mkdir -p "$build"
sim_generated "$build/generated" gcc
run() {
    local name=$1
    shift
    sim_compile "$build/$name" "$sim_folders" "$@"
    sim_link "$build/motet-sim-$name" "$1" "$build/$name" "$build/generated"
    for preset in swarm tight udp; do
        local how=(--preset "$preset" --workload migrate)
        [[ $preset == udp ]] && how=(--preset lossy --transport udp)
        # A failure of a seed is for other tests; here only the hash counts.
        "$build/motet-sim-$name" run --seeds 1..8 "${how[@]}" --json \
            >"$build/$name.$preset.json" 2>/dev/null || true
        echo "$name $preset $(grep -o '"hash": "[0-9a-f]*"' \
            "$build/$name.$preset.json")"
    done
}
{
    run gcc-O0 gcc -O0
    run gcc-O2 gcc -O2
    run clang-O2 clang -O2
} | tee "$build/hashes"

# Three builds, three kinds of runs: nine lines, three hashes.
if [[ $(wc -l <"$build/hashes") != 9 ||
    $(awk '{ print $2, $4 }' "$build/hashes" | sort -u | wc -l) != 3 ]]; then
    echo "the hashes differ"
    exit 1
fi
"$build/motet-sim-gcc-O2" run --seeds 1..10 --check-determinism | tail -1
echo "the same in all builds"
