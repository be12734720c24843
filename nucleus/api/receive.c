#include "client.h"

void letter_show(struct motet *m, struct letter *l, struct motet_msg *msg)
{
    const uint64_t age_ms = (now_ns() - l->arrived_ns) / 1000000;
    *msg = (struct motet_msg){
        .kind = l->news != 0   ? MOTET_MSG_NEWS
                : l->held != 0 ? MOTET_MSG_CALL
                               : MOTET_MSG_MESSAGE,
        .motet = m,
        .port = l->on,
        .source = l->source,
        .target = l->target,
        .pi = l->pi,
        .seq = l->seq,
        .held = l->held,
        .watch = l->watch,
        .news = (enum motet_news)l->news,
        .subject = l->subject,
        .annex = l->data,
        .annex_bytes = l->annex_bytes,
        .body = l->data + l->annex_bytes,
        .body_bytes = l->total - l->annex_bytes,
        .memory = l->memory,
    };
    if (l->remaining_ms > 0) { /* 0 stands for no deadline */
        msg->remaining_ms =
            l->remaining_ms > age_ms ? l->remaining_ms - (uint32_t)age_ms : 1;
    }
}

/* ---- letters ------------------------------------------------------------
 */

/* The first one for `port`; NULL: for any enabled port. */
static struct letter *take(struct motet *m, const struct motet_port *port)
{
    list_foreach (it, &m->inbox) {
        struct letter *l = LIST_ENTRY(it, struct letter, link);
        if (port != NULL ? l->on == port : l->on->enabled) {
            list_remove(it);
            m->inbox_count--;
            return l;
        }
    }
    return NULL;
}

static void forget_letter(struct letter *l, const struct motet_port *port)
{
    if (l != NULL && l->on == port) {
        l->on = NULL;
    }
}

void receive_forget(struct motet *m, struct motet_port *port)
{
    forget_letter(m->received, port);
    list_foreach (it, &m->saved) {
        forget_letter(LIST_ENTRY(it, struct letter, link), port);
    }
    list_foreach (it, &m->inbox) {
        struct letter *l = LIST_ENTRY(it, struct letter, link);
        if (l->on == port) {
            l->on = NULL;
            list_remove(it);
            m->inbox_count--;
            list_append(&m->orphans, it);
        }
    }
    receive_decline(m);
    loop_signal(m);
}

void receive_decline(struct motet *m)
{
    while (!list_empty(&m->orphans)) {
        struct letter *l =
            LIST_ENTRY(list_first(&m->orphans), struct letter, link);
        const struct attach_frame f = {
            .op = ATTACH_REPLY, .id = l->held, .err = MOTET_E_CLOSED};
        list_remove(&l->link);
        if (l->held != 0 && !m->lost) {
            const enum motet_err err = stream_say(m, &f, NULL, 0);
            (void)err; /* lost: the site declines it */
        }
        letter_free(m, l);
    }
}

/* ---- asking for messages ------------------------------------------------
 */

/* Whether a message of `port` (NULL: any) would come without being asked for.
 */
static bool asked_for(const struct motet *m, const struct motet_port *port)
{
    list_foreach (it, &m->requests) {
        const struct request *r = LIST_ENTRY(it, struct request, link);
        const bool any = r->port.hi == 0 && r->port.lo == 0;
        if (r->op != ATTACH_RECEIVE) {
            continue;
        }
        if (any ? port == NULL || port->enabled
                : port != NULL && motet_ui_equal(r->port, port->cap.ui)) {
            return true;
        }
    }
    return false;
}

