#include "parts.h"

/* Dialing: one lane of a peer, or an address behind which nobody is known yet.
 * What fails is tried again after a back-off; what is not answered gets another
 * attempt beside it, and whichever is answered first is taken. */

/* Half of the back-off and a random part of the other half; doubles it. */
static uint64_t back_off(struct netmgr *n, uint64_t *back_off_ns)
{
    if (*back_off_ns == 0) {
        *back_off_ns = DIAL_MIN_NS;
    }
    uint64_t wait = *back_off_ns / 2 + prng_below(&n->prng, *back_off_ns / 2);
    *back_off_ns =
        *back_off_ns * 2 > DIAL_MAX_NS ? DIAL_MAX_NS : *back_off_ns * 2;
    return wait;
}

static bool dial_needed(const struct dial *d)
{
    const struct peer *p = d->peer;
    if (p->conns[d->lane] != NULL) {
        return false;
    }
    if (d->lane == NET_CONTROL) {
        return p->wanted || p->kept > 0;
    }
    list_foreach (it, &p->sflows) {
        const struct sflow *f = LIST_ENTRY(it, const struct sflow, node);
        if (f->lane == NET_BULK && f->live > 0) {
            return p->up;
        }
    }
    return false;
}

static bool shaking_hands(const struct netmgr *n, const struct dial *d)
{
    list_foreach (it, &n->conns) {
        const struct conn *c = LIST_ENTRY(it, const struct conn, node);
        if (c->whom == d->peer && c->lane == d->lane && c->peer == NULL) {
            return true;
        }
    }
    return false;
}

static void dial_now(struct netmgr *n, struct dial *d)
{
    d->id = n->next_dial++;
    d->beside_ns = n->now + DIAL_BESIDE_NS;
    timer_set(n, &d->timer, d->beside_ns);
    struct net_effect *e = effect_push(n, NET_DIAL);
    e->dial = d->id;
    e->addr = d->peer->addr;
    e->site = d->peer->site;
    e->lane = d->lane;
}

/* The last one is not answered: another one. The oldest is given up. */
static void dial_beside(struct netmgr *n, struct dial *d)
{
    if (n->now < d->beside_ns) {
        timer_set(n, &d->timer, d->beside_ns);
        return;
    }
    if (n->leaving || !dial_needed(d) || shaking_hands(n, d) ||
        n->now < d->peer->banned_ns) {
        return;
    }
    for (int i = DIALS_BESIDE - 1; i > 0; i--) {
        d->beside[i] = d->beside[i - 1];
    }
    d->beside[0] = d->id;
    dial_now(n, d);
}

void dial_hurry(struct netmgr *n, struct dial *d)
{
    d->back_off_ns = 0;
    d->not_before_ns = 0;
    d->beside_ns = n->now;
    if (d->id != 0 || d->wanted) {
        timer_set(n, &d->timer, n->now);
    }
}

void dial_due(struct netmgr *n, struct dial *d)
{
    if (d->id != 0) {
        dial_beside(n, d);
        return;
    }
    if (!d->wanted) {
        return;
    }
    struct peer *p = d->peer;
    if (n->leaving || !dial_needed(d) || p->addr[0] == 0 ||
        shaking_hands(n, d)) {
        d->wanted = false;
        return;
    }
    uint64_t at =
        p->banned_ns > d->not_before_ns ? p->banned_ns : d->not_before_ns;
    if (n->now < at) {
        timer_set(n, &d->timer, at);
        return;
    }
    d->wanted = false;
    dial_now(n, d);
}

void net_peer_want(struct netmgr *n, struct peer *p, enum net_lane lane)
{
    struct dial *d = &p->dials[lane];
    if (d->id == 0 && !d->wanted && p->conns[lane] == NULL) {
        d->wanted = true;
        /* From the timer: so that a step gives few effects, and at once. */
        timer_set(n, &d->timer,
                  d->not_before_ns > n->now ? d->not_before_ns : n->now);
    }
}

void dial_again(struct netmgr *n, struct dial *d, uint64_t after_ns)
{
    d->id = 0;
    if (after_ns == 0) {
        after_ns = back_off(n, &d->back_off_ns);
    }
    d->not_before_ns = n->now + after_ns;
    d->wanted = false;
    if (dial_needed(d)) {
        net_peer_want(n, d->peer, d->lane);
    }
}

void seed_again(struct netmgr *n, struct seed *s, uint64_t after_ns)
{
    s->dial = 0;
    s->conn = NULL;
    if (after_ns == 0) {
        after_ns = back_off(n, &s->back_off_ns);
    }
    timer_set(n, &s->timer, n->now + after_ns);
}

void seed_due(struct netmgr *n, struct seed *s)
{
    if (s->self || s->dial != 0 || s->conn != NULL || n->leaving) {
        return;
    }
    const struct peer *p = s->site == 0 ? NULL : peer_find(n, s->site);
    if (p != NULL && p->up) {
        timer_set(n, &s->timer, n->now + DIAL_MAX_NS);
        return;
    }
    s->dial = n->next_dial++;
    struct net_effect *e = effect_push(n, NET_DIAL);
    e->dial = s->dial;
    e->addr = s->addr;
    e->lane = NET_CONTROL;
}

/* One that was given another beside it. */
static uint64_t *dial_is_beside(struct dial *d, uint64_t id)
{
    for (int i = 0; i < DIALS_BESIDE; i++) {
        if (d->beside[i] == id) {
            return &d->beside[i];
        }
    }
    return NULL;
}

bool netmgr_met_seeds(const struct netmgr *n)
{
    list_foreach (it, &n->seeds) {
        const struct seed *s = LIST_ENTRY(it, const struct seed, node);
        if (!s->self && s->site == 0) {
            return false;
        }
    }
    return true;
}

bool peer_dialed(struct netmgr *n, uint64_t id, struct peer **p,
                 struct seed **seed, enum net_lane *lane)
{
    *p = NULL;
    *seed = NULL;
    list_foreach (it, &n->seeds) {
        struct seed *s = LIST_ENTRY(it, struct seed, node);
        if (s->dial == id) {
            *seed = s;
            *lane = NET_CONTROL;
            return true;
        }
    }
    list_foreach (it, &n->peers) {
        struct peer *at = LIST_ENTRY(it, struct peer, node);
        for (int i = 0; i < NET_LANES_DIALED; i++) {
            if (at->dials[i].id == id ||
                dial_is_beside(&at->dials[i], id) != NULL) {
                *p = at;
                *lane = (enum net_lane)i;
                return true;
            }
        }
    }
    return false;
}

bool dial_over(struct dial *d, uint64_t id)
{
    uint64_t *beside = dial_is_beside(d, id);
    if (beside != NULL) {
        *beside = 0;
    }
    return beside != NULL;
}

enum motet_err peer_in_dial_failed(struct netmgr *n, const struct net_in *in)
{
    struct peer *p;
    struct seed *s;
    enum net_lane lane;
    if (in->dial == 0 || !peer_dialed(n, in->dial, &p, &s, &lane)) {
        return MOTET_OK; /* given up meanwhile */
    }
    if (s != NULL) {
        seed_again(n, s, 0);
    } else if (!dial_over(&p->dials[lane], in->dial)) {
        dial_again(n, &p->dials[lane], 0);
    }
    return MOTET_OK;
}
