#include "client.h"

enum motet_err motet_watch(struct motet_port *port, struct motet_ui subject,
                           uint64_t *watch)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_WATCH, .subject = subject};
    if (port == NULL || port->moved) {
        return port == NULL ? MOTET_E_INVALID : MOTET_E_MOVED;
    }
    f.port = port->cap.ui;
    const enum motet_err err = request_ask(port->motet, &f, &r);
    if (err == MOTET_OK && watch != NULL) {
        *watch = r.result.watch;
    }
    return err;
}

enum motet_err motet_unwatch(struct motet *m, uint64_t watch)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_UNWATCH, .watch = watch};
    return m != NULL ? request_ask(m, &f, &r) : MOTET_E_INVALID;
}

enum motet_err motet_event(struct motet *m, struct motet_event *event,
                           int64_t timeout_ms)
{
    if (m == NULL || event == NULL) {
        return MOTET_E_INVALID;
    }
    const uint64_t by_ns = after_ms(timeout_ms);
    *event = (struct motet_event){0};
    request_free(m, m->told);
    m->told = NULL;
    while (list_empty(&m->events)) {
        const enum motet_err err = stream_read(m, by_ns);
        if (err != MOTET_OK && list_empty(&m->events)) {
            return err;
        }
    }
    struct list *first = list_first(&m->events);
    list_remove(first);
    m->told = LIST_ENTRY(first, struct request, link);
    *event = m->told->event;
    loop_signal(m);
    return MOTET_OK;
}
