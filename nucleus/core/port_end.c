#include "core.h"

/* A port that ends is gone at once: nothing new finds it. What it owes to
 * others is paid in units, in an order that matters: replies and outcomes
 * first, then the news of its end, and last the word to the network manager,
 * which carries on what was sent before. */

static enum motet_err refused(const struct port *p)
{
    return p->news == MOTET_NEWS_CRASHED ? MOTET_E_CRASHED : MOTET_E_CLOSED;
}

static enum motet_err unknown(const struct port *p)
{
    return p->news == MOTET_NEWS_CRASHED ? MOTET_E_MAYBE_CRASHED
                                         : MOTET_E_MAYBE_CLOSED;
}

void port_end(struct nucleus *n, struct port *p, enum motet_news news,
              bool asked)
{
    CHECK(!p->ending);
    trace(n, TRACE_PORT_END, (uint32_t)news, p->ui.lo, p->msgs);
#ifdef MOTET_BUG_REUSE_UI
    n->reuse_serial = ui_serial(p->ui);
#endif
    (void)map_remove(&n->port_by_ui, p->ui.hi, p->ui.lo);
    if (p->actor != NULL) {
        deadline_clear(&p->actor->ready, &p->ready);
    }
    list_remove(&p->node);
    list_append(&n->ending, &p->node);
    list_remove(&p->work);
    list_append(&n->work, &p->work);
    p->ending = true;
    p->asked = asked;
    p->news = (uint8_t)news;
}

static void drop_queued(struct nucleus *n, struct port *p, struct parcel *q)
{
    struct held *h = q->held;
    const bool news = q->msg.kind == MSG_NEWS;
    queue_remove(n, q);
    if (h != NULL) {
        h->parcel = NULL;
        held_answer(n, h, p->ui, refused(p));
    }
    if (!news) {
        n->counts.lost++;
    }
    parcel_free(n, q);
}

static void refuse_parked(struct nucleus *n, struct port *p, struct parcel *q)
{
    struct held *h = q->held;
    queue_remove(n, q);
    if (h == NULL) {
        parcel_settle(n, q, refused(p));
        return;
    }
    count_outcome(n, refused(p));
    h->parcel = NULL;
    held_answer(n, h, p->ui, refused(p));
    parcel_free(n, q);
}

static void tell_wanting(struct nucleus *n, struct port *p, struct want *w)
{
    const struct port *src = port_get(n, w->src);
    if (src != NULL && src->actor != NULL) {
        struct nuc_effect *e = fx_put(&n->fx, NUC_ROOM);
        e->actor = src->actor->ui;
        e->port = src->ui;
        e->dst = p->ui;
    }
    queue_unwant(n, p, w);
}

static void leave_group(struct nucleus *n, struct port *p, struct member *m)
{
    list_remove(&m->of_port);
    group_publish(n, m->group, p->ui, false);
}

/* One thing that it owes to those who sent to it. @return false: none left */
static bool pay_senders(struct nucleus *n, struct port *p)
{
    struct port_side *s = p->side;
    struct list *node;
    if ((node = list_first(&p->queue)) != NULL) {
        drop_queued(n, p, LIST_ENTRY(node, struct parcel, node));
        return true;
    }
    if (s == NULL) {
        return false;
    }
    if ((node = list_first(&s->parked)) != NULL) {
        refuse_parked(n, p, LIST_ENTRY(node, struct parcel, node));
    } else if ((node = list_first(&s->helds)) != NULL) {
        held_abandon(n, LIST_ENTRY(node, struct held, of_port), unknown(p));
    } else if ((node = list_first(&s->wanting)) != NULL) {
        tell_wanting(n, p, LIST_ENTRY(node, struct want, node));
    } else {
        return false;
    }
    return true;
}

/* One thing that it owes to others. @return false: none left */
static bool pay_others(struct nucleus *n, struct port *p)
{
    struct port_side *s = p->side;
    struct list *node;
    if (s == NULL) {
        return false;
    }
    if ((node = list_first(&s->waiters)) != NULL) {
        waiter_end(n, LIST_ENTRY(node, struct waiter, node), MOTET_E_CLOSED);
    } else if ((node = list_first(&s->waits)) != NULL) {
        parcel_give_up(n, LIST_ENTRY(node, struct parcel, of_src),
                       MOTET_E_CLOSED);
    } else if ((node = list_first(&s->calls)) != NULL) {
        call_abandon(n, LIST_ENTRY(node, struct call, of_port));
    } else if ((node = list_first(&s->watches)) != NULL) {
        watch_drop(n, LIST_ENTRY(node, struct watch, of_port));
    } else if ((node = list_first(&s->members)) != NULL) {
        leave_group(n, p, LIST_ENTRY(node, struct member, of_port));
    } else if ((node = list_first(&s->watchers)) != NULL) {
        watcher_fire(n, p, LIST_ENTRY(node, struct watcher, node),
                     (enum motet_news)p->news);
    } else {
        return false;
    }
    return true;
}

void port_end_work(struct nucleus *n, struct port *p)
{
    while (fx_ready(n)) {
        if (p->moved ? move_shed(n, p)
                     : pay_senders(n, p) || pay_others(n, p)) {
            continue;
        }
        if (p->moved) {
            port_free(n, p);
            return;
        }
        struct nuc_effect *e = fx_put(&n->fx, NUC_NET_PORT_END);
        e->port = p->ui;
        e->news = (enum motet_news)p->news;
        if (!p->asked && p->actor != NULL) {
            e = fx_put(&n->fx, NUC_PORT_GONE);
            e->actor = p->actor->ui;
            e->port = p->ui;
        }
        port_free(n, p);
        return;
    }
}
