#include "nucleus/base/ui.h"
#include "state.h"

/* Messages: P1 known outcome, P2 once, P3 order, and P5 at each delivery. */

enum { LATER_LOOKED_AT_MAX = 64 }; /* messages of a flow behind a refused one */

struct msg_rec *check_begin_msg(struct check *c, const struct check_event *e)
{
    if (e->id == 0 || map_get(&c->msgs, e->id, 0) != NULL) {
        check_violate(c, 2, e->site, "message %llu began twice",
                      (unsigned long long)e->id);
        return NULL;
    }
    struct msg_rec *m = check_record(c, sizeof *m);
    m->id = e->id;
    m->site = check_site(c, e->site, e->incarnation);
    m->src = check_port(c, e->port);
    m->target = check_port(c, e->peer);
    m->flow = check_flow(c, m->src, m->target);
    m->order = ++m->src->sent;
    m->begin_ns = e->now_ns;
    m->deadline_ns = e->deadline_ns;
    m->idle_before_ns = check_idle_ns(c, m->src);
    m->how = e->how;
    m->to_group = ui_is_group(e->peer);
    m->wait = e->wait;
    m->told = e->told;
    m->next = c->all_msgs;
    c->all_msgs = m;
    check_index(&c->msgs, e->id, 0, m);
    if (m->flow->last != NULL) {
        m->flow->last->next_in_flow = m;
    } else {
        m->flow->first = m;
    }
    m->flow->last = m;
    return m;
}

static bool to_all(const struct msg_rec *m)
{
    return m->to_group && m->how == MOTET_TO_ALL;
}

void check_in_time(struct check *c, const struct msg_rec *m, int promise)
{
    if (m->deadline_ns == UINT64_MAX) {
        return;
    }
    const uint64_t idle_ns = check_idle_ns(c, m->src) - m->idle_before_ns;
    const uint64_t latest = m->deadline_ns + c->cfg.late_ns + idle_ns;
    const uint64_t end = m->ended ? m->end_ns : c->now_ns;
    if (end > latest) {
        check_violate(
            c, promise, m->site->site, "%s %llu %s %llu us after its deadline",
            m->is_call ? "call" : "message", (unsigned long long)m->id,
            m->ended ? "ended" : "has no outcome",
            (unsigned long long)((end - m->deadline_ns) / 1000));
    }
}

/* P3: m failed, and its sender hears it now. Nothing behind it in its flow may
 * have been accepted already. An unknown one may have been accepted itself, and
 * only its acknowledgement be lost; then it comes out before those behind. */
static void judge_later_ones(struct check *c, const struct msg_rec *m)
{
    int looked_at = 0;
    /* Who stands still hears it as soon as it goes on. */
    const uint64_t hears_ns =
        check_catches_up(c, m->src) ? m->src->still_ns : c->now_ns;
    if (m->to_group || m->delivered > 0) {
        return;
    }
    for (const struct msg_rec *k = m->next_in_flow;
         k != NULL && looked_at < LATER_LOOKED_AT_MAX;
         k = k->next_in_flow, looked_at++) {
        const bool told = k->ended && k->told && !k->is_call &&
                          k->err == MOTET_OK &&
                          motet_err_ran(m->err) == MOTET_RAN_NO;
        const bool came =
            k->delivered > 0 && k->forwarded == 0 && k->delivered_ns < hears_ns;
        if (told || came) {
            check_violate(c, 3, m->site->site,
                          "message %llu ended as %s after message %llu of the "
                          "same flow was accepted",
                          (unsigned long long)m->id, motet_err_name(m->err),
                          (unsigned long long)k->id);
            return;
        }
    }
}

static void count_outcome(struct check *c, enum motet_err err)
{
    const enum motet_ran ran = motet_err_ran(err);
    c->counts.accepted += ran == MOTET_RAN_YES;
    c->counts.refused += ran == MOTET_RAN_NO;
    c->counts.unknown += ran == MOTET_RAN_MAYBE;
}

/* One of those sends from `port` of which only a failure is told: which one is
 * not said. */
static void quiet_failed(struct check *c, const struct check_event *e)
{
    struct port_rec *src = check_port(c, e->port);
    count_outcome(c, e->err);
    src->quiet_refused += motet_err_ran(e->err) == MOTET_RAN_NO;
    src->quiet_failed++;
    if (e->err == MOTET_OK || src->quiet_failed > src->quiet_sent) {
        check_violate(c, 1, e->site,
                      "%s was told of a message that nobody sent",
                      motet_err_name(e->err));
    }
}

