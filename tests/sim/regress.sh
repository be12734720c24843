#!/bin/bash
# Runs what once failed: the seeds of regress.txt, and the scenarios in regress/,
# which "motet sim shrink" writes. regress.sh MOTET-SIM
set -euo pipefail
sim=$1
here=$(dirname "$0")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
count=0

try() {
    count=$((count + 1))
    "$sim" run "$@" >"$out" 2>&1 || {
        cat "$out"
        failed=1
    }
}

while read -r seed options; do
    [[ -z $seed || $seed == \#* ]] && continue
    # shellcheck disable=SC2086
    try --seeds "$seed..$seed" $options
done <"$here/regress.txt"
for scenario in "$here"/regress/*.yml; do
    try --scenario "$scenario"
done
echo "$count runs"
[[ $count -gt 0 && $failed == 0 ]]
