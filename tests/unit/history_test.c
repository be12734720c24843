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

static struct check *c;
static uint64_t now_ms;

static struct check_event at(enum check_what what, struct motet_ui port)
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

static void feed(const struct check_event *e)
{
    check_feed(c, e);
}

static void tell(enum check_what what, struct motet_ui port)
{
    const struct check_event e = at(what, port);
    feed(&e);
}

static void tell_id(enum check_what what, struct motet_ui port, uint64_t id,
                    struct motet_ui peer)
{
    struct check_event e = at(what, port);
    e.id = id;
    e.peer = peer;
    feed(&e);
}

static void start(void)
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
static void good(const char *why)
{
    check_end(c, (now_ms + 10000) * MS);
    const struct check_violation *v = check_violation(c, 0);
    cr_expect_null(v, "%s: P%d %s", why, v ? v->promise : 0, v ? v->text : "");
    check_free(c);
}

/* Exactly this promise is broken. */
static void bad(int promise, const char *why)
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

static void send_by(uint64_t id, struct motet_ui from, struct motet_ui to,
                    uint64_t deadline_ms)
{
    struct check_event e = at(CHECK_SEND_BEGIN, from);
    e.id = id;
    e.peer = to;
    e.told = true;
    e.deadline_ns = deadline_ms == 0 ? NEVER : deadline_ms * MS;
    feed(&e);
}

static void send(uint64_t id, struct motet_ui from, struct motet_ui to)
{
    send_by(id, from, to, 0);
}

static void quiet(uint64_t id, struct motet_ui from, struct motet_ui to)
{
    struct check_event e = at(CHECK_SEND_BEGIN, from);
    e.id = id;
    e.peer = to;
    feed(&e);
}

static void sent(uint64_t id, struct motet_ui from, enum motet_err err)
{
    struct check_event e = at(CHECK_SEND_END, from);
    e.id = id;
    e.err = err;
    feed(&e);
}

static void deliver(uint64_t id, struct motet_ui to, struct motet_ui from)
{
    tell_id(CHECK_DELIVER, to, id, from);
}

static void call_by(uint64_t id, struct motet_ui from, struct motet_ui to,
                    uint64_t deadline_ms)
{
    struct check_event e = at(CHECK_CALL_BEGIN, from);
    e.id = id;
    e.peer = to;
    e.deadline_ns = deadline_ms == 0 ? NEVER : deadline_ms * MS;
    feed(&e);
}

static void called(uint64_t id, struct motet_ui from, enum motet_err err)
{
    struct check_event e = at(CHECK_CALL_END, from);
    e.id = id;
    e.err = err;
    e.value = err == MOTET_OK ? id : 0;
    feed(&e);
}

static void execute(uint64_t id, struct motet_ui to, struct motet_ui from)
{
    deliver(id, to, from);
    tell_id(CHECK_EXECUTE, to, id, from);
}

static void news(uint64_t id, struct motet_ui port, struct motet_ui subject,
                 enum motet_news what)
{
    struct check_event e = at(CHECK_NEWS, port);
    e.id = id;
    e.peer = subject;
    e.news = what;
    feed(&e);
}

static void crash(struct motet_ui any)
{
    tell(CHECK_SITE_END, any);
}

TestSuite(history, .timeout = 10);

Test(history, p1_good)
{
    start();
    send_by(1, P, R, 100);
    now_ms = 50;
    deliver(1, R, P);
    sent(1, P, MOTET_OK);
    send_by(2, P, R, 100);
    now_ms = 109;
    sent(2, P, MOTET_E_TIMEOUT);
    good("accepted and delivered; refused a little late");

    start();
    send_by(1, P, R, 100);
    now_ms = 500;
    struct check_event e = at(CHECK_SITE_PAUSED, P);
    e.value = 450 * MS;
    feed(&e);
    sent(1, P, MOTET_E_MAYBE_TIMEOUT);
    deliver(1, R, P);
    good("late, for its site was paused; unknown, and delivered after all");

    start();
    send(1, P, R);
    sent(1, P, MOTET_OK);
    tell(CHECK_PORT_END, R);
    send(2, P, R);
    crash(P);
    good("lost with the port; pending as the sender died");

    start();
    quiet(1, P, R);
    quiet(2, P, R);
    sent(0, P, MOTET_E_TIMEOUT);
    deliver(2, R, P);
    good("of two quiet ones, one failed and one came");
}