static enum motet_err ask(struct motet *m, const struct motet_port *port,
                          int64_t timeout_ms, bool prefetch, uint64_t *id)
{
    struct request *r = request_new(m, ATTACH_RECEIVE);
    if (r == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    r->port = port != NULL ? port->cap.ui : (struct motet_ui){0};
    r->prefetch = prefetch;
    m->prefetching += prefetch;
    *id = r->id;
    const struct attach_frame f = {.op = ATTACH_RECEIVE,
                                   .id = r->id,
                                   .port = r->port,
                                   .timeout_ms = timeout_ms};
    return stream_say(m, &f, NULL, 0); /* lost: it is freed */
}

enum motet_err receive_top_up(struct motet *m)
{
    enum motet_err err = MOTET_OK;
    receive_decline(m);
    while (err == MOTET_OK && !m->lost &&
           m->prefetching + m->inbox_count < m->prefetch) {
        uint64_t id;
        err = ask(m, NULL, MOTET_FOREVER, true, &id);
    }
    return err;
}

/* Ends those that are too many; they count until the site has said so. */
static void stop_prefetching(struct motet *m)
{
    uint64_t ids[PREFETCH_MAX];
    uint32_t count = 0;

    list_foreach (it, &m->requests) {
        const struct request *r = LIST_ENTRY(it, struct request, link);
        if (r->prefetch && m->prefetching - count > m->prefetch) {
            ids[count++] = r->id;
        }
    }
    for (uint32_t i = 0; i < count && !m->lost; i++) {
        const struct attach_frame f = {.op = ATTACH_RECEIVE_STOP, .id = ids[i]};
        const enum motet_err err = stream_say(m, &f, NULL, 0);
        (void)err; /* lost: the loop ends */
    }
}

enum motet_err motet_prefetch(struct motet *m, uint32_t count)
{
    if (m == NULL || count > PREFETCH_MAX) {
        return MOTET_E_INVALID;
    }
    if (m->lost) {
        return MOTET_E_DETACHED;
    }
    m->prefetch = count;
    stop_prefetching(m);
    const enum motet_err err = receive_top_up(m);
    loop_signal(m);
    return m->lost ? MOTET_E_DETACHED : err;
}

/* ---- receiving ----------------------------------------------------------
 */

/* One who waits for a letter. */
struct wait {
    struct motet_port *port; /* NULL: any enabled one */
    uint64_t deadline_ns;
    uint64_t by_ns; /* of the wait for the next packet */
    uint64_t id;    /* of the request made for it, 0 = none */
};

/* Whether its request has ended without a letter. One that was answered with a
 * letter for another port is no request any more. */
static bool wait_over(const struct motet *m, struct wait *w)
{
    if (w->id != 0 && m->ended_id == w->id) {
        return true;
    }
    if (map_get(&m->by_id, w->id, 0) == NULL) {
        w->id = 0;
    }
    return false;
}

/* Asks for a letter if none would come by itself, and takes in a packet. */
static enum motet_err wait_more(struct motet *m, struct wait *w)
{
    if (w->id == 0 && !asked_for(m, w->port)) {
        const int64_t left_ms = ms_until(w->deadline_ns);
        const enum motet_err err = ask(m, w->port, left_ms, false, &w->id);
        if (err != MOTET_OK) {
            return err;
        }
        if (left_ms >= 0) { /* the site says when it is over */
            w->by_ns = after_ms(left_ms + LOCAL_MS);
        }
    }
    return stream_read(m, w->by_ns);
}

/* Waits until there is a letter. */
static enum motet_err wait_letter(struct motet *m, struct motet_port *port,
                                  int64_t timeout_ms, struct letter **letter)
{
    struct wait w = {.port = port, .deadline_ns = after_ms(timeout_ms)};
    w.by_ns = w.deadline_ns;
    for (;;) {
        *letter = take(m, port);
        if (*letter != NULL) {
            return MOTET_OK;
        }
        if (port != NULL && port->moved) {
            return MOTET_E_MOVED;
        }
        if (m->lost) {
            return MOTET_E_DETACHED;
        }
        if (wait_over(m, &w)) {
            return m->ended_err;
        }
        const enum motet_err err = wait_more(m, &w);
        if (err != MOTET_OK && err != MOTET_E_DETACHED) {
            return err; /* what came before the loss is still taken */
        }
    }
}

static enum motet_err receive(struct motet *m, struct motet_port *port,
                              struct motet_msg *msg, int64_t timeout_ms)
{
    struct letter *letter = NULL;
    *msg = (struct motet_msg){0};
    letter_free(m, m->received);
    m->received = NULL;
    const enum motet_err err = wait_letter(m, port, timeout_ms, &letter);
    if (err == MOTET_OK) {
        m->received = letter;
        letter_show(m, letter, msg);
        if (receive_top_up(m) != MOTET_OK) {
            m->prefetch = m->prefetching; /* no room for more */
        }
    }
    loop_signal(m);
    return err;
}

enum motet_err motet_receive(struct motet_port *port, struct motet_msg *msg,
                             int64_t timeout_ms)
{
    if (port == NULL || msg == NULL) {
        return MOTET_E_INVALID;
    }
    return receive(port->motet, port, msg, timeout_ms);
}

enum motet_err motet_receive_any(struct motet *m, struct motet_msg *msg,
                                 int64_t timeout_ms)
{
    if (m == NULL || msg == NULL) {
        return MOTET_E_INVALID;
    }
    return receive(m, NULL, msg, timeout_ms);
}
