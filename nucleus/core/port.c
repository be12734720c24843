#include "core.h"

_Static_assert(sizeof(struct port) <= 160, "an idle port is to be small");

enum { KEY_PORT = 1 }; /* for secret_key() */

struct port *port_of(const struct nucleus *n, struct motet_ui ui,
                     struct motet_ui actor, enum motet_err *err)
{
    struct port *p = port_get(n, ui);
    if (p == NULL) {
        *err = MOTET_E_NO_PORT;
        return NULL;
    }
    if (p->actor == NULL || !ui_equal(p->actor->ui, actor)) {
        *err = MOTET_E_PERMISSION;
        return NULL;
    }
    if (p->frozen) {
        *err = MOTET_E_MOVING;
        return NULL;
    }
    return p;
}

struct port_side *port_side(struct nucleus *n, struct port *p)
{
    if (p->side != NULL) {
        return p->side;
    }
    struct port_side *s = pool_take(&n->side_pool);
    if (s == NULL) {
        return NULL;
    }
    struct list *lists[] = {&s->parked,  &s->wanting, &s->waiters, &s->helds,
                            &s->waits,   &s->calls,   &s->watches, &s->watchers,
                            &s->members, &s->joins,   &s->fanouts};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_init(lists[i]);
    }
    map_init(&s->wants, n->mem, secret_key(n, 0, p->ui.hi, p->ui.lo));
    p->side = s;
    return s;
}

struct motet_pi port_pi(const struct port *p)
{
    return p->side != NULL && p->side->has_pi ? p->side->pi : p->actor->pi;
}

uint64_t port_key(const struct nucleus *n, const struct port *p)
{
    return p->side != NULL && p->side->has_key
               ? p->side->key
               : secret_key(n, KEY_PORT, p->ui.hi, p->ui.lo);
}

uint32_t port_msgs_max(const struct nucleus *n, const struct port *p)
{
    return p->side != NULL && p->side->msgs_max != 0
               ? p->side->msgs_max
               : n->cfg.limits.queue_msgs_max;
}

uint32_t port_bytes_max(const struct nucleus *n, const struct port *p)
{
    return p->side != NULL && p->side->bytes_max != 0
               ? p->side->bytes_max
               : n->cfg.limits.queue_bytes_max;
}

void port_free(struct nucleus *n, struct port *p)
{
    if (p->actor != NULL) {
        deadline_clear(&p->actor->ready, &p->ready);
    }
    list_remove(&p->node);
    list_remove(&p->of_actor);
    list_remove(&p->work);
    if (p->side != NULL) {
        map_fini(&p->side->wants);
        pool_put(&n->side_pool, p->side);
    }
    pool_put(&n->port_pool, p);
}

/* The name of a new port: the one asked for, if that is the control port of
 * this site, else a fresh one. */
static enum motet_err choose_ui(struct nucleus *n, struct motet_ui asked,
                                struct motet_ui *ui)
{
    const struct motet_ui control = ui_of_control(n->cfg.site);
    uint32_t serial = n->port_serial + 1;
    if (ui_equal(asked, control)) {
        *ui = control;
        return port_get(n, control) != NULL ? MOTET_E_EXISTS : MOTET_OK;
    }
#ifdef MOTET_BUG_REUSE_UI
    serial = n->reuse_serial != 0 ? n->reuse_serial : serial;
#endif
    if (serial > UI_SERIAL_MAX) {
        return MOTET_E_LIMIT;
    }
    *ui = ui_make(n->cfg.site, n->cfg.incarnation, UI_PORT, serial);
    return MOTET_OK;
}

/* Attributes that may need memory come first. */
static bool set_attr(struct nucleus *n, struct port *p,
                     const struct nuc_port_attr *attr)
{
    const bool limits = attr->queue_msgs_max != 0 || attr->queue_bytes_max != 0;
    const bool was = p->enabled;
    if (limits && port_side(n, p) == NULL) {
        return false;
    }
    p->enabled = attr->enabled;
    if (attr->enabled && !queue_rank(p)) {
        p->enabled = was;
        return false;
    }
    p->priority = attr->priority;
    CHECK(queue_rank(p));
    if (p->side != NULL) {
        p->side->msgs_max = attr->queue_msgs_max;
        p->side->bytes_max = attr->queue_bytes_max;
    }
    return true;
}

enum motet_err port_new(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out)
{
    struct actor *a = actor_get(n, in->actor);
    struct motet_ui ui;
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    enum motet_err err = choose_ui(n, in->port, &ui);
    if (err != MOTET_OK) {
        return err;
    }
    struct port *p = pool_take_or(&n->port_pool, &err);
    if (p == NULL) {
        return err;
    }
    p->ui = ui;
    p->actor = a;
    list_init(&p->queue);
    if (!set_attr(n, p, &in->attr) ||
        !map_put(&n->port_by_ui, ui.hi, ui.lo, p)) {
        port_free(n, p);
        return MOTET_E_NO_MEMORY;
    }
    list_append(&n->ports, &p->node);
    list_append(&a->ports, &p->of_actor);
    if (ui_serial(ui) > n->port_serial) {
        n->port_serial = ui_serial(ui);
    }
#ifdef MOTET_BUG_REUSE_UI
    n->reuse_serial = 0;
#endif
    out->cap.ui = ui;
    out->cap.key = secret_key(n, KEY_PORT, ui.hi, ui.lo);
    trace(n, TRACE_PORT_NEW, p->enabled, ui.lo, a->ui.lo);
    return MOTET_OK;
}

/* Its owner may end it, and whoever holds its capability. */
enum motet_err port_end_op(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out)
{
    (void)out;
    struct port *p = port_get(n, in->port);
    if (p == NULL) {
        return MOTET_E_NO_PORT;
    }
    const bool own = p->actor != NULL && ui_equal(p->actor->ui, in->actor);
    const bool capable =
        ui_equal(in->cap.ui, p->ui) && in->cap.key == port_key(n, p);
    if (!own && !capable) {
        return MOTET_E_PERMISSION;
    }
    if (p->frozen) {
        return MOTET_E_MOVING;
    }
    port_end(n, p, MOTET_NEWS_CLOSED, own);
    return MOTET_OK;
}

enum motet_err port_set(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out)
{
    (void)out;
    enum motet_err err;
    struct port *p = port_of(n, in->port, in->actor, &err);
    if (p == NULL) {
        return err;
    }
    if (!set_attr(n, p, &in->attr)) {
        return MOTET_E_NO_MEMORY;
    }
    queue_work(n, p);
    return MOTET_OK;
}

enum motet_err port_info(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    struct port *p = port_get(n, in->port);
    if (p == NULL) {
        return MOTET_E_NO_PORT;
    }
    const struct list *first = list_first(&p->queue);
    out->port = (struct nuc_port_info){
        .actor = p->actor != NULL ? p->actor->ui : (struct motet_ui){0},
        .actor_name = p->actor != NULL ? p->actor->name : "",
        .key = port_key(n, p),
        .frozen = p->frozen,
        .attr = {.enabled = p->enabled,
                 .priority = p->priority,
                 .queue_msgs_max = port_msgs_max(n, p),
                 .queue_bytes_max = port_bytes_max(n, p)},
        .queue_msgs = p->msgs,
        .queue_bytes = p->bytes,
        .waiting = p->side != NULL ? p->side->parked_count : 0,
        .seq = p->seq,
        .oldest_ns =
            first != NULL
                ? LIST_ENTRY(p->queue.next, struct parcel, node)->queued_ns
                : 0,
    };
    return MOTET_OK;
}