Test(history, p1_bad)
{
    start();
    send_by(1, P, R, 100);
    now_ms = 120;
    sent(1, P, MOTET_E_TIMEOUT);
    bad(1, "later than its deadline and 10 ms");

    start();
    send_by(1, P, R, 100);
    now_ms = 200;
    bad(1, "no outcome by its deadline");

    start();
    send(1, P, R);
    sent(1, P, MOTET_OK);
    deliver(1, R, P);
    sent(1, P, MOTET_OK);
    bad(1, "two outcomes");

    start();
    send(1, P, R);
    sent(1, P, MOTET_E_TIMEOUT);
    now_ms = 500;
    deliver(1, R, P);
    bad(1, "refused, then delivered");

    start();
    send(1, P, R);
    deliver(1, R, P);
    sent(1, P, MOTET_E_FULL);
    bad(1, "delivered, then refused");

    start();
    send(1, P, R);
    sent(1, P, MOTET_OK);
    bad(1, "accepted and never delivered");

    start();
    deliver(7, R, P);
    bad(1, "delivered, but nobody sent it");

    start();
    send(1, P, R);
    deliver(1, Q, P);
    sent(1, P, MOTET_OK);
    bad(1, "delivered where it was not sent");

    start();
    quiet(1, P, R);
    quiet(2, P, R);
    sent(0, P, MOTET_E_TIMEOUT);
    bad(1, "of two quiet ones, one is lost in silence");

    start();
    quiet(1, P, R);
    deliver(1, R, P);
    sent(0, P, MOTET_E_TIMEOUT);
    bad(1, "a quiet one is delivered and refused");

    start();
    sent(0, P, MOTET_E_TIMEOUT);
    bad(1, "a failure of nothing");
}

static const struct motet_ui G = {5, UI_STATIC_GROUP << 28};

static void send_group(uint64_t id, enum motet_mode how, bool wait)
{
    struct check_event e = at(CHECK_SEND_BEGIN, P);
    e.id = id;
    e.peer = G;
    e.how = how;
    e.wait = wait;
    e.told = true;
    feed(&e);
}

Test(history, p2)
{
    start();
    send_group(1, MOTET_TO_ALL, false);
    deliver(1, R, P);
    deliver(1, Q, P);
    sent(1, P, MOTET_E_FULL);
    good("to all: once each; one of them was full");

    start();
    send_group(1, MOTET_TO_ALL, false);
    deliver(1, R, P);
    deliver(1, R, P);
    sent(1, P, MOTET_OK);
    bad(2, "to all: one of them twice");

    start();
    send_group(1, MOTET_TO_ANY, false);
    deliver(1, R, P);
    deliver(1, Q, P);
    sent(1, P, MOTET_OK);
    bad(2, "to any: two of them");

    start();
    send(1, P, R);
    deliver(1, R, P);
    sent(1, P, MOTET_OK);
    deliver(1, R, P);
    bad(2, "delivered again");

    start();
    send(1, P, R);
    sent(1, P, MOTET_E_AGAIN);
    send(1, P, R);
    bad(2, "one number for two messages");
}

Test(history, p3_good)
{
    start();
    send(1, P, R);
    send(2, P, R);
    send(3, P, R);
    deliver(1, R, P);
    deliver(2, R, P);
    sent(1, P, MOTET_OK);
    sent(2, P, MOTET_E_MAYBE_TIMEOUT);
    deliver(3, R, P);
    sent(3, P, MOTET_OK);
    good("in order; only the acknowledgement of one is lost");

    start();
    send_group(1, MOTET_TO_ANY, true);
    send(2, P, R);
    deliver(2, R, P);
    sent(2, P, MOTET_OK);
    deliver(1, R, P);
    sent(1, P, MOTET_OK);
    good("who waits for a member has no place in a flow yet");
}

Test(history, p3_bad)
{
    start();
    send(1, P, R);
    send(2, P, R);
    deliver(2, R, P);
    deliver(1, R, P);
    sent(1, P, MOTET_OK);
    sent(2, P, MOTET_OK);
    bad(3, "the second before the first");

    start();
    send(1, P, R);
    send(2, P, R);
    sent(2, P, MOTET_OK);
    deliver(2, R, P);
    sent(1, P, MOTET_E_FULL);
    bad(3, "refused after a later one was accepted");

    start();
    send(1, P, R);
    send(2, P, R);
    deliver(2, R, P);
    now_ms = 40;
    sent(1, P, MOTET_E_MAYBE_TIMEOUT);
    sent(2, P, MOTET_OK);
    bad(3, "unknown and never delivered, and a later one was before");
}

