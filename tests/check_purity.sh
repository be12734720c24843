#!/bin/bash
# Proves that the code below the purity line performs no I/O, reads no clock,
# starts no thread and draws no chance of its own: every symbol that its
# archives take from outside is on the list below.
#
#   check_purity.sh ARCHIVE...        checks
#   check_purity.sh --self-test CC    proves that each breach is found
set -euo pipefail

memory='calloc|malloc|realloc|free|abort'
bytes='memcpy|memmove|memset|memchr|memcmp|bcmp|strlen|strnlen|strcmp|strncmp'
fortified='__(memcpy|memmove|memset)_chk|__stack_chk_fail'
sanitizers='__(asan|ubsan|tsan|lsan|sanitizer|sancov|llvm)_.*|__gcov.*'
wide='__(u?div|u?mod|mul)ti3' # arithmetic of 128 bits, by the compiler's library
linker='_GLOBAL_OFFSET_TABLE_|__tls_get_addr|__start_.*|__stop_.*'
common="$memory|$bytes|$wide|$fortified|$sanitizers|$linker"
only_base='stderr|fprintf|__fprintf_chk|snprintf|__snprintf_chk'
only_proto='protobuf_c_.*|__assert_fail'

# The symbols that none of the archives define: those defined are sought too.
outside() {
    comm -23 <(nm -u "$1" 2>/dev/null | awk 'NF == 2 { print $2 }' | sort -u) \
        <(nm --defined-only "${@:2}" 2>/dev/null |
            awk 'NF == 3 { print $3 }' | sort -u)
}

# Writable data that outlives a call: a machine keeps its state in its struct.
# Tables of constant pointers are relocated once and read-only after that.
statics() {
    nm -f sysv "$1" 2>/dev/null | tr -d ' ' |
        awk -F'|' '$7 ~ /^(\.t?data|\.t?bss|\*COM\*)/ &&
                   $7 !~ /^\.data\.rel\.ro/ { print $1 }' |
        grep -Ev "^($sanitizers|__(unnamed|odr|covrec).*|\\.L.*)$" || true
}

check() {
    local bad=0 archive name allowed symbol
    for archive in "$@"; do
        name=$(basename "$archive" .a)
        allowed=$common
        case $name in
        libbase) allowed+="|$only_base" ;;
        libproto | libproto_pb) allowed+="|$only_proto" ;;
        esac
        while read -r symbol; do
            echo "$name: not pure: calls $symbol"
            bad=1
        done < <(outside "$archive" "$@" | grep -Ev "^($allowed)$" || true)
        [[ $name == libproto_pb ]] && continue
        while read -r symbol; do
            echo "$name: not pure: keeps state in $symbol"
            bad=1
        done < <(statics "$archive")
    done
    return $bad
}

self_test() {
    local cc=$1 dir bad=0 body
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' RETURN
    # Judged: a name, what is expected, a body.
    judge() {
        printf '%s\n' "$3" >"$dir/a.c"
        rm -f "$dir/lib$1.a"
        "$cc" -w -fPIC -c -o "$dir/a.o" "$dir/a.c"
        ar rc "$dir/lib$1.a" "$dir/a.o"
        local got=pure
        check "$dir/lib$1.a" >/dev/null || got=impure
        if [[ $got != "$2" ]]; then
            echo "judged $got, must be $2: $1: $3"
            bad=1
        fi
    }
    judge core pure 'void f(char *p) { memset(p, 1, strlen(p)); }'
    judge base pure 'void f(char *p) { snprintf(p, 3, "%d", 1); }'
    judge proto pure 'void f(char *p) { protobuf_c_message_unpack(p); }'
    for body in 'snprintf(p, 3, "%d", 1)' 'time(p)' 'clock_gettime(1, p)' \
        'rand()' 'open(p, 0)' 'write(1, p, 1)' 'pthread_create(p, p, p, p)' \
        'getenv(p)' 'protobuf_c_message_unpack(p)' 'uv_now(p)' \
        'qsort(p, 1, 1, p)' 'f2(p); static int n; n++'; do
        judge core impure "void f2(); void f(char *p) { $body; }"
    done
    judge core impure 'int counter;'
    judge core impure 'static int n = 3; int f(void) { return n++; }'
    judge core impure 'static char *n[] = {"a"}; char **f(void) { return n; }'
    judge core impure '_Thread_local int n;'
    judge core pure 'const char *const n[] = {"a", "b"};'
    judge core pure 'static const int n[3] = {1, 2, 3}; int f(int i) { return n[i]; }'
    [[ $bad == 0 ]] && echo "every breach is found"
    return $bad
}

if [[ ${1:-} == --self-test ]]; then
    self_test "${2:-cc}"
    exit
fi
if [[ $# == 0 ]]; then
    echo "no archive to check" >&2
    exit 1
fi
check "$@" && echo "$# archives are pure"
