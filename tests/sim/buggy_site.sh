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
gen=$build/gen
bug=$3
folder=$4
cd "$(dirname "$0")/../.."
source tests/sim/build.sh

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
bug_compile "$objects" "$bug" "$folder"
bug_main "$objects" sites/host/main.c
bug_link "$program" "$build" "$objects" "host plugin version netmgr_uv actors
    site nucleus_core netmgr_core netmgr_path sites_core motet attach
    nucleus_api proto proto_pb base" \
    -luv -lssl -lcrypto -ljansson -linih -lprotobuf-c -ldl -lpthread
