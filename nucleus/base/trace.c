#include "nucleus/base/trace.h"

#include <stddef.h>

#include "nucleus/base/hash.h"

#define NAME(name) [TRACE_##name] = #name,
static const char *const names[TRACE_COUNT] = {TRACE_KINDS(NAME)};
#undef NAME

void trace_init(struct trace *t, struct trace_record *ring)
{
    *t = (struct trace){.ring = ring};
}

void trace_add(struct trace *t, uint64_t now_ns, enum trace_what what,
               uint32_t extra, uint64_t a, uint64_t b)
{
    t->hash = hash_fold(t->hash, now_ns);
    t->hash = hash_fold(t->hash, (uint64_t)extra << 32 | (uint32_t)what);
    t->hash = hash_fold(t->hash, a);
    t->hash = hash_fold(t->hash, b);
    if (t->ring != NULL) {
        t->ring[t->count % TRACE_RING] = (struct trace_record){
            .now_ns = now_ns,
            .what = (uint32_t)what,
            .extra = extra,
            .a = a,
            .b = b,
        };
    }
    t->count++;
}

const char *trace_name(enum trace_what what)
{
    return (size_t)what < TRACE_COUNT ? names[what] : "?";
}
