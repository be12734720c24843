#include "deploy/check/check.h"
#include "history_one.h"

/* P5 and after: ports and their watches, views, what is pending for ever; and
 * what is kept of breaches. */

TestSuite(history, .timeout = 10);

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
