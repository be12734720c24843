#include "core.h"

struct waiter *waiter_for(const struct port *p)
{
    struct list *node = NULL;
    if (p->side != NULL) {
        node = list_first(&p->side->waiters);
    }
    if (node == NULL && p->enabled) {
        node = list_first(&p->actor->waiters);
    }
    return node != NULL ? LIST_ENTRY(node, struct waiter, node) : NULL;
}

void waiter_free(struct nucleus *n, struct waiter *w)
{
    list_remove(&w->node);
    deadline_clear(&n->timers, &w->timer);
    (void)map_remove(&w->actor->tokens, 0, w->token);
    n->counts.waiters--;
    pool_put(&n->waiter_pool, w);
}

static void tell_end(struct nucleus *n, struct motet_ui actor, uint64_t token,
                     enum motet_err err)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_RECEIVE_END);
    e->actor = actor;
    e->token = token;
    e->err = err;
}

void waiter_end(struct nucleus *n, struct waiter *w, enum motet_err err)
{
    tell_end(n, w->actor->ui, w->token, err);
    waiter_free(n, w);
}

/* Which of the actor's ports has the message to take now, or NULL. */
static struct port *ready_port(const struct actor *a, struct port *asked)
{
    struct port *p = asked;
    if (p == NULL) {
        if (a->ready.count == 0) {
            return NULL;
        }
        p = CONTAINER_OF(a->ready.heap[1], struct port, ready);
    }
    return list_empty(&p->queue) || p->frozen ? NULL : p;
}

static enum motet_err block(struct nucleus *n, struct actor *a, struct port *p,
                            const struct nuc_in *in)
{
    enum motet_err err = MOTET_E_NO_MEMORY;
    if (n->counts.waiters >= n->cfg.limits.waiters_max) {
        return MOTET_E_LIMIT;
    }
    if (p != NULL && port_side(n, p) == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct waiter *w = pool_take_or(&n->waiter_pool, &err);
    if (w == NULL) {
        return err;
    }
    w->timer.kind = TIMER_WAITER;
    if (!map_put(&a->tokens, 0, in->token, w)) {
        pool_put(&n->waiter_pool, w);
        return MOTET_E_NO_MEMORY;
    }
    if (!deadline_set(&n->timers, &w->timer, in->deadline_ns)) {
        (void)map_remove(&a->tokens, 0, in->token);
        pool_put(&n->waiter_pool, w);
        return MOTET_E_NO_MEMORY;
    }
    w->actor = a;
    w->token = in->token;
    list_append(p != NULL ? &p->side->waiters : &a->waiters, &w->node);
    n->counts.waiters++;
    return MOTET_OK;
}

/* A token is that of one blocked receive at a time: EXISTS. */
enum motet_err receive(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out)
{
    (void)out;
    enum motet_err err;
    struct port *asked = NULL;
    if (!ui_zero(in->port)) {
        asked = port_of(n, in->port, in->actor, &err);
        if (asked == NULL && err == MOTET_E_MOVING) {
            asked = port_get(n, in->port); /* it blocks */
        } else if (asked == NULL) {
            return err;
        }
    }
    struct actor *a = asked != NULL ? asked->actor : actor_get(n, in->actor);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    if (a->push) {
        return MOTET_E_STATE;
    }
    if (map_get(&a->tokens, 0, in->token) != NULL) {
        return MOTET_E_EXISTS;
    }
    struct port *p = ready_port(a, asked);
    if (p != NULL) {
        queue_deliver(n, p, in->token);
        queue_work(n, p);
        return MOTET_OK;
    }
    if (in->deadline_ns <= n->now_ns) {
        tell_end(n, a->ui, in->token, MOTET_E_TIMEOUT);
        return MOTET_OK;
    }
    return block(n, a, asked, in);
}

enum motet_err receive_stop(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    const struct actor *a = actor_get(n, in->actor);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    struct waiter *w = map_get(&a->tokens, 0, in->token);
    if (w == NULL) {
        return MOTET_E_STATE;
    }
    waiter_end(n, w, MOTET_E_CANCELLED);
    return MOTET_OK;
}