static void send_ends(struct check *c, const struct check_event *e)
{
    struct msg_rec *m = map_get(&c->msgs, e->id, 0);
    if (m == NULL || m->is_call) {
        check_violate(c, 1, e->site, "message %llu ended but never began",
                      (unsigned long long)e->id);
        return;
    }
    if (m->ended) {
        check_violate(c, 1, e->site, "message %llu ended twice: %s, then %s",
                      (unsigned long long)e->id, motet_err_name(m->err),
                      motet_err_name(e->err));
        return;
    }
    m->ended = true;
    m->end_ns = e->now_ns;
    m->err = e->err;
    count_outcome(c, e->err);
    if (!m->told) {
        m->flow->quiet_sent--; /* refused at once */
        m->src->quiet_sent--;
    }
    check_in_time(c, m, 1);
    if (motet_err_ran(e->err) == MOTET_RAN_NO && m->delivered > 0 &&
        !to_all(m)) {
        check_violate(c, 1, e->site,
                      "message %llu was delivered, then refused: %s",
                      (unsigned long long)e->id, motet_err_name(e->err));
    }
    if (e->err != MOTET_OK) {
        judge_later_ones(c, m);
    }
}

void check_on_send(struct check *c, const struct check_event *e)
{
    if (e->what == CHECK_SEND_BEGIN) {
        struct msg_rec *m = check_begin_msg(c, e);
        c->counts.sends++;
        if (m != NULL && !m->told) {
            m->flow->quiet_sent++;
            m->src->quiet_sent++;
            m->src->quiet_to_all |= to_all(m);
        }
    } else if (e->id == 0) {
        quiet_failed(c, e);
    } else {
        send_ends(c, e);
    }
}

/* P5, and P1 of what was refused. */
static void judge_place(struct check *c, const struct check_event *e,
                        const struct msg_rec *m, const struct port_rec *dst)
{
    char text[TEXT_OF_UI];
    if (dst->home == NULL || dst->home->site != e->site ||
        dst->home->incarnation != e->incarnation || !check_alive(dst)) {
        check_violate(c, 5, e->site, "port %s delivers %llu but %s",
                      check_ui_text(dst->ui, text), (unsigned long long)e->id,
                      check_alive(dst) ? "lives elsewhere" : "has ended");
    }
    if (m->ended && !m->is_call && motet_err_ran(m->err) == MOTET_RAN_NO &&
        !to_all(m)) {
        check_violate(c, 1, e->site, "message %llu is delivered, but was %s",
                      (unsigned long long)e->id, motet_err_name(m->err));
    }
    if (!m->to_group && m->forwarded == 0 && m->target != dst) {
        check_violate(c, 1, e->site,
                      "message %llu is delivered at %s, where it was not sent",
                      (unsigned long long)e->id, check_ui_text(dst->ui, text));
    }
    if (e->broken) {
        check_violate(c, 10, e->site, "message %llu is not what was sent",
                      (unsigned long long)e->id);
    }
}

/* P2 and P3. A message to a group that waits for a member has no place in the
 * order of a flow before it gets one, and a forwarded call takes another way.
 */
static void judge_order(struct check *c, const struct check_event *e,
                        struct msg_rec *m, struct flow_rec *f)
{
    const bool free_order = (m->to_group && m->wait) || m->forwarded > 0;
    if (!to_all(m) && m->delivered > m->forwarded) {
        check_violate(c, 2, e->site, "message %llu is delivered again",
                      (unsigned long long)e->id);
        return;
    }
    if (free_order) {
        return;
    }
    if (m->order == f->last_order) {
        check_violate(c, 2, e->site, "message %llu is delivered twice",
                      (unsigned long long)e->id);
    } else if (m->order < f->last_order) {
        char src[TEXT_OF_UI];
        char dst[TEXT_OF_UI];
        check_violate(c, 3, e->site,
                      "message %llu, the %lluth from %s, reaches %s after the "
                      "%lluth",
                      (unsigned long long)e->id, (unsigned long long)m->order,
                      check_ui_text(m->src->ui, src),
                      check_ui_text(f->dst->ui, dst),
                      (unsigned long long)f->last_order);
    } else {
        f->last_order = m->order;
    }
}

