#!/bin/bash
# The command itself: what it refuses, what it prints. command.sh MOTET-SIM
set -uo pipefail
sim=$1
bad=0
empty=$(mktemp --suffix=.so)
trap 'rm -f "$empty"' EXIT

expect() {
    local want=$1 pattern=$2 code=0 out
    shift 2
    out=$("$sim" "$@" 2>&1) || code=$?
    if [[ $code != "$want" ]] || ! grep -qE -- "$pattern" <<<"$out"; then
        echo "motet-sim $*: exit $code, must be $want with '$pattern':"
        echo "$out"
        bad=1
    fi
}

expect 2 'say what to do'
expect 2 "no such command: 'walk'" walk
expect 2 'too many words' run 1 2
expect 2 "not understood: '5..1'; --seeds takes A..B: seeds to run" run --seeds 5..1
expect 2 "not understood: 'x'" run --seeds x
expect 2 "not understood: '-3'" run --seeds=-3
expect 2 "not understood: '1'" run --sites 1
expect 2 "not understood: '33'" run --sites 33
expect 2 "not understood: '0s'" run --for 0s
expect 2 "not understood: '25h'" run --for 25h
expect 2 "not understood: 'stormy'" run --preset stormy
expect 2 "not understood: '65'" run --jobs 65
expect 2 "not understood: 'sctp'" run --transport sctp
expect 0 '^paths +up [1-9]' \
    run --seeds 2 --preset calm --sites 3 --for 5s --transport udp
expect 2 'say which run' replay
expect 2 'say which run' replay 7
expect 2 'say which run' replay 7@
expect 2 'a seed means nothing on other code' replay 7@0000000
expect 2 'say which run' shrink
expect 1 'seed 1 passes; there is nothing to make smaller' \
    shrink 1 --preset calm --sites 2 --for 5s
expect 2 'no scenario "nothing"' run --scenario nothing
expect 2 'cannot read /nowhere.yml' run --scenario /nowhere.yml
expect 2 '--sites and --for are in the scenario' \
    run --scenario calm --sites 4
expect 2 'actor: /nowhere.so: there is no such file' run --actor /nowhere.so
expect 2 'actor: echo: is no shared object' run --actor echo
expect 2 'actor: .*: (file too short|invalid ELF)' \
    run --actor "$empty"
expect 9 'never: .*, WORLD TWIN_RUNS' \
    run --seeds 1 --preset calm --sites 2 --for 5s --must-see
expect 0 '^5 passed' run --scenario kill-one --seeds 5
expect 0 'FAULT kill-1: kill site2, 3 s' \
    replay 1@0 --anyway --scenario kill-one --trace
expect 0 '^3 passed, 0 failed .* trace hash [0-9a-f]{16}$' \
    run --seeds 1..3 --preset calm --sites 3 --for 5s
expect 0 '"passed": 3, "failed": 0' \
    run --seeds 1..3 --preset calm --sites 3 --for 5s --json
expect 0 '^2 passed, 0 failed' \
    run --seeds 2 --preset calm --sites 2 --for 5s --check-determinism --jobs 2
expect 0 'site1 boots' replay 1@0 --anyway --preset calm --for 5s --trace
expect 11 'NOT that of the failing run' \
    replay 1@0 --anyway --preset calm --for 5s --hash 1

expect 2 "no such command: 'again'" crashpoints again
expect 2 'no seeds, no scenario' crashpoints --seeds 3
expect 2 'no seeds, no scenario' crashpoints --sites 4
expect 2 'no seeds, no scenario' crashpoints --transport auto
expect 2 "not understood: 'both'" crashpoints --move both
expect 2 "not understood: '0'" crashpoints --every 0
for wrong in actor actor.tcp actor.tcp.cut-both.1 actor.tcp.cut-both.1.65 \
    actor.tcp.cut-both.x.1 actor.tcp.cut.1.1 actor.sctp.cut-both.1.1 \
    actor.tcp.cut-both.1.1.1 actor.tcp.cut-both.-1.1; do
    expect 2 "no such case: '$wrong'; say it as it was printed" \
        crashpoints --only "$wrong"
done
expect 0 'FAULT point: cut site1 <-> site2, 4 s' \
    crashpoints --only actor.tcp.cut-both.17.4 --trace
expect 0 '^actor.tcp.cut-both.17.4: passed, answered [0-9]+ ms after the heal' \
    crashpoints --only actor.tcp.cut-both.17.4
expect 0 'packet 3 is lost, from site[12] to site[12]' \
    crashpoints --only port.udp.none.0.3 --trace
expect 0 '"passed": [1-9].*"failed": 0, .*"outage_ms": [1-9]' \
    crashpoints --every 2003 --move port --transport udp --json --jobs 2
expect 0 'crash-source [1-9].* cut-both [1-9]' \
    crashpoints --every 401 --check-determinism --move actor --transport tcp

hash=$("$sim" replay 1@0 --anyway --preset calm --for 5s | awk '/trace hash/ { print $3 }')
expect 0 'same as the failing run' \
    replay 1@0 --anyway --preset calm --for 5s --hash "$hash"
jobs1=$("$sim" run --seeds 1..6 --for 5s --jobs 1 2>/dev/null | tail -1 | grep -o 'hash.*')
jobs2=$("$sim" run --seeds 1..6 --for 5s --jobs 3 2>/dev/null | tail -1 | grep -o 'hash.*')
if [[ $jobs1 != "$jobs2" ]]; then
    echo "the hash depends on the number of jobs: $jobs1, $jobs2"
    bad=1
fi
exit $bad
