#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nucleus/base/hash.h"
#include "nucleus/base/ui.h"
#include "state.h"

/* clang-format off */
static const char *const what_names[CHECK_WHAT_COUNT] = {
    [CHECK_SITE_BEGIN] = "SITE_BEGIN",   [CHECK_SITE_END] = "SITE_END",
    [CHECK_SITE_PAUSED] = "SITE_PAUSED", [CHECK_SITE_APART] = "SITE_APART",
    [CHECK_HEALED] = "HEALED",           [CHECK_VIEW] = "VIEW",
    [CHECK_UI_ISSUED] = "UI_ISSUED",     [CHECK_PORT_BEGIN] = "PORT_BEGIN",
    [CHECK_PORT_END] = "PORT_END",       [CHECK_OWNER] = "OWNER",
    [CHECK_JOIN] = "JOIN",               [CHECK_LEAVE] = "LEAVE",
    [CHECK_SEND_BEGIN] = "SEND_BEGIN",   [CHECK_SEND_END] = "SEND_END",
    [CHECK_DELIVER] = "DELIVER",         [CHECK_CALL_BEGIN] = "CALL_BEGIN",
    [CHECK_CALL_END] = "CALL_END",       [CHECK_CALL_CANCEL] = "CALL_CANCEL",
    [CHECK_EXECUTE] = "EXECUTE",         [CHECK_FORWARD] = "FORWARD",
    [CHECK_REPLY] = "REPLY",             [CHECK_CANCELLED] = "CANCELLED",
    [CHECK_WATCH_BEGIN] = "WATCH_BEGIN", [CHECK_UNWATCH] = "UNWATCH",
    [CHECK_NEWS] = "NEWS",
    [CHECK_FROZEN] = "FROZEN",           [CHECK_HOLD] = "HOLD",
};

static const char *const promise_names[] = {
    "?", "known outcome", "once", "order", "calls", "one owner", "migration",
    "watches", "convergence", "identity", "bounded", "control first",
    "blast radius", "progress", "determinism", "your invariant",
};
/* clang-format on */

const char *check_what_name(enum check_what what)
{
    const char *name = (size_t)what < CHECK_WHAT_COUNT ? what_names[what] : "";
    return name != NULL ? name : "";
}

const char *check_promise_name(int promise)
{
    const size_t count = ARRAY_LEN(promise_names);
    return promise > 0 && (size_t)promise < count ? promise_names[promise]
                                                  : "?";
}

struct check *check_new(const struct check_config *cfg)
{
    struct mem mem;
    mem_init(&mem, SIZE_MAX);
    struct check *c = mem_alloc(&mem, sizeof *c);
    CHECK(c != NULL);
    c->cfg = *cfg;
    mem_init(&c->mem, SIZE_MAX);
    struct map *maps[] = {
        &c->sites, &c->newest,  &c->ports, &c->issued, &c->flows,
        &c->msgs,  &c->watches, &c->dead,  &c->met,
    };
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        map_init(maps[i], &c->mem, i);
    }
    return c;
}

void check_free(struct check *c)
{
    struct map *maps[] = {
        &c->sites, &c->newest,  &c->ports, &c->issued, &c->flows,
        &c->msgs,  &c->watches, &c->dead,  &c->met,
    };
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        map_fini(maps[i]);
    }
    while (c->records != NULL) {
        struct record_head *r = c->records;
        c->records = r->next;
        mem_free(&c->mem, r, r->bytes);
    }
    CHECK(c->mem.used_bytes == 0);
    struct mem mem = {.used_bytes = sizeof *c, .blocks = 1};
    mem_free(&mem, c, sizeof *c);
}

void *check_record(struct check *c, uint32_t bytes)
{
    struct record_head *r = mem_alloc(&c->mem, bytes);
    CHECK(r != NULL);
    r->bytes = bytes;
    r->next = c->records;
    c->records = r;
    return r;
}

void check_index(struct map *m, uint64_t hi, uint64_t lo, void *value)
{
    CHECK(map_put(m, hi, lo, value));
}

struct port_rec *check_port(struct check *c, struct motet_ui ui)
{
    struct port_rec *p = map_get(&c->ports, ui.hi, ui.lo);
    if (p == NULL) {
        p = check_record(c, sizeof *p);
        p->ui = ui;
        p->index = ++c->port_count;
        p->next = c->all_ports;
        c->all_ports = p;
        check_index(&c->ports, ui.hi, ui.lo, p);
    }
    return p;
}

struct site_rec *check_site(struct check *c, uint64_t site,
                            uint32_t incarnation)
{
    struct site_rec *s = map_get(&c->sites, site, incarnation);
    if (s == NULL) {
        s = check_record(c, sizeof *s);
        s->site = site;
        s->index = ++c->site_count;
        s->incarnation = incarnation;
        s->begin_ns = c->now_ns;
        s->next = c->all_sites;
        c->all_sites = s;
        check_index(&c->sites, site, incarnation, s);
    }
    return s;
}

struct flow_rec *check_flow(struct check *c, struct port_rec *src,
                            struct port_rec *dst)
{
    struct flow_rec *f = map_get(&c->flows, src->index, dst->index);
    if (f == NULL) {
        f = check_record(c, sizeof *f);
        f->src = src;
        f->dst = dst;
        f->next = c->all_flows;
        c->all_flows = f;
        check_index(&c->flows, src->index, dst->index, f);
    }
    return f;
}

