#include <string.h>

#include "parts.h"

/* The way of frames to those who understand them; PING and round trips. */

/* ---- Liveness --------------------------------------------------------------
 */

uint64_t peer_rto(const struct peer *p)
{
    if (p->srtt_ns == 0) {
        return RTO_FIRST_NS;
    }
    uint64_t rto = p->srtt_ns + 4 * p->var_ns;
    return rto < RTO_MIN_NS ? RTO_MIN_NS : rto > RTO_MAX_NS ? RTO_MAX_NS : rto;
}

void session_ping(struct netmgr *n, struct conn *c)
{
    effect_frame(n, c, NET_PING)->frame.u.ping = n->now;
    c->pinged_ns = n->now;
    if (c->unanswered_ns == 0) {
        c->unanswered_ns = n->now;
    }
}

/* A bulk connection may take its time to carry a PING behind the data: there
 * every sign of life counts. */
static void alive(const struct netmgr *n, struct conn *c)
{
    if (c->lane == NET_BULK && c->unanswered_ns != 0) {
        c->unanswered_ns = n->now;
    }
}

/* @return false: the connection is broken, and closed */
static bool ping_conn(struct netmgr *n, struct conn *c, bool late)
{
    const struct peer *p = c->peer;
    if (late && c->unanswered_ns != 0) {
        c->unanswered_ns = n->now; /* it was us who did not listen */
    }
    uint64_t limit = c->datagram           ? PONG_DATAGRAM_NS
                     : c->lane == NET_BULK ? PONG_BULK_NS
                                           : PONG_STREAM_NS;
    if (c->unanswered_ns != 0 && n->now - c->unanswered_ns >= limit) {
        net_conn_close(n, c);
        return false;
    }
    if (p->kept > 0 || c->unanswered_ns != 0 ||
        (c->lane == NET_CONTROL && n->now - c->pinged_ns >= PING_IDLE_NS)) {
        session_ping(n, c);
    }
    return true;
}

void ping_timer(struct netmgr *n, struct peer *p, uint64_t due_ns)
{
    bool late = n->now - due_ns > STALL_NS;
    if (p->conns[NET_BULK] != NULL) {
        ping_conn(n, p->conns[NET_BULK], late);
    }
    if (p->conns[NET_FAST] != NULL) {
        fast_ping(n, p);
    }
    if (p->conns[NET_CONTROL] != NULL &&
        ping_conn(n, p->conns[NET_CONTROL], late)) {
        timer_set(n, &p->ping, n->now + PING_BUSY_NS);
    }
}

static bool differs_by_quarter(uint64_t a, uint64_t b)
{
    uint64_t apart = a > b ? a - b : b - a;
    return apart * 4 >= b;
}

static void in_pong(struct netmgr *n, struct conn *c, uint64_t sent_ns)
{
    struct peer *p = c->peer;
    if (sent_ns == 0 || sent_ns > c->pinged_ns || sent_ns > n->now) {
        return; /* an echo of nothing */
    }
    c->unanswered_ns = sent_ns == c->pinged_ns ? 0 : n->now;
    if (c->lane == NET_FAST) {
        fast_pong(n, c, n->now - sent_ns);
    }
    if (c->lane != NET_CONTROL) {
        return;
    }
    if (p->twin.incarnation != 0 && sent_ns >= p->twin.asked_ns) {
        p->twin.answered = true;
    }
    uint64_t rtt = n->now - sent_ns;
    rtt = rtt == 0 ? 1 : rtt;
    if (p->srtt_ns == 0) {
        p->srtt_ns = rtt;
        p->var_ns = rtt / 2;
    } else { /* RFC 6298 */
        uint64_t apart = rtt > p->srtt_ns ? rtt - p->srtt_ns : p->srtt_ns - rtt;
        p->var_ns += apart / 4;
        p->var_ns -= p->var_ns / 4;
        p->srtt_ns = p->srtt_ns - p->srtt_ns / 8 + rtt / 8;
        p->srtt_ns = p->srtt_ns == 0 ? 1 : p->srtt_ns;
    }
    fast_judge(n, p);
    if (p->up && differs_by_quarter(p->srtt_ns, p->told_rtt_ns)) {
        session_tell(n, p);
    }
}

/* ---- Frames ----------------------------------------------------------------
 */

static void in_bye(struct netmgr *n, struct peer *p)
{
    struct net_effect *e = effect_push(n, NET_PEER_BYE);
    e->site = p->site;
    e->incarnation = p->incarnation;
    p->wanted = false;
    peer_bury(n, p, p->incarnation);
}

static bool in_got_ctl(struct netmgr *n, const struct peer *p,
                       const struct net_frame *f)
{
    if (f->u.ctl.size > NET_CTL_BYTES_MAX) {
        return false;
    }
    struct net_effect *e = effect_push(n, NET_GOT_CTL);
    e->site = p->site;
    e->incarnation = p->incarnation;
    e->bytes = f->u.ctl.bytes;
    e->size = f->u.ctl.size;
    return true;
}

