#!/bin/bash
# A bug that is kept under a macro is found, made small, and played again from
# the scenario that was written; without the bug that scenario passes.
#
#   shrink.sh BUILD OUT      BUILD: the folder of a release build
set -euo pipefail
build=$(realpath "$1")
out=$(realpath -m "$2")
gen=$build/gen
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

rm -rf "$out"
bug_compile "$out" SKIP_DEATH nucleus/core
bug_sim "$out/motet-sim" "$build" "$out"

cd "$out"
code=0
./motet-sim run --seeds 1..300 --fail-fast >found 2>/dev/null || code=$?
[[ $code == 8 || $code == 10 ]] || { echo "not found: exit $code"; exit 1; }
seed=$(grep -m1 -o 'seed [0-9]*  P' found | grep -o '[0-9]*')
./motet-sim shrink "$seed" --out small.yml | tee shrunk
read -r before after < <(sed -n 's/^\([0-9]*\) faults -> \([0-9]*\),.*/\1 \2/p' shrunk)
echo "seed $seed: $before faults, $after of them needed"
# A death is needed: by a fault, or of the sites that do not come back at the end.
least=1
grep -q 'core: yes' small.yml && least=0
[[ $after -ge $least && $after -le 6 ]] || { echo "not what is needed"; exit 1; }
second=0
./motet-sim run --scenario small.yml >again 2>/dev/null || second=$?
[[ $second == "$code" ]] || { echo "played again: exit $second"; exit 1; }
"$build/bin/motet-sim" run --scenario small.yml | tail -1