bool check_alive(const struct port_rec *p)
{
    return p->live && p->home != NULL && p->home->live;
}

bool check_apart(const struct port_rec *p)
{
    return p->home != NULL && p->home->apart;
}

uint64_t check_idle_ns(const struct check *c, const struct port_rec *p)
{
    const uint64_t paused_ns =
        p->home != NULL ? p->home->paused_ns - p->paused_before_ns : 0;
    return p->idle_ns + paused_ns + (p->frozen ? c->now_ns - p->frozen_ns : 0);
}

bool check_catches_up(const struct check *c, const struct port_rec *p)
{
    return p->frozen ||
           (p->thawed_ns != 0 && c->now_ns - p->thawed_ns <= c->cfg.late_ns);
}

const char *check_ui_text(struct motet_ui ui, char text[TEXT_OF_UI])
{
    const uint32_t low = (uint32_t)ui.lo;
    (void)snprintf(text, TEXT_OF_UI, "%llx.%llx.%x", (unsigned long long)ui.hi,
                   (unsigned long long)(ui.lo >> 32), low);
    return text;
}

static struct check_violation *new_violation(struct check *c, int promise,
                                             uint64_t site)
{
    static struct check_violation no_room; /* beyond those kept */
    struct check_violation *v = c->violations < CHECK_VIOLATIONS_MAX
                                    ? &c->kept[c->violations]
                                    : &no_room;
    c->violations++;
    v->promise = promise;
    v->now_ns = c->now_ns;
    v->site = site;
    return v;
}

void check_violate(struct check *c, int promise, uint64_t site,
                   const char *format, ...)
{
    struct check_violation *v = new_violation(c, promise, site);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
}

void check_accuse(struct check *c, int promise, uint64_t now_ns, uint64_t site,
                  const char *text)
{
    c->now_ns = now_ns > c->now_ns ? now_ns : c->now_ns;
    check_violate(c, promise, site, "%s", text);
}

static void fold(struct check *c, const struct check_event *e)
{
    const uint64_t words[] = {
        e->now_ns,
        e->site,
        (uint64_t)e->incarnation << 32 | (uint32_t)e->what,
        e->id,
        e->port.hi,
        e->port.lo,
        e->peer.hi,
        e->peer.lo,
        e->deadline_ns,
        e->value,
        e->value2,
        (uint64_t)e->err << 32 | (uint64_t)e->news << 16 | (uint64_t)e->how,
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        c->hash = hash_fold(c->hash, words[i]);
    }
}

typedef void handler(struct check *c, const struct check_event *e);

/* clang-format off */
static handler *const handlers[CHECK_WHAT_COUNT] = {
    [CHECK_SITE_BEGIN] = check_on_site,   [CHECK_SITE_END] = check_on_site,
    [CHECK_SITE_PAUSED] = check_on_site,  [CHECK_SITE_APART] = check_on_site,
    [CHECK_VIEW] = check_on_site,
    [CHECK_UI_ISSUED] = check_on_port,    [CHECK_PORT_BEGIN] = check_on_port,
    [CHECK_PORT_END] = check_on_port,     [CHECK_OWNER] = check_on_port,
    [CHECK_JOIN] = check_on_port,         [CHECK_LEAVE] = check_on_port,
    [CHECK_SEND_BEGIN] = check_on_send,   [CHECK_SEND_END] = check_on_send,
    [CHECK_DELIVER] = check_on_deliver,
    [CHECK_CALL_BEGIN] = check_on_call,   [CHECK_CALL_END] = check_on_call,
    [CHECK_CALL_CANCEL] = check_on_call,  [CHECK_EXECUTE] = check_on_call,
    [CHECK_FORWARD] = check_on_call,      [CHECK_REPLY] = check_on_call,
    [CHECK_CANCELLED] = check_on_call,
    [CHECK_WATCH_BEGIN] = check_on_watch, [CHECK_UNWATCH] = check_on_watch,
    [CHECK_NEWS] = check_on_watch,        [CHECK_FROZEN] = check_on_port,
    [CHECK_HOLD] = check_on_call,
};
/* clang-format on */

void check_feed(struct check *c, const struct check_event *e)
{
    CHECK(e->what > 0 && e->what < CHECK_WHAT_COUNT);
    CHECK(e->now_ns >= c->now_ns);
    c->now_ns = e->now_ns;
    fold(c, e);
    if (handlers[e->what] != NULL) {
        handlers[e->what](c, e);
    }
}

void check_end(struct check *c, uint64_t now_ns)
{
    CHECK(now_ns >= c->now_ns);
    c->now_ns = now_ns;
    check_end_sends(c);
    check_end_calls(c);
    check_end_watches(c);
}

uint32_t check_violations(const struct check *c)
{
    return c->violations;
}

const struct check_violation *check_violation(const struct check *c,
                                              uint32_t index)
{
    const uint32_t kept = c->violations < CHECK_VIOLATIONS_MAX
                              ? c->violations
                              : CHECK_VIOLATIONS_MAX;
    return index < kept ? &c->kept[index] : NULL;
}

struct check_counts check_counts(const struct check *c)
{
    return c->counts;
}

uint64_t check_hash(const struct check *c)
{
    return c->hash;
}