Test(history, p4_good)
{
    start();
    call_by(1, P, R, 100);
    execute(1, R, P);
    tell_id(CHECK_REPLY, R, 1, P);
    now_ms = 99;
    called(1, P, MOTET_OK);
    call_by(2, P, R, 200);
    deliver(2, R, P);
    tell_id(CHECK_FORWARD, R, 2, P);
    execute(2, Q, P);
    now_ms = 205;
    called(2, P, MOTET_E_MAYBE_TIMEOUT);
    tell_id(CHECK_CANCELLED, Q, 2, P);
    call_by(3, P, R, 300);
    called(3, P, MOTET_E_NO_PORT);
    good("answered; forwarded and cancelled; not executed");
}

Test(history, p4_bad)
{
    start();
    call_by(1, P, R, 100);
    execute(1, R, P);
    tell_id(CHECK_REPLY, R, 1, P);
    called(1, P, MOTET_OK);
    called(1, P, MOTET_OK);
    bad(4, "completed twice");

    start();
    call_by(1, P, R, 100);
    now_ms = 115;
    called(1, P, MOTET_E_TIMEOUT);
    bad(4, "completed 15 ms late");

    start();
    call_by(1, P, R, 100);
    bad(4, "never completed");

    start();
    call_by(1, P, R, 100);
    execute(1, R, P);
    called(1, P, MOTET_E_TIMEOUT);
    tell_id(CHECK_CANCELLED, R, 1, P);
    bad(4, "executed, and said not to be");

    start();
    call_by(1, P, R, 100);
    called(1, P, MOTET_E_TIMEOUT);
    execute(1, R, P);
    tell_id(CHECK_CANCELLED, R, 1, P);
    bad(4, "said not to be executed, and executed then");

    start();
    call_by(1, P, R, 100);
    execute(1, R, P);
    tell_id(CHECK_EXECUTE, R, 1, P);
    tell_id(CHECK_REPLY, R, 1, P);
    called(1, P, MOTET_OK);
    bad(4, "executed twice");

    start();
    call_by(1, P, R, 100);
    called(1, P, MOTET_OK);
    bad(4, "a reply that nobody gave");

    start();
    call_by(1, P, R, 100);
    execute(1, R, P);
    called(1, P, MOTET_E_MAYBE_CANCELLED);
    bad(4, "the server never hears that it is over");
}

Test(history, p5)
{
    start();
    struct check_event e = at(CHECK_OWNER, P);
    e.port = R;
    e.value = 2;
    feed(&e);
    send(1, Q, R);
    e.what = CHECK_DELIVER;
    e.id = 1;
    e.peer = Q;
    feed(&e);
    sent(1, Q, MOTET_OK);
    good("it moved, and delivers at its new place");

    start();
    send(1, P, R);
    e = at(CHECK_DELIVER, P);
    e.port = R;
    e.id = 1;
    e.peer = P;
    feed(&e);
    sent(1, P, MOTET_OK);
    bad(5, "site 1 delivers from a port of site 2");

    start();
    send(1, P, R);
    sent(1, P, MOTET_OK);
    tell(CHECK_PORT_END, R);
    deliver(1, R, P);
    bad(5, "it delivers after its end");

    start();
    e = at(CHECK_OWNER, P);
    e.port = R;
    e.value = 1;
    feed(&e);
    bad(5, "another owner with the same epoch");

    start();
    e = at(CHECK_OWNER, R);
    e.value = 1;
    feed(&e);
    good("it is told twice, or goes on after a move that was given up");
}

static void watch(uint64_t id, struct motet_ui port, struct motet_ui subject)
{
    tell_id(CHECK_WATCH_BEGIN, port, id, subject);
}

Test(history, p7_good)
{
    start();
    watch(1, P, R);
    watch(2, P, ui_of_site(2));
    watch(3, P, R);
    send(9, R, P);
    deliver(9, P, R);
    sent(9, R, MOTET_OK);
    news(1, P, R, MOTET_NEWS_UNREACHABLE);
    news(1, P, R, MOTET_NEWS_REACHABLE);
    tell_id(CHECK_UNWATCH, P, 3, R);
    crash(R);
    news(1, P, R, MOTET_NEWS_SITE_DEAD);
    news(2, P, ui_of_site(2), MOTET_NEWS_SITE_DEAD);
    good("one terminal news each, but of the one that was ended");

    start();
    watch(1, P, R);
    tell(CHECK_PORT_END, R);
    crash(P);
    good("the watcher died too");
}

