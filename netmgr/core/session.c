#include <string.h>

#include "parts.h"

/* Connections and sessions: HELLO, adoption, PING, the way of frames. */

struct conn *peer_conn(const struct peer *p, enum net_lane lane)
{
    return p->up ? p->conns[lane] : NULL;
}

struct conn *conn_find(const struct netmgr *n, uint64_t id)
{
    return map_get(&n->conn_by_id, id, 0);
}

void session_tell(struct netmgr *n, struct peer *p)
{
    struct net_effect *e = effect_push(n, NET_SESSION);
    e->site = p->site;
    e->incarnation = p->incarnation;
    e->up = p->up;
    e->rtt_ns = p->srtt_ns;
    e->name = p->name;
    e->addr = p->addr;
    p->told_rtt_ns = p->srtt_ns;
    p->told_up = p->up;
    p->told_incarnation = p->incarnation;
}

void session_told_down(struct netmgr *n, struct peer *p)
{
    timer_set(n, &p->blip, FAR);
    if (!p->up && p->told_up) {
        session_tell(n, p);
    }
}

/* ---- Detaching -------------------------------------------------------------
 */

/* The flows of a lane lose their handles. They bind again when they have
 * something to send. */
void session_unbind_lane(struct netmgr *n, struct peer *p, enum net_lane lane)
{
    list_foreach (it, &p->sflows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, node);
        if (f->lane == (uint8_t)lane) {
            sflow_unbind(n, f);
        }
    }
    list_foreach (it, &p->rflows) {
        struct rflow *r = LIST_ENTRY(it, struct rflow, node);
        if (r->lane == (uint8_t)lane) {
            rflow_unbind(n, r);
        }
    }
}

static void session_down(struct netmgr *n, struct peer *p)
{
    p->up = false;
    n->sessions--;
    timer_set(n, &p->ping, FAR);
    trace_add(n->trace, n->now, TRACE_SESSION_DOWN, p->incarnation, p->site, 0);
    timer_set(n, &p->blip, n->now + BLIP_NS);
}

/* `replaced`: another one takes its place in this step. */
static void detach(struct netmgr *n, struct conn *c, bool replaced)
{
    struct peer *p = c->peer;
    if (p == NULL) {
        return;
    }
    c->peer = NULL;
    p->conns[c->lane] = NULL;
    if (c->lane == NET_FAST) {
        fast_down(n, p);
        return;
    }
    if (c->lane == NET_CONTROL && p->conns[NET_FAST] != NULL) {
        net_conn_close(n, p->conns[NET_FAST]); /* its keys are those of c */
    }
    p->stats.breaks++;
    session_unbind_lane(n, p, c->lane);
    if (replaced) {
        return;
    }
    if (c->lane == NET_CONTROL) {
        session_down(n, p);
    }
    dial_again(n, &p->dials[c->lane], 0);
    list_foreach (it, &p->sflows) {
        sflow_tidy(n, LIST_ENTRY(it, struct sflow, node));
    }
}

static void conn_forget(struct netmgr *n, struct conn *c, bool replaced)
{
    trace_add(n->trace, n->now, TRACE_CONN_DOWN, c->lane, c->id, 0);
    map_remove(&n->conn_by_id, c->id, 0);
    list_remove(&c->node);
    detach(n, c, replaced);
    deadline_clear(&n->timers, &c->timer);
    pool_put(&n->conn_pool, c);
}

/* A dialed connection ended before it was adopted. */
static void dialed_in_vain(struct netmgr *n, const struct conn *c,
                           uint64_t after_ns)
{
    if (c->peer != NULL) {
        return;
    }
    if (c->seed != NULL) {
        seed_again(n, c->seed, after_ns);
    } else if (c->whom != NULL) {
        dial_again(n, &c->whom->dials[c->lane], after_ns);
    }
}

void conn_free(struct netmgr *n, struct conn *c)
{
    struct conn gone = *c;
    conn_forget(n, c, false);
    dialed_in_vain(n, &gone, 0);
}

void net_conn_close(struct netmgr *n, struct conn *c)
{
    effect_push(n, NET_CLOSE)->conn = c->id;
    conn_free(n, c);
}

