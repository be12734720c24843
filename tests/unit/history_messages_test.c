#include "deploy/check/check.h"
#include "history_one.h"

/* P1 to P4: what becomes of messages and of calls. */

TestSuite(history_messages, .timeout = 10);

Test(history_messages, p1_good)
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

Test(history_messages, p1_bad)
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
}

Test(history_messages, p1_bad_quiet)
{
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

Test(history_messages, p2)
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

Test(history_messages, p3_good)
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

Test(history_messages, p3_bad)
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

Test(history_messages, p4_good)
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

Test(history_messages, p4_bad)
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
