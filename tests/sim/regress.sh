#!/bin/bash
# Runs the seeds of regress.txt, which once failed: regress.sh MOTET-SIM
set -euo pipefail
sim=$1
failed=0
count=0
while read -r seed options; do
    [[ -z $seed || $seed == \#* ]] && continue
    count=$((count + 1))
    # shellcheck disable=SC2086
    "$sim" run --seeds "$seed..$seed" $options >/tmp/regress.$$ 2>&1 || {
        cat /tmp/regress.$$
        failed=1
    }
done <"$(dirname "$0")/regress.txt"
rm -f /tmp/regress.$$
echo "$count seeds"
[[ $count -gt 0 && $failed == 0 ]]
