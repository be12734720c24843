#include "client.h"

/* Ports that move to this actor, and from it. A port that has gone leaves its
 * handle: for what came on it before, and to say that it has gone. Should it
 * come back, that is another handle. */

enum motet_err motet_adopts(struct motet *m, bool adopts)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_ADOPTS, .on = adopts};
    return m != NULL ? request_ask(m, &f, &r) : MOTET_E_INVALID;
}

bool port_adopted(struct motet *m, const struct attach_frame *f)
{
    const struct motet_ui ui = f->cap.ui;
    if (port_find(m, ui) != NULL) {
        return false; /* it is this one's already */
    }
    struct motet_port *port = mem_alloc(&m->mem, sizeof *port);
    if (port == NULL) {
        return false;
    }
    if (!map_put(&m->by_ui, ui.hi, ui.lo, port)) {
        mem_free(&m->mem, port, sizeof *port);
        return false;
    }
    port->motet = m;
    port->cap = f->cap;
    port->enabled = f->enabled;
    port->priority = f->priority;
    port->queue_msgs_max = f->queue_msgs_max;
    port->queue_bytes_max = f->queue_bytes_max;
    list_append(&m->ports, &port->link);
    return true;
}

/* What was begun from it goes on, but its outcome is not told here. */
static void end_begun(struct motet *m, struct motet_ui port)
{
    list_foreach (it, &m->requests) {
        struct request *r = LIST_ENTRY(it, struct request, link);
        const bool send = r->op == ATTACH_SEND;
        if ((!send && r->op != ATTACH_CALL) || !motet_ui_equal(r->port, port)) {
            continue;
        }
        request_remove(m, r);
        r->done = true;
        r->result.err = MOTET_E_MAYBE_MOVED;
        if (r->async) {
            request_tell(m, r, send ? MOTET_EVENT_SENT : MOTET_EVENT_CALL_DONE,
                         MOTET_E_MAYBE_MOVED);
        }
    }
}

bool port_moved(struct motet *m, const struct attach_frame *f)
{
    struct motet_port *port = port_find(m, f->port);
    if (port == NULL) {
        return true; /* it is being deleted: the site was not asked in time */
    }
    port->moved = true;
    (void)map_remove(&m->by_ui, f->port.hi, f->port.lo);
    if (m->own == port) {
        m->own = NULL; /* the next one asked for is another */
    }
    end_begun(m, f->port);
    return true;
}
