#!/bin/bash
# A bug that is kept under a macro is found, made small, and played again from
# the scenario that was written; without the bug that scenario passes.
#
#   shrink.sh GENERATED BUILD
set -euo pipefail
gen=$(realpath "$1")
build=$2
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

rm -rf "$build"
mkdir -p "$build"
build=$(realpath "$build")
sim_generated "$build/generated" gcc
for folder in $sim_folders; do
    sim_compile "$build/good/$folder" "$folder" gcc -O1
done
sim_compile "$build/bad" nucleus/core gcc -O1 -w -DMOTET_BUG_SKIP_DEATH
parts=("$build/generated")
for folder in $sim_folders; do
    parts+=("$build/good/$folder")
done
sim_link "$build/motet-sim" gcc "${parts[@]}"
parts=("$build/generated" "$build/bad")
for folder in $sim_folders; do
    [[ $folder == nucleus/core ]] || parts+=("$build/good/$folder")
done
sim_link "$build/motet-sim-bad" gcc "${parts[@]}"

cd "$build"
code=0
./motet-sim-bad run --seeds 1..300 --fail-fast >found 2>/dev/null || code=$?
[[ $code == 8 || $code == 10 ]] || { echo "not found: exit $code"; exit 1; }
seed=$(grep -m1 -o 'seed [0-9]*  P' found | grep -o '[0-9]*')
./motet-sim-bad shrink "$seed" --out small.yml | tee shrunk
read -r before after < <(sed -n 's/^\([0-9]*\) faults -> \([0-9]*\),.*/\1 \2/p' shrunk)
echo "seed $seed: $before faults, $after of them needed"
# A death is needed: by a fault, or of the sites that do not come back at the end.
least=1
grep -q 'core: yes' small.yml && least=0
[[ $after -ge $least && $after -le 6 ]] || { echo "not what is needed"; exit 1; }
second=0
./motet-sim-bad run --scenario small.yml >again 2>/dev/null || second=$?
[[ $second == "$code" ]] || { echo "played again: exit $second"; exit 1; }
./motet-sim run --scenario small.yml | tail -1