static void conn_close_after(struct netmgr *n, struct conn *c,
                             uint64_t after_ns)
{
    struct conn gone = *c;
    effect_push(n, NET_CLOSE)->conn = c->id;
    conn_forget(n, c, false);
    dialed_in_vain(n, &gone, after_ns);
}

static void conn_replace(struct netmgr *n, struct conn *c)
{
    effect_push(n, NET_CLOSE)->conn = c->id;
    conn_forget(n, c, true);
}

/* ---- HELLO -----------------------------------------------------------------
 */

static void send_hello(struct netmgr *n, const struct conn *c, bool answer)
{
    union note *note = note_new(n);
    hello_write(n, c, answer, c->peer != NULL ? c->peer : c->whom,
                &note->hello);
    effect_frame(n, c, NET_HELLO)->frame.u.hello = &note->hello;
}

/* Refuses and closes; dials again when that makes sense. */
static void send_refuse(struct netmgr *n, struct conn *c,
                        const struct net_refuse *refuse)
{
    union note *note = note_new(n);
    note->refuse = *refuse;
    effect_frame(n, c, NET_REFUSE)->frame.u.refuse = &note->refuse;
    conn_close_after(n, c,
                     refuse->err == MOTET_E_AGAIN ? AGAIN_NS : REFUSED_NS);
}

static void tell_refused(struct netmgr *n, enum net_effect_kind kind,
                         uint64_t site, const struct net_refuse *refuse,
                         uint32_t incarnation)
{
    union note *note = note_new(n);
    note->refuse = *refuse;
    struct net_effect *e = effect_push(n, kind);
    e->err = refuse->err;
    e->site = site;
    e->incarnation = incarnation;
    e->detail = note->refuse.detail;
    trace_add(n->trace, n->now, TRACE_HELLO_REFUSED, (uint32_t)refuse->err,
              site, kind);
}

enum motet_err net_conn_new(struct netmgr *n, const struct net_in *in,
                            struct conn **made)
{
    struct conn *c = pool_take(&n->conn_pool);
    if (c == NULL) {
        return MOTET_E_LIMIT;
    }
    if (!timer_start(n, &c->timer, TIMER_CONN) ||
        !map_put(&n->conn_by_id, in->conn, 0, c)) {
        deadline_clear(&n->timers, &c->timer);
        pool_put(&n->conn_pool, c);
        return MOTET_E_NO_MEMORY;
    }
    c->id = in->conn;
    c->verified = in->site;
    c->datagram = in->datagram;
    c->up_ns = n->now;
    if (ways_any(n)) {
        c->token = prng_next(&n->prng);
    }
    text_copy(c->addr, sizeof(c->addr), in->addr == NULL ? "" : in->addr);
    list_append(&n->conns, &c->node);
    *made = c;
    return MOTET_OK;
}

/* A connection dialed from here is up. One that is not needed any more, or
 * finds no room, closes at once. */
static void up_dialed(struct netmgr *n, const struct net_in *in)
{
    struct peer *p;
    struct seed *s;
    struct conn *c;
    enum net_lane lane = NET_CONTROL;
    if (!peer_dialed(n, in->dial, &p, &s, &lane)) {
        effect_push(n, NET_CLOSE)->conn = in->conn;
        return;
    }
    bool needed = p == NULL || p->conns[lane] == NULL;
    if (!needed || net_conn_new(n, in, &c) != MOTET_OK) {
        effect_push(n, NET_CLOSE)->conn = in->conn;
        if (s != NULL) {
            seed_again(n, s, 0);
        } else if (!dial_over(&p->dials[lane], in->dial)) {
            dial_again(n, &p->dials[lane], 0);
        }
        return;
    }
    c->dialed = true;
    c->lane = lane;
    c->whom = p;
    c->seed = s;
    if (s != NULL) {
        s->dial = 0;
        s->conn = c;
    } else if (!dial_over(&p->dials[lane], in->dial)) {
        p->dials[lane].id = 0;
    }
    send_hello(n, c, false);
    timer_set(n, &c->timer,
              n->now + (c->datagram ? HELLO_REPEAT_NS : HELLO_NS));
    trace_add(n->trace, n->now, TRACE_CONN_UP, lane, c->id, in->site);
}

