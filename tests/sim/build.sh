# Sourced: builds the pure parts and the simulator without CMake, in any way.
#
#   sim_compile OUT FOLDERS CC FLAGS...   the objects of FOLDERS, in OUT
#   sim_files OUT CC FLAGS...             those of the files named on stdin
#   sim_generated OUT CC                  those of generated files, in OUT
#   sim_link PROGRAM CC OUT...            a program of the objects in OUT...
#
# Set `gen` to the folder of generated files. Run in the root of the sources.

sim_folders="nucleus/base nucleus/core netmgr/core netmgr/path sites/core proto
             sites/site sites/plugin deploy/units deploy/fault deploy/check
             deploy/chaos deploy/sim"

sim_one() {
    local out=$1 file=$2
    shift 2
    "$@" -c "$file" -o "$out/${file//\//_}.o"
}
export -f sim_one

sim_files() {
    local out=$1 cc=$2
    shift 2
    mkdir -p "$out"
    xargs -P2 -I{} bash -c 'sim_one "$@"' _ "$out" {} "$cc" -std=c17 \
        -D_GNU_SOURCE -I. -Inucleus/api/include -isystem "$gen" "$@"
}

sim_compile() {
    local out=$1 folders=$2 folder
    shift 2
    for folder in $folders; do
        printf '%s\n' "$folder"/*.c
    done | sim_files "$out" "$@"
}

sim_generated() {
    local out=$1 cc=$2 file
    mkdir -p "$out"
    for file in "$gen"/proto/*.pb-c.c; do
        "$cc" -O1 -I"$gen" -c "$file" -o "$out/$(basename "$file").o"
    done
}

sim_link() {
    local program=$1 cc=$2 out objects=()
    shift 2
    for out in "$@"; do
        objects+=("$out"/*.o)
    done
    "$cc" -o "$program" "${objects[@]}" -rdynamic -lprotobuf-c -lyaml -ldl
}
