#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <stdint.h>

/* Typed records of what a site did: a ring for the flight recorder and a
 * running hash for determinism (P14). No pointers, no prose. */
struct trace_record {
    uint64_t now_ns;
    uint32_t what; /* enum trace_what */
    uint32_t extra;
    uint64_t a;
    uint64_t b;
};

/* clang-format off */
#define TRACE_KINDS(X)                                                         \
    X(BOOT) X(ACTOR_NEW) X(ACTOR_END) X(PORT_NEW) X(PORT_END)                  \
    X(MEMBER_IN) X(MEMBER_OUT) X(SEND) X(ACCEPT) X(REFUSE) X(PARK) X(DELIVER)  \
    X(OUTCOME) X(CALL) X(CALL_END) X(REPLY) X(CANCEL) X(WATCH) X(NEWS)         \
    X(CONN_UP) X(CONN_DOWN) X(SESSION_UP) X(SESSION_DOWN) X(HELLO_REFUSED)     \
    X(FLOW_NEW) X(FLOW_END) X(FLOW_REWIND) X(FLOW_GONE) X(MOVED)               \
    X(PROBE) X(PROBE_MISS) X(SUSPECT) X(CLEARED) X(DEAD) X(ALIVE) X(LEFT)      \
    X(RECORD) X(VIEW) X(REBIRTH) X(VIOLATION) X(FREEZE) X(THAW) X(MIGRATE)
/* clang-format on */

#define TRACE_ENUM(name) TRACE_##name,
enum trace_what { TRACE_KINDS(TRACE_ENUM) TRACE_COUNT };
#undef TRACE_ENUM

enum { TRACE_RING = 4096 }; /* records kept; a power of two */

struct trace {
    uint64_t hash;
    uint64_t count;
    struct trace_record *ring; /* TRACE_RING records, or NULL: hash only */
};

/** Starts empty. Borrows `ring` (TRACE_RING records) or NULL. */
void trace_init(struct trace *t, struct trace_record *ring);

void trace_add(struct trace *t, uint64_t now_ns, enum trace_what what,
               uint32_t extra, uint64_t a, uint64_t b);

/** "PORT_NEW" and so on; "?" outside the list. Static. */
const char *trace_name(enum trace_what what);

#endif
