#!/bin/bash
# Builds motetd with one of the bugs that are kept in the pure parts, from the
# archives of a build (without sanitizers).
#
#   buggy_site.sh BUILD PROGRAM BUG FOLDER
#
# BUILD is the folder of the build, FOLDER that of the bug: bugs.sh has both.
set -euo pipefail
build=$(realpath "$1")
program=$(realpath -m "$2")
name=$3
folder=$4
gen=$build/gen
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
grep -rq "MOTET_BUG_$name" "$folder"
sim_compile "$objects" "$folder" gcc -O1 -w "-DMOTET_BUG_$name"
sim_one "$objects" sites/host/main.c gcc -std=c17 -O1 -D_GNU_SOURCE -I. \
    -Inucleus/api/include -isystem "$gen"

# What is in the objects is not taken from its archive any more.
archives=()
for part in host plugin version netmgr_uv actors site nucleus_core netmgr_core \
    netmgr_path sites_core motet attach nucleus_api proto proto_pb base; do
    archives+=("$build/lib/lib$part.a")
done
gcc -fno-lto -rdynamic -o "$program" "$objects"/*.o \
    -Wl,--start-group "${archives[@]}" -Wl,--end-group \
    -luv -lssl -lcrypto -ljansson -linih -lprotobuf-c -ldl -lpthread
