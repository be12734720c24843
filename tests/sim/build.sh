# Sourced: builds the simulator without CMake, in other ways. Set `gen` to the
# folder of generated files. Run in the root of the sources.
#
#   sim_compile OUT FOLDERS CC FLAGS...   the objects of FOLDERS, in OUT
#   sim_generated OUT CC                  those of generated files, in OUT
#   sim_link PROGRAM CC OUT...            a program of the objects in OUT...
#
# With one of the bugs that are kept under macros, else of a release build:
#
#   bug_compile OUT BUG FOLDER            the objects that have it, in OUT
#   bug_main OUT FILE                     that of a main program
#   bug_link PROGRAM BUILD OUT PARTS LIBRARIES...   a program of OUT and of the
#                                         archives of PARTS in BUILD
#   bug_sim PROGRAM BUILD OUT             the simulator

sim_folders="nucleus/base nucleus/core netmgr/core netmgr/path sites/core proto
             sites/site sites/plugin deploy/units deploy/fault deploy/check
             deploy/chaos deploy/sim"
sim_parts="sim chaos check fate fate_text units plugin site sites_core
           nucleus_core netmgr_core netmgr_path proto proto_pb version base"

sim_one() {
    local out=$1 file=$2
    shift 2
    "$@" -std=c17 -D_GNU_SOURCE -I. -Inucleus/api/include -isystem "$gen" \
        -c "$file" -o "$out/${file//\//_}.o"
}
export -f sim_one
export gen

sim_files() {
    local out=$1
    shift
    mkdir -p "$out"
    xargs -P2 -I{} bash -c 'sim_one "$@"' _ "$out" {} "$@"
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

bug_compile() {
    local out=$1 macro=MOTET_BUG_$2 folder=$3 files
    files=$(grep -l "$macro" "$folder"/*.c) || {
        echo "$macro is not in $folder" >&2
        return 1
    }
    if grep -q "$macro" "$folder"/*.h; then
        files=$(printf '%s\n' "$folder"/*.c) # all of them see the header
    fi
    sim_files "$out" gcc -O1 -w "-D$macro" <<<"$files"
}

bug_main() {
    sim_one "$1" "$2" gcc -O1
}

# What is in the objects is not taken from its archive.
bug_link() {
    local program=$1 build=$2 out=$3 parts=$4 part archives=()
    shift 4
    for part in $parts; do
        archives+=("$build/lib/lib$part.a")
    done
    gcc -fno-lto -rdynamic -o "$program" "$out"/*.o \
        -Wl,--start-group "${archives[@]}" -Wl,--end-group "$@"
}

bug_sim() {
    bug_main "$3" deploy/sim/main.c
    bug_link "$1" "$2" "$3" "$sim_parts" -lprotobuf-c -lyaml -ldl
}
