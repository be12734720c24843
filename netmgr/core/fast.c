#include "parts.h"

/* The path over datagrams that a session may have beside its connections, and
 * when small messages take it. What it promises is in NET_IN_PATH: so it is one
 * more connection, and that it ended is one more break: flows bind again
 * elsewhere and go on from what the other side expects. */

/* With NET_AUTO: taken when it answers no later than this much after CONTROL,
 * left when it is slower by more. */
static const uint64_t TAKE_LATER_NS = 200 * MS / 1000;
static const uint64_t LEAVE_LATER_NS = 2 * MS;

enum { FIRST_ANSWERS = 4 }; /* the best of them counts */

enum net_lane small_lane(const struct peer *p)
{
    return p->fast_used ? NET_FAST : NET_CONTROL;
}

const struct conn *answer_conn(const struct peer *p)
{
    return peer_conn(p, small_lane(p));
}

void fast_offer(struct netmgr *n, const struct conn *c,
                const struct net_hello *h)
{
    if (way_of(n, c->peer) == NET_TCP || c->datagram || c->token == 0 ||
        (h->features & NET_HELLO_PATH) == 0) {
        return;
    }
    struct net_effect *e = effect_push(n, NET_PATH);
    e->conn = c->id;
    e->site = c->peer->site;
    e->name = c->peer->name;
    e->up = c->dialed;
    e->chacha = n->chacha || (h->features & NET_HELLO_CHACHA) != 0;
    e->tokens[0] = c->dialed ? c->token : h->token;
    e->tokens[1] = c->dialed ? h->token : c->token;
}

/* ---- Up and down -----------------------------------------------------------
 */

static void poke_all(struct netmgr *n, struct peer *p)
{
    list_foreach (it, &p->sflows) {
        lane_poke(n, LIST_ENTRY(it, struct sflow, node));
    }
}

static bool clamp_size(uint32_t size, uint32_t *fragment)
{
    *fragment = size < NET_FRAGMENT_BYTES ? size : NET_FRAGMENT_BYTES;
    return size > 0;
}

enum motet_err fast_in_path(struct netmgr *n, const struct net_in *in)
{
    struct conn *c = conn_find(n, in->conn);
    const struct conn *control = conn_find(n, in->dial);
    uint32_t fragment;
    if (in->conn == 0 || !clamp_size(in->size, &fragment)) {
        return MOTET_E_INVALID;
    }
    if (c != NULL) {
        c->fragment = fragment;
        return MOTET_OK;
    }
    struct peer *p = control == NULL ? NULL : control->peer;
    if (p == NULL || p->conns[NET_CONTROL] != control) {
        return MOTET_E_NO_SITE;
    }
    if (p->conns[NET_FAST] != NULL) {
        net_conn_close(n, p->conns[NET_FAST]);
    }
    enum motet_err err = net_conn_new(n, in, &c);
    if (err != MOTET_OK) {
        return err;
    }
    c->verified = p->site;
    c->lane = NET_FAST;
    c->peer = p;
    c->fragment = fragment;
    p->conns[NET_FAST] = c;
    p->stats.fast_ups++;
    trace_add(n->trace, n->now, TRACE_CONN_UP, NET_FAST, c->id, p->site);
    session_ping(n, c);
    fast_judge(n, p);
    return MOTET_OK;
}

void fast_down(struct netmgr *n, struct peer *p)
{
    p->fast_used = false;
    p->stats.fast_downs++;
    list_foreach (it, &p->sflows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, node);
        if (f->lane == NET_FAST) {
            f->strayed = f->hi > f->una;
        }
    }
    session_unbind_lane(n, p, NET_FAST);
    list_foreach (it, &p->sflows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, node);
        if (f->lane == NET_FAST) {
            list_remove(&f->ready);
            f->lane = NET_CONTROL;
            sflow_tidy(n, f);
        }
    }
    list_foreach (it, &p->rflows) { /* ACKs may have been lost with it */
        ack_due(n, LIST_ENTRY(it, struct rflow, node), ACK_NOW);
    }
    poke_all(n, p);
}

/* ---- Which way -------------------------------------------------------------
 */

/* What CONTROL takes to answer: also a question not answered yet says so. */
static uint64_t control_rtt(const struct netmgr *n, const struct peer *p)
{
    const struct conn *c = p->conns[NET_CONTROL];
    uint64_t waits = 0;
    if (c != NULL && c->unanswered_ns != 0) {
        waits = n->now - c->unanswered_ns;
    }
    return waits > p->srtt_ns ? waits : p->srtt_ns;
}

static bool better(const struct netmgr *n, const struct peer *p)
{
    const struct conn *c = p->conns[NET_FAST];
    const uint64_t other = control_rtt(n, p);
    if (way_of(n, p) == NET_UDP) {
        return true;
    }
    if (c->srtt_ns == 0 || other == 0) {
        return p->fast_used;
    }
    return p->fast_used ? c->srtt_ns <= 2 * other + LEAVE_LATER_NS
                        : c->srtt_ns <= other + other / 4 + TAKE_LATER_NS;
}

void fast_judge(struct netmgr *n, struct peer *p)
{
    if (p->conns[NET_FAST] == NULL) {
        return;
    }
    const bool used = better(n, p);
    if (used != p->fast_used) {
        p->fast_used = used;
        poke_all(n, p);
    }
}

/* The path itself knows when it is broken; a PING asks how fast it answers, and
 * keeps what stands on the way from forgetting it. */
void fast_ping(struct netmgr *n, struct peer *p)
{
    struct conn *c = p->conns[NET_FAST];
    if (p->kept > 0 || n->now - c->pinged_ns >= PING_IDLE_NS) {
        session_ping(n, c);
    }
    fast_judge(n, p);
}

void fast_pong(struct netmgr *n, struct conn *c, uint64_t rtt_ns)
{
    rtt_ns = rtt_ns == 0 ? 1 : rtt_ns;
    /* It is asked seldom: one slow answer, to the first PING most of all, must
     * not count for half a minute. */
    if (c->answers < FIRST_ANSWERS) {
        c->answers++;
        c->srtt_ns =
            c->srtt_ns == 0 || rtt_ns < c->srtt_ns ? rtt_ns : c->srtt_ns;
    } else {
        c->srtt_ns = c->srtt_ns - c->srtt_ns / 8 + rtt_ns / 8;
    }
    fast_judge(n, c->peer);
}