Test(history, p7_bad)
{
    start();
    watch(1, P, R);
    tell(CHECK_PORT_END, R);
    bad(7, "the end is never told");

    start();
    watch(1, P, R);
    tell(CHECK_PORT_END, R);
    news(1, P, R, MOTET_NEWS_CLOSED);
    news(1, P, R, MOTET_NEWS_CLOSED);
    bad(7, "told twice");

    start();
    watch(1, P, R);
    tell(CHECK_PORT_END, R);
    tell_id(CHECK_UNWATCH, P, 1, R);
    news(1, P, R, MOTET_NEWS_CLOSED);
    bad(7, "told after the watch was ended");

    start();
    watch(1, P, R);
    news(1, P, R, MOTET_NEWS_CRASHED);
    bad(7, "told of the end of a port that lives");

    start();
    watch(1, P, R);
    send(9, R, P);
    sent(9, R, MOTET_OK);
    tell(CHECK_PORT_END, R);
    news(1, P, R, MOTET_NEWS_CLOSED);
    deliver(9, P, R);
    bad(7, "a message after the news of the end");

    start();
    send(8, R, P);
    deliver(8, P, R);
    sent(8, R, MOTET_OK);
    watch(1, P, ui_of_site(2));
    crash(R);
    bad(7, "the death of a known site is never told");

    start();
    send(8, R, P);
    deliver(8, P, R);
    sent(8, R, MOTET_OK);
    watch(1, P, ui_of_site(2));
    send(9, R, P);
    sent(9, R, MOTET_OK);
    news(1, P, ui_of_site(2), MOTET_NEWS_SITE_DEAD);
    deliver(9, P, R);
    bad(7, "a message after the death of its site was told");

    start();
    news(1, P, R, MOTET_NEWS_CLOSED);
    bad(7, "news that nobody asked for");
}

static void view(struct motet_ui any, uint64_t members, uint64_t directory)
{
    struct check_event e = at(CHECK_VIEW, any);
    e.value = members;
    e.value2 = directory;
    feed(&e);
}

Test(history, p8)
{
    start();
    cr_expect_eq(check_views_differ(c), 2, "nobody was asked yet");
    view(P, 1, 2);
    view(R, 1, 2);
    cr_expect_eq(check_views_differ(c), 0);
    view(R, 3, 2);
    cr_expect_eq(check_views_differ(c), 1, "other members");
    view(R, 1, 3);
    cr_expect_eq(check_views_differ(c), 1, "another directory");
    tell(CHECK_SITE_APART, R);
    cr_expect_eq(check_views_differ(c), 0, "it is cut off for ever");
    check_free(c);
}

Test(history, p9)
{
    start();
    tell(CHECK_PORT_BEGIN, P);
    bad(9, "one UI for two ports");

    start();
    tell(CHECK_UI_ISSUED, G);
    tell(CHECK_UI_ISSUED, G);
    bad(9, "one UI for two groups");

    start();
    crash(P);
    tell(CHECK_SITE_BEGIN, P);
    bad(9, "one incarnation twice");

    start();
    crash(P);
    struct motet_ui later = P;
    later.lo += 1ULL << 32;
    tell(CHECK_SITE_BEGIN, later);
    tell(CHECK_PORT_BEGIN, later);
    good("a new incarnation has new UIs");
}

Test(history, p10)
{
    start();
    send(1, P, R);
    struct check_event e = at(CHECK_DELIVER, R);
    e.id = 1;
    e.peer = P;
    e.broken = true;
    feed(&e);
    sent(1, P, MOTET_OK);
    bad(10, "its content is another");
}

Test(history, p13)
{
    start();
    send(1, P, R);
    bad(13, "a message without a deadline is pending for ever");

    start();
    call_by(1, P, R, 0);
    bad(13, "and so is a call");

    start();
    send(1, P, R);
    tell(CHECK_SITE_APART, P);
    good("its site is cut off for ever");
}

Test(history, what_is_kept)
{
    start();
    for (int i = 0; i < CHECK_VIOLATIONS_MAX + 3; i++) {
        check_accuse(c, 12, 5 * MS, 1, "too much");
    }
    cr_expect_eq(check_violations(c), CHECK_VIOLATIONS_MAX + 3);
    cr_expect_not_null(check_violation(c, CHECK_VIOLATIONS_MAX - 1));
    cr_expect_null(check_violation(c, CHECK_VIOLATIONS_MAX));
    check_free(c);
}

Test(history, names)
{
    cr_expect_str_eq(check_promise_name(3), "order");
    cr_expect_str_eq(check_promise_name(14), "determinism");
    cr_expect_str_eq(check_promise_name(0), "?");
    cr_expect_str_eq(check_promise_name(CHECK_INVARIANT), "your invariant");
    cr_expect_str_eq(check_promise_name(16), "?");
    cr_expect_str_eq(check_what_name(CHECK_NEWS), "NEWS");
    cr_expect_str_eq(check_what_name(CHECK_WHAT_COUNT), "");
    for (int what = 1; what < CHECK_WHAT_COUNT; what++) {
        cr_expect_neq(*check_what_name((enum check_what)what), '\0', "%d",
                      what);
    }
}
