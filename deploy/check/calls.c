#include "state.h"

/* P4: calls. */

static void call_ends(struct check *c, const struct check_event *e,
                      struct msg_rec *m)
{
    const enum motet_ran ran = motet_err_ran(e->err);
    if (m->ended) {
        check_violate(c, 4, e->site, "call %llu completed twice: %s, then %s",
                      (unsigned long long)e->id, motet_err_name(m->err),
                      motet_err_name(e->err));
        return;
    }
    m->ended = true;
    m->end_ns = e->now_ns;
    m->err = e->err;
    c->counts.replies += ran == MOTET_RAN_YES;
    c->counts.not_executed += ran == MOTET_RAN_NO;
    c->counts.maybe_executed += ran == MOTET_RAN_MAYBE;
    check_in_time(c, m, 4);
    if (ran == MOTET_RAN_NO && m->executed) {
        check_violate(c, 4, e->site, "call %llu was executed, but ends as %s",
                      (unsigned long long)e->id, motet_err_name(e->err));
    }
    if (ran == MOTET_RAN_YES && (!m->replied || e->value != e->id)) {
        check_violate(c, 4, e->site, "call %llu ends with %s",
                      (unsigned long long)e->id,
                      m->replied ? "a reply to another" : "a reply of nobody");
    }
}

static void execute(struct check *c, const struct check_event *e,
                    struct msg_rec *m)
{
    c->counts.executed++;
    if (m->executed) {
        check_violate(c, 4, e->site, "call %llu is executed again",
                      (unsigned long long)e->id);
    }
    if (m->ended && motet_err_ran(m->err) == MOTET_RAN_NO) {
        check_violate(c, 4, e->site, "call %llu is executed, but had ended: %s",
                      (unsigned long long)e->id, motet_err_name(m->err));
    }
    m->executed = true;
    m->holder = check_site(c, e->site, e->incarnation);
}

static void reply(struct check *c, const struct check_event *e,
                  struct msg_rec *m)
{
    if (e->err != MOTET_OK) {
        return;
    }
    if (m->replied || m->let_go) {
        check_violate(c, 4, e->site, "call %llu is answered %s",
                      (unsigned long long)e->id,
                      m->replied ? "twice" : "after it was cancelled");
    }
    m->replied = true;
}

static void forward(struct check *c, const struct check_event *e,
                    struct msg_rec *m)
{
    if (e->err == MOTET_OK) {
        c->counts.forwarded++;
        m->forwarded++;
    }
}

void check_on_call(struct check *c, const struct check_event *e)
{
    if (e->what == CHECK_CALL_BEGIN) {
        struct msg_rec *m = check_begin_msg(c, e);
        c->counts.calls++;
        if (m != NULL) {
            m->is_call = true;
        }
        return;
    }
    struct msg_rec *m = map_get(&c->msgs, e->id, 0);
    if (m == NULL || !m->is_call) {
        check_violate(c, 4, e->site, "%s of call %llu that nobody made",
                      check_what_name(e->what), (unsigned long long)e->id);
    } else if (e->what == CHECK_CALL_END) {
        call_ends(c, e, m);
    } else if (e->what == CHECK_CALL_CANCEL) {
        m->cancelled = true;
    } else if (e->what == CHECK_EXECUTE) {
        execute(c, e, m);
    } else if (e->what == CHECK_HOLD) {
        m->holder = check_site(c, e->site, e->incarnation);
    } else if (e->what == CHECK_REPLY) {
        reply(c, e, m);
    } else if (e->what == CHECK_FORWARD) {
        forward(c, e, m);
    } else if (e->what == CHECK_CANCELLED) {
        c->counts.cancelled++;
        m->let_go = true;
    }
}

static void end_call(struct check *c, const struct msg_rec *m)
{
    const uint64_t id = m->id;
    if (!m->ended && check_alive(m->src)) {
        if (m->deadline_ns <= c->now_ns) {
            check_in_time(c, m, 4);
        } else if (c->now_ns - m->begin_ns >= c->cfg.settle_ns &&
                   !check_apart(m->src)) {
            check_violate(c, 13, m->site->site,
                          "call %llu, made at %llu ms, is still pending",
                          (unsigned long long)id,
                          (unsigned long long)(m->begin_ns / 1000000));
        }
    }
    /* The server that still holds it must know that nobody waits. */
    if (m->executed && !m->replied && !m->let_go && check_alive(m->server) &&
        !check_apart(m->server) && m->holder->live && !m->holder->apart &&
        (m->ended || !check_alive(m->src))) {
        check_violate(c, 4, m->server->home->site,
                      "the server of call %llu never heard that it is over",
                      (unsigned long long)id);
    }
}

void check_end_calls(struct check *c)
{
    for (const struct msg_rec *m = c->all_msgs; m != NULL; m = m->next) {
        if (m->is_call) {
            end_call(c, m);
        }
    }
}
