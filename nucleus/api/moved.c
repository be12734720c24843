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

/* What crossed the word that the port has gone was refused, for a reason that
 * says little to the program. */
enum motet_err moved_err(const struct motet *m, const struct request *r,
                         enum motet_err err)
{
    const bool strange = err == MOTET_E_INVALID || err == MOTET_E_NO_PORT ||
                         err == MOTET_E_PERMISSION;
    const bool of_port = r->port.hi != 0 || r->port.lo != 0;
    return strange && of_port && m->any_moved && port_find(m, r->port) == NULL
               ? MOTET_E_MOVED
               : err;
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
    m->any_moved = true;
    return true;
}
