#ifndef HISTORY_ONE_H
#define HISTORY_ONE_H

#include <criterion/criterion.h>
#include <string.h>

#include "deploy/check/check.h"
#include "nucleus/base/ui.h"

/* Histories written by hand: for each promise good ones, of which nothing may
 * be said, and bad ones, of which it must be said. Site 1 has the ports P and
 * Q, site 2 the port R; times are in ms. */

#define MS 1000000ULL
#define NEVER UINT64_MAX

static const struct motet_ui P = {1, 1ULL << 32 | 1 << 28 | 1};
static const struct motet_ui Q = {1, 1ULL << 32 | 1 << 28 | 2};
static const struct motet_ui R = {2, 1ULL << 32 | 1 << 28 | 1};
static const struct motet_ui G = {5, UI_STATIC_GROUP << 28};

static struct check *c;
static uint64_t now_ms;

static inline struct check_event at(enum check_what what, struct motet_ui port)
{
    return (struct check_event){
        .now_ns = now_ms * MS,
        .what = what,
        .site = port.hi,
        .incarnation = (uint32_t)(port.lo >> 32),
        .port = port,
        .deadline_ns = NEVER,
    };
}

static inline void feed(const struct check_event *e)
{
    check_feed(c, e);
}

static inline void tell(enum check_what what, struct motet_ui port)
{
    const struct check_event e = at(what, port);
    feed(&e);
}

static inline void tell_id(enum check_what what, struct motet_ui port,
                           uint64_t id, struct motet_ui peer)
{
    struct check_event e = at(what, port);
    e.id = id;
    e.peer = peer;
    feed(&e);
}

static inline void start(void)
{
    const struct check_config cfg = {
        .late_ns = 10 * MS,
        .settle_ns = 1000 * MS,
    };
    c = check_new(&cfg);
    now_ms = 1;
    tell(CHECK_SITE_BEGIN, P);
    tell(CHECK_SITE_BEGIN, R);
    tell(CHECK_PORT_BEGIN, P);
    tell(CHECK_PORT_BEGIN, Q);
    tell(CHECK_PORT_BEGIN, R);
}

/* Nothing is wrong, up to here and at the end. */
static inline void good(const char *why)
{
    check_end(c, (now_ms + 10000) * MS);
    const struct check_violation *v = check_violation(c, 0);
    cr_expect_null(v, "%s: P%d %s", why, v ? v->promise : 0, v ? v->text : "");
    check_free(c);
}

/* Exactly this promise is broken. */
static inline void bad(int promise, const char *why)
{
    check_end(c, (now_ms + 10000) * MS);
    const struct check_violation *v = check_violation(c, 0);
    cr_expect_not_null(v, "%s: nothing was found", why);
    for (uint32_t i = 0; (v = check_violation(c, i)) != NULL; i++) {
        cr_expect_eq(v->promise, promise, "%s: P%d %s", why, v->promise,
                     v->text);
    }
    check_free(c);
}

static inline void send_by(uint64_t id, struct motet_ui from,
                           struct motet_ui to, uint64_t deadline_ms)
{
    struct check_event e = at(CHECK_SEND_BEGIN, from);
    e.id = id;
    e.peer = to;
    e.told = true;
    e.deadline_ns = deadline_ms == 0 ? NEVER : deadline_ms * MS;
    feed(&e);
}

static inline void send(uint64_t id, struct motet_ui from, struct motet_ui to)
{
    send_by(id, from, to, 0);
}

/* One of whose outcome only a failure is told. */
static inline void quiet(uint64_t id, struct motet_ui from, struct motet_ui to)
{
    tell_id(CHECK_SEND_BEGIN, from, id, to);
}

static inline void sent(uint64_t id, struct motet_ui from, enum motet_err err)
{
    struct check_event e = at(CHECK_SEND_END, from);
    e.id = id;
    e.err = err;
    feed(&e);
}

static inline void deliver(uint64_t id, struct motet_ui to,
                           struct motet_ui from)
{
    tell_id(CHECK_DELIVER, to, id, from);
}

static inline void call_by(uint64_t id, struct motet_ui from,
                           struct motet_ui to, uint64_t deadline_ms)
{
    struct check_event e = at(CHECK_CALL_BEGIN, from);
    e.id = id;
    e.peer = to;
    e.deadline_ns = deadline_ms == 0 ? NEVER : deadline_ms * MS;
    feed(&e);
}

static inline void called(uint64_t id, struct motet_ui from, enum motet_err err)
{
    struct check_event e = at(CHECK_CALL_END, from);
    e.id = id;
    e.err = err;
    e.value = err == MOTET_OK ? id : 0;
    feed(&e);
}

static inline void execute(uint64_t id, struct motet_ui to,
                           struct motet_ui from)
{
    deliver(id, to, from);
    tell_id(CHECK_EXECUTE, to, id, from);
}

static inline void news(uint64_t id, struct motet_ui port,
                        struct motet_ui subject, enum motet_news what)
{
    struct check_event e = at(CHECK_NEWS, port);
    e.id = id;
    e.peer = subject;
    e.news = what;
    feed(&e);
}

static inline void crash(struct motet_ui any)
{
    tell(CHECK_SITE_END, any);
}

#endif
