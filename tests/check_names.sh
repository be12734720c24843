#!/bin/bash
# Every external name is defined once in all archives together: they are linked
# into one program, and a private name of one part must not meet another's.
#
#   check_names.sh ARCHIVE...
set -euo pipefail

bad=$(for archive in "$@"; do
    nm --defined-only "$archive" 2>/dev/null |
        awk -v from="$(basename "$archive")" \
            'NF == 3 && $2 ~ /^[TDBRW]$/ && $3 !~ /^_|asan|ubsan/ { print $3, from }'
done | sort | awk '$1 == name { print $1 ": in " from " and " $2 }
                   { name = $1; from = $2 }')
if [[ -n $bad ]]; then
    echo "$bad"
    exit 1
fi
echo "no name is defined twice in $# archives"