enum motet_err session_in_up(struct netmgr *n, const struct net_in *in)
{
    if (in->conn == 0 || conn_find(n, in->conn) != NULL) {
        return MOTET_E_INVALID;
    }
    if (n->leaving) {
        effect_push(n, NET_CLOSE)->conn = in->conn;
        return MOTET_OK;
    }
    if (in->dial != 0) {
        up_dialed(n, in);
        return MOTET_OK;
    }
    struct conn *c;
    enum motet_err err = net_conn_new(n, in, &c);
    if (err != MOTET_OK) {
        return err;
    }
    timer_set(n, &c->timer, n->now + HELLO_NS);
    trace_add(n->trace, n->now, TRACE_CONN_UP, NET_CONTROL, c->id, in->site);
    return MOTET_OK;
}

void conn_timer(struct netmgr *n, struct conn *c)
{
    if (c->peer != NULL) {
        return;
    }
    if (n->now >= c->up_ns + HELLO_NS) {
        net_conn_close(n, c);
        return;
    }
    if (c->datagram && c->dialed) {
        send_hello(n, c, false);
    }
    timer_set(n, &c->timer, n->now + HELLO_REPEAT_NS);
}

/* ---- Adoption --------------------------------------------------------------
 */

/* Other connections of that lane still in their HELLO give way. */
static void close_rivals(struct netmgr *n, const struct peer *p,
                         const struct conn *winner)
{
    list_foreach (it, &n->conns) {
        struct conn *c = LIST_ENTRY(it, struct conn, node);
        if (c != winner && c->whom == p && c->peer == NULL &&
            c->lane == winner->lane) {
            c->whom = NULL;
            net_conn_close(n, c);
        }
    }
}

static void learn(struct peer *p, const struct conn *c,
                  const struct net_hello *h)
{
    p->incarnation = h->incarnation;
    p->seen = h->incarnation;
    p->body_bytes_max = h->body_bytes_max;
    text_copy(p->name, sizeof(p->name), h->name);
    text_copy(p->hello_addr, sizeof(p->hello_addr), h->address);
    if (h->address[0] != 0) {
        text_copy(p->addr, sizeof(p->addr), h->address);
    } else if (p->addr[0] == 0 && c->seed != NULL) {
        text_copy(p->addr, sizeof(p->addr), c->seed->addr);
    }
}

static void adopt(struct netmgr *n, struct conn *c, struct peer *p,
                  const struct net_hello *h)
{
    enum net_lane lane = h->lane;
    bool was_up = p->up;
    c->lane = lane;
    if (p->conns[lane] != NULL) {
        conn_replace(n, p->conns[lane]);
    }
    if (lane == NET_CONTROL) {
        learn(p, c, h);
    }
    c->peer = p;
    p->conns[lane] = c;
    p->dials[lane].wanted = false;
    p->dials[lane].back_off_ns = 0;
    p->dials[lane].not_before_ns = 0;
    timer_set(n, &c->timer, FAR);
    close_rivals(n, p, c);
    if (c->seed != NULL) {
        c->seed->site = p->site;
        c->seed->back_off_ns = 0;
        p->wanted = true;
        seed_again(n, c->seed, DIAL_MAX_NS);
        c->seed = NULL;
    }
    if (!h->answer) {
        send_hello(n, c, true);
    }
    if (lane == NET_CONTROL) {
        fast_offer(n, c, h);
    }
    if (lane == NET_CONTROL && !was_up) {
        p->up = true;
        n->sessions++;
        p->stats.up_since_ns = n->now;
        trace_add(n->trace, n->now, TRACE_SESSION_UP, p->incarnation, p->site,
                  c->id);
        timer_set(n, &p->blip, FAR);
        if (!p->told_up || p->told_incarnation != p->incarnation) {
            session_tell(n, p);
        }
    }
    if (lane == NET_CONTROL) {
        dial_hurry(n, &p->dials[NET_BULK]);
        session_ping(n, c);
        timer_set(n, &p->ping, n->now + PING_BUSY_NS);
    }
    list_foreach (it, &p->sflows) {
        lane_poke(n, LIST_ENTRY(it, struct sflow, node));
    }
    list_foreach (it, &p->rflows) { /* ACKs may have died with CONTROL */
        ack_due(n, LIST_ENTRY(it, struct rflow, node), ACK_NOW);
    }
}

