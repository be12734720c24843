#include "parts.h"

/* The loop: a session with this site itself. Frames for its two connections are
 * fed back by whoever carries out the effects. It is up for life, measures
 * nothing and is not among the peers. */

static struct conn *lane_new(struct netmgr *n, enum net_lane lane)
{
    struct conn *c = pool_take(&n->conn_pool);
    if (c == NULL) {
        return NULL;
    }
    if (!map_put(&n->conn_by_id, NET_LOOP(lane), 0, c)) {
        pool_put(&n->conn_pool, c);
        return NULL;
    }
    c->id = NET_LOOP(lane);
    c->verified = n->site;
    c->peer = n->self;
    c->lane = lane;
    c->loop = true;
    return c;
}

bool loop_new(struct netmgr *n, bool past_open)
{
    struct peer *p = pool_take(&n->peer_pool);
    if (p == NULL) {
        return false;
    }
    n->self = p;
    p->site = n->site;
    p->incarnation = n->incarnation;
    p->seen = n->incarnation;
    p->lost = past_open ? 0 : n->incarnation - 1;
    p->up = true;
    list_init(&p->sflows);
    list_init(&p->rflows);
    list_init(&p->ready[NET_CONTROL]);
    list_init(&p->ready[NET_BULK]);
    list_init(&p->acks);
    list_init(&p->lazy_acks);
    list_init(&p->starved);
    p->conns[NET_CONTROL] = lane_new(n, NET_CONTROL);
    p->conns[NET_BULK] = lane_new(n, NET_BULK);
    return p->conns[NET_CONTROL] != NULL && p->conns[NET_BULK] != NULL &&
           timer_start(n, &p->ack, TIMER_ACK) &&
           map_put(&n->peer_by_site, n->site, 0, p);
}
