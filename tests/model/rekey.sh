#!/bin/bash
# Checks the model of changing keys with spin: it has no error, and was searched
# to the end; every wrong variant of it has one.
#
#   rekey.sh BUILD [correct | wrong]
set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "say where to build: rekey.sh BUILD [correct | wrong]" >&2
    exit 2
fi
model=$(realpath "$(dirname "$0")")/rekey.pml
mkdir -p "$1"
build=$(realpath "$1")
what=${2:-all}
if ! command -v spin >/dev/null; then
    echo "spin is not installed: deploy/lib/install-packages installs it" >&2
    exit 1
fi

# search NAME OPTIONS...: prints "errors: N" and whether all was searched.
search() {
    local name=$1 folder=$build/$1
    shift
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$model" "$folder/rekey.pml"
    cd "$folder"
    spin -a "$@" rekey.pml >spin.log
    "${CC:-cc}" -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c
    timeout 300 ./pan -m100000 >pan.log 2>&1
    grep -o 'errors: [0-9]*' pan.log | tail -1
}

failed=0
correct() {
    local result
    result=$(search correct -DPACKETS="${PACKETS:-6}")
    if [[ $result != "errors: 0" ]] ||
        grep -qE 'max search depth too small|out of memory' \
            "$build/correct/pan.log"; then
        echo "correct: $result, must be errors: 0 (see $build/correct)"
        failed=1
    else
        echo "correct: $result, $(awk '/states, stored/ { print $1 }' \
            "$build/correct/pan.log") states"
    fi
}

wrong() {
    local bug result
    for bug in BUG_CONFIRM BUG_WAIT BUG_OLD BUG_AGAIN BUG_REPLAY; do
        result=$(search "$bug" -DPACKETS=5 -D"$bug")
        if [[ $result == "errors: 0" || -z $result ]]; then
            echo "$bug: found to be correct, which it is not"
            failed=1
        else
            echo "$bug: found wrong ($(grep -o 'assertion violated[^)]*)' \
                "$build/$bug/pan.log" | head -1))"
        fi
    done
}

[[ $what == wrong ]] || correct
[[ $what == correct ]] || wrong
exit $failed