static void twin_ask(struct netmgr *n, struct peer *p,
                     const struct net_hello *h)
{
    p->twin = (struct twin){.incarnation = h->incarnation, .asked_ns = n->now};
    session_ping(n, p->conns[NET_CONTROL]);
}

/* It has to be told by a connection from here that it was declared dead. */
static void tell_dead(struct netmgr *n, struct peer *p,
                      const struct net_hello *h)
{
    if (h->address[0] != 0) {
        text_copy(p->addr, sizeof(p->addr), h->address);
        p->wanted = true;
        net_peer_want(n, p, NET_CONTROL);
    }
}

void session_hello_in(struct netmgr *n, struct conn *c,
                      const struct net_hello *h)
{
    if (h->answer != c->dialed || h->lane >= NET_FAST ||
        (c->dialed && h->lane != c->lane)) {
        peer_violation(n, c, "hello out of place");
        return;
    }
    if (n->leaving) {
        net_conn_close(n, c);
        return;
    }
    struct net_refuse refuse = {.site = n->site, .err = MOTET_E_AGAIN};
    text_copy(refuse.detail, sizeof(refuse.detail), "ask again");
    struct peer *p = peer_find(n, h->site);
    enum hello_do verdict = hello_judge(n, c, h, p, &refuse);
    if (verdict == HELLO_ADOPT || verdict == HELLO_SUPERSEDE) {
        p = net_peer_get(n, h->site);
        if (p != NULL) {
            peer_succeed(n, p, h->incarnation);
            adopt(n, c, p, h);
            return;
        }
        refuse.err = MOTET_E_LIMIT;
        verdict = HELLO_REFUSE;
    }
    if (verdict == HELLO_REFUSE && refuse.err != MOTET_E_EXISTS) {
        tell_refused(n, NET_REFUSED_PEER, h->site, &refuse, h->incarnation);
    } else if (verdict == HELLO_SELF) {
        n->selves++;
    } else if (verdict == HELLO_TWIN_ASK) {
        twin_ask(n, p, h);
    } else if (verdict == HELLO_TELL) {
        tell_dead(n, p, h);
    } else if (verdict == HELLO_REBORN) {
        struct net_refuse stale = {.err = MOTET_E_STALE};
        text_copy(stale.detail, sizeof(stale.detail),
                  "this incarnation was declared dead");
        tell_refused(n, NET_REFUSED_US, h->site, &stale, n->incarnation + 1);
    }
    send_refuse(n, c, &refuse);
}

void session_refuse_in(struct netmgr *n, struct conn *c,
                       const struct net_refuse *r)
{
    struct peer *p = c->peer != NULL ? c->peer : c->whom;
    if (r->err <= MOTET_OK || r->err >= MOTET_E_COUNT ||
        strnlen(r->detail, sizeof(r->detail)) == sizeof(r->detail)) {
        peer_violation(n, c, "malformed refuse");
        return;
    }
    if (r->err == MOTET_E_TWIN && c->seed != NULL && n->selves > 0) {
        n->selves--;
        c->seed->self = true;
        net_conn_close(n, c);
        return;
    }
    if (r->err == MOTET_E_EXISTS && c->seed != NULL) {
        c->seed->site = c->verified != 0 ? c->verified : r->site;
    } else if (r->err != MOTET_E_AGAIN) {
        tell_refused(n, NET_REFUSED_US, p != NULL ? p->site : c->verified, r,
                     r->incarnation);
    }
    conn_close_after(n, c, r->err == MOTET_E_AGAIN ? AGAIN_NS : REFUSED_NS);
}

void session_hello_again(struct netmgr *n, const struct conn *c)
{
    if (!c->dialed) {
        send_hello(n, c, true);
    }
}

enum motet_err session_in_down(struct netmgr *n, const struct net_in *in)
{
    struct conn *c = conn_find(n, in->conn);
    if (c != NULL) {
        conn_free(n, c);
    }
    return MOTET_OK;
}
