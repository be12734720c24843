#!/bin/bash
# P14: the same seeds have the same trace hash under gcc -O0, gcc -O2 and clang.
#
#   determinism.sh BUILD OUT      BUILD: the folder of a release build (gcc -O2)
set -euo pipefail
build=$(realpath "$1")
out=$(realpath -m "$2")
gen=$build/gen
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

rm -rf "$out"
mkdir -p "$out"
sim_generated "$out/generated" gcc
ln -s "$build/bin/motet-sim" "$out/motet-sim-gcc-O2"
build() {
    local name=$1
    shift
    sim_compile "$out/$name" "$sim_folders" "$@"
    sim_link "$out/motet-sim-$name" "$1" "$out/$name" "$out/generated"
}
run() {
    local name=$1 preset
    for preset in swarm tight udp; do
        local how=(--preset "$preset" --workload migrate)
        [[ $preset == udp ]] && how=(--preset lossy --transport udp)
        # A failure of a seed is for other tests; here only the hash counts.
        "$out/motet-sim-$name" run --seeds 1..8 "${how[@]}" --json \
            >"$out/$name.$preset.json" 2>/dev/null || true
        echo "$name $preset $(grep -o '"hash": "[0-9a-f]*"' \
            "$out/$name.$preset.json")"
    done
}
build gcc-O0 gcc -O0
build clang clang -O1
for name in gcc-O0 gcc-O2 clang; do
    run $name
done | tee "$out/hashes"

# Three builds, three kinds of runs: nine lines, three hashes.
if [[ $(awk '$4 != ""' "$out/hashes" | wc -l) != 9 ||
    $(awk '{ print $2, $4 }' "$out/hashes" | sort -u | wc -l) != 3 ]]; then
    echo "the hashes differ"
    exit 1
fi
"$out/motet-sim-gcc-O2" run --seeds 1..10 --check-determinism | tail -1
echo "the same in all builds"