/* Which incarnation of another a site has heard of: by messages from there. */
static void meet(struct check *c, const struct check_event *e,
                 const struct port_rec *src)
{
    if (src->home == NULL) {
        return;
    }
    const struct site_rec *here = check_site(c, e->site, e->incarnation);
    struct dead_rec *met = map_get(&c->met, here->index, src->home->site);
    if (met == NULL) {
        met = check_record(c, sizeof *met);
        check_index(&c->met, here->index, src->home->site, met);
    }
    if (src->home->incarnation > met->incarnation) {
        met->incarnation = src->home->incarnation;
    }
}

void check_on_deliver(struct check *c, const struct check_event *e)
{
    char text[TEXT_OF_UI];
    struct msg_rec *m = map_get(&c->msgs, e->id, 0);
    struct port_rec *dst = check_port(c, e->port);
    c->counts.delivered++;
    if (m == NULL || !ui_equal(m->src->ui, e->peer)) {
        check_violate(c, 1, e->site, "message %llu at %s was never sent%s",
                      (unsigned long long)e->id, check_ui_text(e->port, text),
                      m != NULL ? " from there" : "");
        return;
    }
    judge_place(c, e, m, dst);
    judge_order(c, e, m, check_flow(c, m->src, dst));
    if (m->forwarded == 0) {
        check_news_order(c, m->src, dst, e->site, e->id);
    }
    meet(c, e, m->src);
    if (m->delivered == 0) {
        m->delivered_ns = e->now_ns;
        m->flow->quiet_delivered += !m->told && !m->is_call;
        m->src->quiet_delivered += !m->told && !m->is_call;
    }
    m->delivered++;
    m->server = dst;
}

/* Whether an accepted message may be gone: its owner ended, or one of those
 * that may have been its owner. */
static bool may_be_lost(const struct port_rec *target)
{
    if (!ui_is_group(target->ui)) {
        return target->home != NULL && !check_alive(target);
    }
    for (const struct join_rec *j = target->joined; j != NULL; j = j->next) {
        if (!check_alive(j->port)) {
            return true;
        }
    }
    return false;
}

static void end_message(struct check *c, const struct msg_rec *m)
{
    if (!m->ended) {
        const bool settled = c->now_ns - m->begin_ns >= c->cfg.settle_ns;
        const bool due = m->deadline_ns <= c->now_ns;
        if (!check_alive(m->src)) {
            return;
        }
        if (due) {
            check_in_time(c, m, 1);
        } else if (settled && !check_apart(m->src)) {
            check_violate(c, 13, m->site->site,
                          "message %llu, sent at %llu ms, is still pending",
                          (unsigned long long)m->id,
                          (unsigned long long)(m->begin_ns / 1000000));
        }
    } else if (m->err == MOTET_OK && m->delivered == 0 &&
               !may_be_lost(m->target)) {
        check_violate(c, 1, m->site->site,
                      "message %llu was accepted and is lost",
                      (unsigned long long)m->id);
    }
}

/* What was not delivered, to those that live, must have been told. */
static void end_quiet(struct check *c, const struct port_rec *p)
{
    if (!p->quiet_to_all &&
        p->quiet_delivered + p->quiet_refused > p->quiet_sent) {
        check_violate(c, 1, p->home != NULL ? p->home->site : 0,
                      "of %u messages, %u were refused and %u delivered",
                      p->quiet_sent, p->quiet_refused, p->quiet_delivered);
    }
    if (p->quiet_missing > p->quiet_failed && check_alive(p) &&
        !p->home->apart) {
        check_violate(c, 1, p->home->site,
                      "%u messages to ports that live were not delivered, and "
                      "only %u failures told",
                      p->quiet_missing, p->quiet_failed);
    }
}

void check_end_sends(struct check *c)
{
    for (const struct msg_rec *m = c->all_msgs; m != NULL; m = m->next) {
        if (!m->is_call && m->told) {
            end_message(c, m);
        }
    }
    for (const struct flow_rec *f = c->all_flows; f != NULL; f = f->next) {
        if (f->quiet_sent > 0 && !may_be_lost(f->dst)) {
            f->src->quiet_missing += f->quiet_sent - f->quiet_delivered;
        }
    }
    for (const struct port_rec *p = c->all_ports; p != NULL; p = p->next) {
        if (p->quiet_sent > 0) {
            end_quiet(c, p);
        }
    }
}
