#include <string.h>

#include "client.h"
#include "nucleus/base/ui.h"

static void port_fill(const struct motet_port *port, struct attach_frame *f)
{
    f->port = port->cap.ui;
    f->enabled = port->enabled;
    f->priority = port->priority;
    f->queue_msgs_max = port->queue_msgs_max;
    f->queue_bytes_max = port->queue_bytes_max;
}

static enum motet_err port_new(struct motet *m, struct motet_port *port)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_PORT_NEW};
    port_fill(port, &f);
    const enum motet_err err = request_ask(m, &f, &r);
    if (err != MOTET_OK) {
        return err;
    }
    const struct motet_ui ui = r.result.cap.ui;
    /* A site that gives one port twice is not to be believed; without memory
     * for the port here it would be nobody's. */
    if (port_find(m, ui) != NULL || !map_put(&m->by_ui, ui.hi, ui.lo, port)) {
        stream_lose(m);
        return MOTET_E_DETACHED;
    }
    port->cap = r.result.cap;
    list_append(&m->ports, &port->link);
    return MOTET_OK;
}

static enum motet_err join(struct motet_port *port, const char *name)
{
    struct motet_cap group;
    const enum motet_err err = motet_group(port->motet, name, &group);
    return err == MOTET_OK ? motet_group_insert(port, &group) : err;
}

static enum motet_err create(struct motet *m, const char *name,
                             const struct motet_port *like,
                             struct motet_port **port)
{
    if (m == NULL || port == NULL || (name != NULL && !ui_name_ok(name))) {
        return MOTET_E_INVALID;
    }
    struct motet_port *made = mem_alloc(&m->mem, sizeof *made);
    if (made == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    *made = *like;
    made->motet = m;
    enum motet_err err = port_new(m, made);
    if (err != MOTET_OK) {
        mem_free(&m->mem, made, sizeof *made);
        return err;
    }
    err = name != NULL ? join(made, name) : MOTET_OK;
    if (err != MOTET_OK) {
        motet_port_delete(made);
        return err;
    }
    *port = made;
    return MOTET_OK;
}

enum motet_err motet_port_create_limited(struct motet *m, const char *name,
                                         uint32_t queue_msgs_max,
                                         uint32_t queue_bytes_max,
                                         struct motet_port **port)
{
    const struct motet_port like = {
        .enabled = true,
        .queue_msgs_max = queue_msgs_max,
        .queue_bytes_max = queue_bytes_max,
    };
    if (port != NULL) {
        *port = NULL;
    }
    return create(m, name, &like, port);
}

enum motet_err motet_port_create(struct motet *m, const char *name,
                                 struct motet_port **port)
{
    return motet_port_create_limited(m, name, 0, 0, port);
}

struct motet_port *motet_own_port(struct motet *m)
{
    const struct motet_port like = {.enabled = false};
    if (m != NULL && m->own == NULL &&
        create(m, NULL, &like, &m->own) != MOTET_OK) {
        m->own = NULL;
    }
    return m != NULL ? m->own : NULL;
}

void motet_port_delete(struct motet_port *port)
{
    if (port == NULL) {
        return;
    }
    struct motet *m = port->motet;
    struct request r;
    struct attach_frame f = {.op = ATTACH_PORT_END, .port = port->cap.ui};
    /* While the site still knows the calls among them. */
    receive_forget(m, port);
    /* It may be another's now: then that one keeps it. An error says that it
     * has ended before, or moved just now. */
    const enum motet_err err = port->moved ? MOTET_OK : request_ask(m, &f, &r);
    (void)err;
    if (m->own == port) {
        m->own = NULL;
    }
    if (port_find(m, port->cap.ui) == port) {
        (void)map_remove(&m->by_ui, port->cap.ui.hi, port->cap.ui.lo);
    }
    list_remove(&port->link);
    receive_forget(m, port);
    mem_free(&m->mem, port, sizeof *port);
}

static enum motet_err port_set(struct motet_port *port, bool enabled,
                               uint8_t priority)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_PORT_SET};
    if (port == NULL || port->moved) {
        return port == NULL ? MOTET_E_INVALID : MOTET_E_MOVED;
    }
    struct motet_port wanted = *port;
    wanted.enabled = enabled;
    wanted.priority = priority;
    port_fill(&wanted, &f);
    const enum motet_err err = request_ask(port->motet, &f, &r);
    if (err == MOTET_OK) {
        port->enabled = enabled;
        port->priority = priority;
    }
    loop_signal(port->motet);
    return err;
}

enum motet_err motet_port_enable(struct motet_port *port, uint8_t priority)
{
    return port_set(port, true, priority);
}

enum motet_err motet_port_disable(struct motet_port *port)
{
    return port_set(port, false, port != NULL ? port->priority : 0);
}

struct motet_port *motet_port_find(struct motet *m, struct motet_ui port)
{
    return m != NULL ? port_find(m, port) : NULL;
}

struct motet_ui motet_port_ui(const struct motet_port *port)
{
    return port != NULL ? port->cap.ui : (struct motet_ui){0};
}

struct motet_cap motet_port_cap(const struct motet_port *port)
{
    return port != NULL ? port->cap : (struct motet_cap){0};
}

void motet_port_set_data(struct motet_port *port, void *data)
{
    if (port != NULL) {
        port->data = data;
    }
}

void *motet_port_data(const struct motet_port *port)
{
    return port != NULL ? port->data : NULL;
}

enum motet_err motet_port_info(struct motet *m, struct motet_ui port,
                               struct motet_port_info *info)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_PORT_INFO, .port = port};
    if (m == NULL || info == NULL) {
        return MOTET_E_INVALID;
    }
    const enum motet_err err = request_ask(m, &f, &r);
    if (err != MOTET_OK) {
        return err;
    }
    *info = (struct motet_port_info){
        .actor = r.result.source,
        .enabled = r.result.enabled,
        .priority = r.result.priority,
        .queue_msgs_max = r.result.queue_msgs_max,
        .queue_bytes_max = r.result.queue_bytes_max,
        .queue_msgs = r.result.queue_msgs,
        .queue_bytes = r.result.queue_bytes,
        .waiting = r.result.waiting,
        .seq = r.result.seq,
        .oldest_ms = r.result.oldest_ms,
    };
    memcpy(info->actor_name, r.result.name, sizeof info->actor_name);
    return MOTET_OK;
}