static bool in_hello_late(struct netmgr *n, const struct conn *c,
                          const struct net_hello *h)
{
    if (!c->datagram) {
        return false;
    }
    if (!h->answer && h->site == c->peer->site) {
        session_hello_again(n, c);
    }
    return true;
}

/* A frame of an adopted connection. @return false: it breaks the protocol */
static bool in_frame(struct netmgr *n, struct conn *c,
                     const struct net_frame *f)
{
    struct peer *p = c->peer;
    if (c->lane == NET_FAST &&
        (f->kind == NET_HELLO || f->kind == NET_REFUSE || f->kind == NET_BYE)) {
        return false;
    }
    switch (f->kind) {
    case NET_HELLO:
        return in_hello_late(n, c, f->u.hello);
    case NET_REFUSE:
        session_refuse_in(n, c, f->u.refuse);
        return true;
    case NET_BIND:
        return rflow_bind(n, p, c, &f->u.bind);
    case NET_UNBOUND:
        return answer_unbound(n, p, f->u.unbound);
    case NET_DATA:
        return accept_data(n, p, c, &f->u.data);
    case NET_ACK:
        return answer_ack(n, p, &f->u.ack);
    case NET_MOVED:
        return answer_moved(n, p, &f->u.moved);
    case NET_CTL:
        return in_got_ctl(n, p, f);
    case NET_PING:
        effect_frame(n, c, NET_PONG)->frame.u.ping = f->u.ping;
        return true;
    case NET_PONG:
        in_pong(n, c, f->u.ping);
        return true;
    case NET_BYE:
        in_bye(n, p);
        return true;
    case NET_FRAME_COUNT:
        break;
    }
    return false;
}

/* Nothing is heard before HELLO. */
static void in_first(struct netmgr *n, struct conn *c,
                     const struct net_frame *f)
{
    if (f->kind == NET_HELLO) {
        session_hello_in(n, c, f->u.hello);
    } else if (f->kind == NET_REFUSE && c->dialed) {
        session_refuse_in(n, c, f->u.refuse);
    } else if (!c->datagram) {
        peer_violation(n, c, "a frame before hello");
    }
}

enum motet_err session_in_frame(struct netmgr *n, const struct net_in *in)
{
    struct conn *c = conn_find(n, in->conn);
    if (c == NULL) {
        return MOTET_OK; /* closed here meanwhile */
    }
    struct peer *p = c->peer;
    if (p == NULL) {
        in_first(n, c, in->frame);
        return MOTET_OK;
    }
    alive(n, c);
    if (p != n->self && p->heard_turn != n->turn + 1) {
        p->heard_turn = n->turn + 1;
        struct net_effect *e = effect_push(n, NET_HEARD);
        e->site = p->site;
        e->incarnation = p->incarnation;
    }
    if (!in_frame(n, c, in->frame)) {
        peer_violation(n, c, "a frame that breaks the protocol");
    }
    return MOTET_OK;
}

enum motet_err session_in_violation(struct netmgr *n, const struct net_in *in)
{
    struct conn *c = conn_find(n, in->conn);
    if (c != NULL) {
        peer_violation(n, c, "bytes that are no frame");
    }
    return MOTET_OK;
}

enum motet_err session_in_drained(struct netmgr *n, const struct net_in *in)
{
    struct conn *c = conn_find(n, in->conn);
    if (c == NULL) {
        return MOTET_OK;
    }
    c->backlog -= in->size < c->backlog ? in->size : c->backlog;
    if (c->peer != NULL) {
        alive(n, c);
        peer_dirty(n, c->peer);
    }
    return MOTET_OK;
}

enum motet_err session_in_ctl(struct netmgr *n, const struct net_in *in)
{
    if (in->size > NET_CTL_BYTES_MAX) {
        return MOTET_E_TOO_BIG;
    }
    const struct peer *p = peer_find(n, in->site);
    const struct conn *c = p == NULL ? NULL : answer_conn(p);
    if (c == NULL) {
        return MOTET_E_UNREACHABLE;
    }
    if (c->lane == NET_FAST && in->size > c->fragment) {
        c = peer_conn(p, NET_CONTROL);
    }
    struct buf *copy = buf_copy(n->mem, in->bytes, in->size);
    if (copy == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct net_effect *e = effect_frame(n, c, NET_CTL);
    e->frame.u.ctl.bytes = copy->data;
    e->frame.u.ctl.size = copy->size;
    e->frame.u.ctl.hold = copy;
    return MOTET_OK;
}

enum motet_err session_in_leave(struct netmgr *n, const struct net_in *in)
{
    (void)in;
    n->leaving = true;
    list_foreach (it, &n->peers) {
        const struct peer *p = LIST_ENTRY(it, const struct peer, node);
        const struct conn *c = peer_conn(p, NET_CONTROL);
        if (c != NULL && n->effect_count + 8 < EFFECTS_MAX) {
            effect_frame(n, c, NET_BYE);
        }
    }
    return MOTET_OK;
}
