#include "core.h"

/* A port takes the requests along that it owes a reply. Its former actor may
 * have them in hand: what it answers is sent after the port, and the nucleus
 * there answers in the port's name. */

static struct debt *find(const struct nucleus *n, uint64_t held)
{
    return map_get(&n->debt_by_held, held, 0);
}

void debt_new(struct nucleus *n, const struct port *p, const struct held *h)
{
    if (!h->delivered || h->parcel != NULL || find(n, h->id) != NULL) {
        return;
    }
    struct debt *d = pool_take(&n->debt_pool);
    if (d == NULL) {
        return;
    }
    if (!map_put(&n->debt_by_held, h->id, 0, d)) {
        pool_put(&n->debt_pool, d);
        return;
    }
    d->actor = p->actor;
    d->port = p->ui;
    d->held = h->id;
    list_append(&p->actor->debts, &d->of_actor);
}

void debt_free(struct nucleus *n, struct debt *d)
{
    (void)map_remove(&n->debt_by_held, d->held, 0);
    list_remove(&d->of_actor);
    pool_put(&n->debt_pool, d);
}

void debt_orphan(struct nucleus *n, struct debt *d, enum motet_err err)
{
    list_remove(&d->of_actor);
    list_append(&n->orphans, &d->of_actor);
    d->actor = NULL;
    d->ended = err;
}

void debt_work(struct nucleus *n)
{
    struct debt *d = LIST_ENTRY(list_first(&n->orphans), struct debt, of_actor);
    const struct msg relay = {
        .kind = MSG_RELAY,
        .status = (uint16_t)d->ended,
        .call = d->held,
    };
    parcel_inner(n, ui_of_control(n->cfg.site), d->port, &relay);
    debt_free(n, d);
}

enum motet_err debt_reply(struct nucleus *n, const struct nuc_in *in)
{
    struct debt *d = find(n, in->held);
    if (d == NULL || d->actor == NULL || !ui_equal(d->actor->ui, in->actor)) {
        return MOTET_E_STATE;
    }
    const struct port *p = port_get(n, d->port);
    if (p != NULL && p->frozen) {
        return MOTET_E_MOVING;
    }
    const struct msg relay = {
        .kind = MSG_RELAY,
        .annex_bytes = in->msg.annex_bytes,
        .status = in->msg.status,
        .call = d->held,
        .data = in->msg.data,
    };
    parcel_inner(n, ui_of_control(n->cfg.site), d->port, &relay);
    debt_free(n, d);
    return MOTET_OK;
}

enum motet_err debt_taken(struct nucleus *n, const struct nuc_in *in)
{
    const struct port *p = port_get(n, in->dst);
    if (ui_kind(in->src) != UI_CONTROL) {
        return MOTET_E_PERMISSION;
    }
    if (p == NULL) {
        return MOTET_E_NO_PORT;
    }
    struct held *h = held_get(n, in->msg.call);
    if (h == NULL || h->port != p || !h->delivered || h->parcel != NULL ||
        in->msg.status >= MOTET_E_COUNT || msg_check(n, &in->msg) != MOTET_OK) {
        buf_unref(in->msg.data); /* answered, or given up */
        return MOTET_OK;
    }
    return held_answered(n, h, &in->msg);
}
