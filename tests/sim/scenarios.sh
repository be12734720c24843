#!/bin/bash
# Plays each scenario of the library with some seeds.
#
#   scenarios.sh MOTET-SIM SEEDS
set -uo pipefail
sim=$1
seeds=$2
bad=0
count=0
for file in "$(dirname "$0")"/../../deploy/chaos/scenarios/*.yml; do
    count=$((count + 1))
    out=$("$sim" run --scenario "$file" --seeds "$seeds" 2>&1) || {
        echo "$file: $out"
        bad=1
    }
done
echo "$count scenarios"
[[ $count -ge 15 && $bad == 0 ]]
